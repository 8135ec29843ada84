//! Every figure the server tells Prometheus, under names that `docs` and dashboards may rely on.
//!
//! Label values come from closed sets: routes are templates, codes are statuses this server
//! sends, labels are the model's. No path, id or name that a client chose ever becomes a series.
//! Base units: seconds, tokens, texts.

use std::time::Duration;

use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use super::engine::Depth;
use super::routes::Route;
use crate::spec::LabelSet;

const ONCE: &str = "a metric name is malformed or registered twice: this is a bug";

/// The parts of a request's time that are measured apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Texts to token ids, waiting for the blocking pool included.
    Tokenize,
    /// Waiting for a worker.
    Queue,
    /// From the first of the request's texts being taken to the last being computed.
    Infer,
    /// Logits to the bytes of the answer.
    Post,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Tokenize, Self::Queue, Self::Infer, Self::Post];

    const fn name(self) -> &'static str {
        match self {
            Self::Tokenize => "tokenize",
            Self::Queue => "queue",
            Self::Infer => "infer",
            Self::Post => "post",
        }
    }
}

/// Why a request that was well formed got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// The queue was full.
    Overloaded,
    /// The server was shutting down.
    Draining,
    /// No engine worker was up.
    NotReady,
    /// The deadline passed.
    Deadline,
    /// The client left before the answer.
    Abandoned,
}

impl Rejection {
    const ALL: [Self; 5] = [Self::Overloaded, Self::Draining, Self::NotReady, Self::Deadline, Self::Abandoned];

    const fn name(self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::Draining => "draining",
            Self::NotReady => "not_ready",
            Self::Deadline => "deadline",
            Self::Abandoned => "abandoned",
        }
    }
}

/// The size of one computed batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchSize {
    texts: usize,
    tokens: usize,
    longest: usize,
}

impl BatchSize {
    /// Of a batch of texts with these lengths in tokens.
    #[must_use]
    pub fn of(lengths: impl IntoIterator<Item = usize>) -> Self {
        lengths.into_iter().fold(Self::default(), |size, tokens| Self {
            texts: size.texts + 1,
            tokens: size.tokens + tokens,
            longest: size.longest.max(tokens),
        })
    }
}

/// What `limbic_model_info` says.
#[derive(Debug, Clone, Copy)]
pub struct ModelInfo<'a> {
    /// The model's name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The bundle's content hash.
    pub digest: &'a str,
    /// The engine's name.
    pub backend: &'a str,
    /// How the weights are stored.
    pub precision: &'a str,
}

/// The registry and its metrics.
pub struct Telemetry {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: Histogram,
    stages: [Histogram; 4],
    queue_texts: IntGauge,
    queue_tokens: IntGauge,
    batch_texts: Histogram,
    batch_tokens: Histogram,
    padding: Histogram,
    rejected: [IntCounter; 5],
    truncated: IntCounter,
    /// In the model's label order.
    positives: Vec<IntCounter>,
}

impl Telemetry {
    /// Registers everything for one model. `load` is how long it took to open and warm.
    ///
    /// # Panics
    /// Never: names are constants.
    #[must_use]
    pub fn new(model: ModelInfo<'_>, labels: &LabelSet, load: Duration) -> Self {
        let registry = Registry::new();
        model_gauges(&registry, model, load);
        let requests = counters(&registry, "limbic_requests_total", "Responses sent, by route template and status.", &["route", "code"]);
        // Unknown paths are one series, and it stands from the start.
        requests.with_label_values(&[Route::Unmatched.pattern(), "404"]).reset();
        let stage = HistogramOpts::new("limbic_stage_duration_seconds", "Time of a request spent in each stage.").buckets(seconds());
        let stages = HistogramVec::new(stage, &["stage"]).expect(ONCE);
        registry.register(Box::new(stages.clone())).expect(ONCE);
        let rejected = counters(&registry, "limbic_rejected_total", "Requests that got no answer, by reason.", &["reason"]);
        let positives = counters(&registry, "limbic_label_positive_total", "Texts that a label was decided for.", &["model", "label"]);
        Self {
            requests,
            request_seconds: histogram(
                &registry,
                "limbic_request_duration_seconds",
                "Time from a request's head to its answer, routes that classify.",
                seconds(),
            ),
            stages: Stage::ALL.map(|stage| stages.with_label_values(&[stage.name()])),
            queue_texts: gauge(&registry, "limbic_queue_texts", "Texts waiting or with a place reserved."),
            queue_tokens: gauge(&registry, "limbic_queue_tokens", "Tokens waiting."),
            batch_texts: histogram(&registry, "limbic_batch_texts", "Texts in a computed batch.", powers_of_two(0, 9)),
            batch_tokens: histogram(
                &registry,
                "limbic_batch_tokens",
                "Tokens in a computed batch, padding not counted.",
                powers_of_two(3, 15),
            ),
            padding: histogram(
                &registry,
                "limbic_batch_padding_ratio",
                "Real tokens over texts times the longest: 1 is no padding.",
                tenths(),
            ),
            rejected: Rejection::ALL.map(|reason| rejected.with_label_values(&[reason.name()])),
            truncated: counter(&registry, "limbic_truncated_texts_total", "Texts cut to the model's maximum length."),
            positives: labels.names().iter().map(|label| positives.with_label_values(&[model.name, label])).collect(),
            registry,
        }
    }

