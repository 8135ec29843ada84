//! Every figure the server tells Prometheus, under names that `docs` and dashboards may rely on.
//!
//! Label values come from closed sets: routes are templates, codes are statuses this server
//! sends, models and labels are those of bundles its operator loaded. No path, id or name that a
//! client chose ever becomes a series. Base units: seconds, tokens, texts.

mod drift;
mod make;
mod sampled;
mod scored;
mod shadow;
pub mod traces;
mod words;

pub use self::drift::{LEAST_TEXTS, STEP, WINDOW};
pub use self::scored::ScoredTexts;
pub use self::shadow::{Pair, ShadowFigures};
pub use self::words::{BatchSize, LabelInfo, LabelsInfo, Load, ModelInfo, Rejection, Sample, Shadowed, Stage};

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use self::make::{ONCE, counter, counters, gauge, histogram, powers_of_two, seconds, tenths};
use self::sampled::Sampled;
use self::scored::LabelMetrics;
use self::shadow::ShadowMetrics;
use self::traces::Traces;
use super::clock;
use super::model::ServedModel;
use super::routes::Route;

/// The registry and its metrics.
pub struct Telemetry {
    registry: Registry,
    requests: IntCounterVec,
    in_flight: IntGauge,
    request_seconds: Histogram,
    stages: [Histogram; 4],
    sampled: Mutex<Sampled>,
    batch_texts: Histogram,
    batch_tokens: Histogram,
    padding: Histogram,
    coalesced: IntCounter,
    /// Misses, hits.
    lookups: [IntCounter; 2],
    rejected: [IntCounter; 8],
    truncated: IntCounter,
    labels: LabelMetrics,
    loads: [IntCounter; 2],
    shadow: ShadowMetrics,
    key_requests: IntCounterVec,
    key_texts: IntCounterVec,
    traces: Option<Traces>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// Registers everything that does not depend on a model.
    ///
    /// # Panics
    /// Never: names are constants.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let requests = counters(&registry, "limbic_requests_total", "Responses sent, by route template and status.", &["route", "code"]);
        // Unknown paths are one series, and it stands from the start.
        requests.with_label_values(&[Route::Unmatched.pattern(), "404"]).reset();
        let build = Opts::new("limbic_build_info", "The server's own version; always 1.");
        let build = IntGaugeVec::new(build, &["version"]).expect(ONCE);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(build)).expect(ONCE);
        let stage = HistogramOpts::new("limbic_stage_duration_seconds", "Time of a request spent in each stage.").buckets(seconds());
        let stages = HistogramVec::new(stage, &["stage"]).expect(ONCE);
        registry.register(Box::new(stages.clone())).expect(ONCE);
        let rejected = counters(&registry, "limbic_rejected_total", "Requests that got no answer, by reason.", &["reason"]);
        let lookups = counters(&registry, "limbic_cache_lookups_total", "Texts looked up in the response cache.", &["outcome"]);
        let loads = counters(&registry, "limbic_model_loads_total", "Tries to load a model while serving or before.", &["outcome"]);
        Self {
            requests,
            in_flight: gauge(&registry, "limbic_requests_in_flight", "Requests being answered, routes that classify."),
            request_seconds: histogram(
                &registry,
                "limbic_request_duration_seconds",
                "Time from a request's head to its answer, routes that classify.",
                seconds(),
            ),
            stages: Stage::ALL.map(|stage| stages.with_label_values(&[stage.name()])),
            sampled: Mutex::new(Sampled::register(&registry)),
            batch_texts: histogram(&registry, "limbic_batch_texts", "Different texts in a computed batch.", powers_of_two(0, 9)),
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
            coalesced: counter(&registry, "limbic_coalesced_texts_total", "Texts that shared the computation of an equal one."),
            lookups: ["miss", "hit"].map(|outcome| lookups.with_label_values(&[outcome])),
            rejected: Rejection::ALL.map(|reason| rejected.with_label_values(&[reason.name()])),
            truncated: counter(&registry, "limbic_truncated_texts_total", "Texts cut to the model's maximum length."),
            labels: LabelMetrics::register(&registry),
            loads: Load::ALL.map(|outcome| loads.with_label_values(&[outcome.name()])),
            shadow: ShadowMetrics::register(&registry),
            key_requests: counters(&registry, "limbic_key_requests_total", "Requests answered, whatever the answer, by key.", &["key"]),
            key_texts: counters(&registry, "limbic_key_texts_total", "Texts taken on, by key.", &["key"]),
            traces: None,
            registry,
        }
    }

    /// The same with traces told to a collector.
    #[must_use]
    pub fn traced(self, traces: Traces) -> Self {
        Self { traces: Some(traces), ..self }
    }

    /// Where traces are told, if anywhere.
    pub(super) fn traces(&self) -> Option<&Traces> {
        self.traces.as_ref()
    }

    /// Where the texts are counted that a version scores.
    #[must_use]
    pub fn scored(&self, model: &ServedModel) -> ScoredTexts {
        ScoredTexts::new(&self.labels, model, clock::now())
    }

    /// The figures of a shadow of `model` over the labels that both have.
    #[must_use]
    pub fn shadow(&self, model: &str, labels: &[&str]) -> ShadowFigures {
        ShadowFigures::new(&self.shadow, model, labels)
    }

    /// One request that came in (1) or is over (-1).
    pub(super) fn in_flight(&self, route: Route, change: i64) {
        if route.classifies() {
            self.in_flight.add(change);
        }
    }

    /// One response, as its status leaves.
    pub(super) fn response(&self, route: Route, status: &str, took: Duration) {
        self.requests.with_label_values(&[route.pattern(), status]).inc();
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

    /// One request of a key, by the name that its operator gave it.
    pub(super) fn key_request(&self, key: &str) {
        self.key_requests.with_label_values(&[key]).inc();
    }

    /// Texts of a key.
    pub(super) fn key_texts(&self, key: &str, texts: usize) {
        self.key_texts.with_label_values(&[key]).inc_by(texts as u64);
    }

    /// One request without an answer.
    pub fn rejected(&self, reason: Rejection) {
        self.rejected[reason as usize].inc();
    }

    /// One text that was cut.
    pub fn truncated(&self) {
        self.truncated.inc();
    }

    /// Texts of one batch that were computed along with an equal one.
    pub fn coalesced(&self, texts: usize) {
        self.coalesced.inc_by(texts as u64);
    }

    /// One text looked up in a response cache.
    pub fn recalled(&self, found: bool) {
        self.lookups[usize::from(found)].inc();
    }

    /// One try to load a model.
    pub fn loaded(&self, outcome: Load) {
        self.loads[outcome as usize].inc();
    }

    /// Everything in the text exposition format, with what the caller sampled at this moment.
    ///
    /// # Errors
    /// When the encoder refuses a metric family.
    pub fn render(&self, sample: &Sample) -> Result<Vec<u8>, prometheus::Error> {
        // Held until the page is gathered: two scrapes at once would empty each other's gauges.
        let sampled = self.sampled.lock().unwrap_or_else(PoisonError::into_inner);
        sampled.set(sample);
        let families = self.registry.gather();
        drop(sampled);
        let mut page = Vec::new();
        TextEncoder::new().encode(&families, &mut page)?;
        Ok(page)
    }
}