    /// One response, as its status leaves.
    pub(super) fn response(&self, route: Route, status: u16, took: Duration) {
        let mut buffer = [0; 3];
        self.requests.with_label_values(&[route.pattern(), status_text(status, &mut buffer)]).inc();
        if route.classifies() {
            self.request_seconds.observe(took.as_secs_f64());
        }
    }

    /// Time spent in one stage of one request.
    pub fn stage(&self, stage: Stage, took: Duration) {
        self.stages[stage as usize].observe(took.as_secs_f64());
    }

    /// One computed batch.
    pub fn batch(&self, size: BatchSize) {
        self.batch_texts.observe(size.texts as f64);
        self.batch_tokens.observe(size.tokens as f64);
        self.padding.observe(size.tokens as f64 / (size.texts * size.longest).max(1) as f64);
    }

    /// One request without an answer.
    pub fn rejected(&self, reason: Rejection) {
        self.rejected[reason as usize].inc();
    }

    /// One text that was cut.
    pub fn truncated(&self) {
        self.truncated.inc();
    }

    /// One text that `label` (a position) was decided for.
    pub fn positive(&self, label: usize) {
        if let Some(counter) = self.positives.get(label) {
            counter.inc();
        }
    }

    /// Everything in the text exposition format; `depth` is sampled by the caller at this moment.
    ///
    /// # Errors
    /// When the encoder refuses a metric family.
    pub fn render(&self, depth: Depth) -> Result<Vec<u8>, prometheus::Error> {
        self.queue_texts.set(i64::try_from(depth.texts).unwrap_or(i64::MAX));
        self.queue_tokens.set(i64::try_from(depth.tokens).unwrap_or(i64::MAX));
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        Ok(page)
    }
}

fn model_gauges(registry: &Registry, model: ModelInfo<'_>, load: Duration) {
    let info = Opts::new("limbic_model_info", "The model being served; always 1.")
        .const_label("model", model.name)
        .const_label("version", model.version)
        .const_label("digest", model.digest)
        .const_label("backend", model.backend)
        .const_label("precision", model.precision);
    let info = IntGauge::with_opts(info).expect(ONCE);
    info.set(1);
    registry.register(Box::new(info)).expect(ONCE);
    let seconds = Gauge::new("limbic_model_load_duration_seconds", "Time to open, verify and warm the model.").expect(ONCE);
    seconds.set(load.as_secs_f64());
    registry.register(Box::new(seconds)).expect(ONCE);
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    let metric = IntCounterVec::new(Opts::new(name, help), labels).expect(ONCE);
    registry.register(Box::new(metric.clone())).expect(ONCE);
    metric
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    let metric = IntCounter::new(name, help).expect(ONCE);
    registry.register(Box::new(metric.clone())).expect(ONCE);
    metric
}

fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    let metric = IntGauge::new(name, help).expect(ONCE);
    registry.register(Box::new(metric.clone())).expect(ONCE);
    metric
}

fn histogram(registry: &Registry, name: &str, help: &str, buckets: Vec<f64>) -> Histogram {
    let metric = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets)).expect(ONCE);
    registry.register(Box::new(metric.clone())).expect(ONCE);
    metric
}

/// 26 steps of 1.6 from 50 microseconds to about 6 seconds: fine below a millisecond.
fn seconds() -> Vec<f64> {
    prometheus::exponential_buckets(50e-6, 1.6, 26).expect(ONCE)
}

fn powers_of_two(first: i32, last: i32) -> Vec<f64> {
    (first..=last).map(|power| 2_f64.powi(power)).collect()
}

fn tenths() -> Vec<f64> {
    (1..=10).map(|tenth| f64::from(tenth) / 10.0).collect()
}

/// Three digits without an allocation.
fn status_text(status: u16, buffer: &mut [u8; 3]) -> &str {
    for (digit, scale) in buffer.iter_mut().zip([100, 10, 1]) {
        *digit = b'0' + u8::try_from(status / scale % 10).unwrap_or(0);
    }
    std::str::from_utf8(buffer).unwrap_or("000")
}
