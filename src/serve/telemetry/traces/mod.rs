//! Traces: one span a request, with the stages it went through, and one a computed batch; told to an OpenTelemetry
//! collector over OTLP, when the operator names one.
//!
//! Spans are made with OpenTelemetry's own interface and not from log events: what is in a span is written here, word
//! by word, and nothing that a dependency logs can get into it. A request's spans follow the stable HTTP conventions;
//! a batch serves many requests, so it is a trace of its own, linked to them. No text, path or header of a request
//! becomes an attribute, but for its id. Without a collector none of this runs.

mod config;
mod export;
mod parent;
mod sampling;

pub use self::config::{Protocol, Root, Sampling, TraceArgs, TraceArgsError, TracesConfig};

use std::io;
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::http::{Method, Version};
use opentelemetry::trace::{
    Link, Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::trace::SdkTracer;
use thiserror::Error;

use self::export::Export;
use super::BatchSize;
use crate::serve::clock::Anchor;
use crate::serve::edge::Outcome;
use crate::serve::error::{ApiError, Dialect};
use crate::serve::model::ServedModel;
use crate::serve::routes::Route;

/// Why traces cannot be told.
#[derive(Debug, Error)]
pub enum TracesError {
    /// The collector's address or something else said of it makes no exporter.
    #[error("the exporter of traces cannot be made")]
    Exporter(#[from] ExporterBuildError),
    /// The system refused the exporter's thread.
    #[error("the exporter of traces has no thread")]
    Thread(#[source] io::Error),
}

/// Makes spans and tells them. Whoever started it ends it, by `end`.
pub struct Traces {
    tracer: SdkTracer,
    export: Export,
}

/// The span of one request.
#[derive(Debug, Clone)]
pub(in crate::serve) struct RequestSpan(Context);

/// Which span some work is done for: what a batch is linked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    trace: TraceId,
    span: SpanId,
}

/// Where the time of one request went, and what was read in it.
pub(in crate::serve) struct Stages<'a> {
    pub(in crate::serve) model: &'a ServedModel,
    pub(in crate::serve) texts: usize,
    pub(in crate::serve) tokens: usize,
    /// When its texts began to be read, and for how long they were.
    pub(in crate::serve) tokenize: (Instant, Duration),
    /// When they were submitted, and how long they waited.
    pub(in crate::serve) queue: (Instant, Duration),
    /// How long they were computed after that.
    pub(in crate::serve) infer: Duration,
}

impl Traces {
    /// Connects to nothing yet: a collector that is not there is warned about when the first spans should go, and
    /// nothing else comes of it.
    ///
    /// # Errors
    /// [`TracesError`].
    pub fn start(config: &TracesConfig) -> Result<Self, TracesError> {
        let export = Export::start(config)?;
        Ok(Self { tracer: export.provider().tracer("limbic"), export })
    }

    /// The span of a request that has arrived, under the parent that its headers name; none for probes and scrapes.
    pub(in crate::serve) fn request(&self, request: &HttpRequest, route: Route, id: &str) -> Option<RequestSpan> {
        if route.is_polled() {
            return None;
        }
        let (method, known) = method(request.method());
        let named = (route != Route::Unmatched).then(|| route.pattern());
        let name = [Some(if known { method } else { "HTTP" }), named].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let scheme = if request.app_config().secure() { "https" } else { "http" };
        let mut attributes = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("url.scheme", scheme),
            KeyValue::new("network.protocol.version", version(request.version())),
            KeyValue::new("limbic.request_id", id.to_owned()),
        ];
        attributes.extend(named.map(|route| KeyValue::new("http.route", route)));
        let headers = request.headers();
        let parent = parent::of(|name| headers.get_all(name).map(|value| value.to_str().ok()).collect());
        Some(self.served(name, attributes, parent))
    }

    /// The same of a call over gRPC, by the conventions for those.
    pub(in crate::serve) fn call(&self, headers: &tonic::codegen::http::HeaderMap, route: Route, id: &str) -> Option<RequestSpan> {
        if route.is_polled() {
            return None;
        }
        let mut attributes = vec![KeyValue::new("rpc.system", "grpc"), KeyValue::new("limbic.request_id", id.to_owned())];
        let named = route.pattern().trim_start_matches('/');
        if let Some((service, method)) = named.split_once('/') {
            attributes.extend([KeyValue::new("rpc.service", service), KeyValue::new("rpc.method", method)]);
        }
        let name = if route == Route::Unmatched { "grpc" } else { named };
        let parent = parent::of(|name| headers.get_all(name).iter().map(|value| value.to_str().ok()).collect());
        Some(self.served(name.to_owned(), attributes, parent))
    }

    fn served(&self, name: String, attributes: Vec<KeyValue>, parent: Option<SpanContext>) -> RequestSpan {
        let parent = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let span = self.tracer.span_builder(name).with_kind(SpanKind::Server).with_attributes(attributes);
        RequestSpan(parent.with_span(span.start_with_context(&self.tracer, &parent)))
    }

    /// The stages of a request as children of the span that the current task works for.
    pub(in crate::serve) fn stages(&self, stages: &Stages<'_>) {
        let current = Context::current();
        if !current.span().is_recording() {
            return;
        }
        let anchor = Anchor::now();
        let child = |name: &'static str, (from, took): (Instant, Duration), attributes: Vec<KeyValue>| {
            let span = self.tracer.span_builder(name).with_start_time(anchor.at(from)).with_attributes(attributes);
            span.start_with_context(&self.tracer, &current).end_with_timestamp(anchor.at(from + took));
        };
        let Stages { model, texts, tokens, tokenize, queue, infer } = *stages;
        child("tokenize", tokenize, vec![KeyValue::new("limbic.texts", count(texts)), KeyValue::new("limbic.tokens", count(tokens))]);
        child("queue", queue, Vec::new());
        let of = [("limbic.model", &model.name), ("limbic.model.version", &model.version)];
        child("infer", (queue.0 + queue.1, infer), of.map(|(key, value)| KeyValue::new(key, value.clone())).to_vec());
    }

    /// The span that the current task works for, if it is told.
    pub(in crate::serve) fn origin(&self) -> Option<Origin> {
        let span = Context::map_current(|current| current.span().span_context().clone());
        span.is_sampled().then(|| Origin { trace: span.trace_id(), span: span.span_id() })
    }

    /// A computed batch, linked to the requests that it was computed for; nothing where none of them is told.
    pub(in crate::serve) fn batch(&self, origins: Vec<Origin>, size: BatchSize, (taken, done): (Instant, Instant), failed: bool) {
        if origins.is_empty() {
            return;
        }
        let anchor = Anchor::now();
        let attributes = [KeyValue::new("limbic.texts", count(size.texts)), KeyValue::new("limbic.tokens", count(size.tokens))];
        let span = self.tracer.span_builder("batch").with_start_time(anchor.at(taken)).with_attributes(attributes);
        let links = origins.into_iter().map(|origin| Link::with_context(origin.context())).collect();
        let mut span = span.with_links(links).start_with_context(&self.tracer, &Context::new());
        if failed {
            span.set_status(Status::error(""));
        }
        span.end_with_timestamp(anchor.at(done));
    }

    /// Tells what is left, for at most `patience`, and is of no more use. Blocks.
    pub(in crate::serve) fn end(&self, patience: Duration) {
        self.export.end(patience);
    }
}

impl RequestSpan {
    /// What the request's task carries with it, see [`opentelemetry::trace::FutureExt`].
    pub(in crate::serve) fn context(&self) -> Context {
        self.0.clone()
    }

    /// The trace's id in hex, for the log.
    pub(in crate::serve) fn trace_id(&self) -> String {
        self.0.span().span_context().trace_id().to_string()
    }

    /// Ends with the answer.
    pub(in crate::serve) fn answered(&self, outcome: Outcome, error: Option<&ApiError>) {
        let span = self.0.span();
        span.set_attribute(match outcome {
            Outcome::Http(status) => KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
            Outcome::Grpc(code) => KeyValue::new("rpc.grpc.status_code", i64::from(i32::from(code))),
        });
        if outcome.is_the_servers_fault() {
            let kind = error.map_or("internal", |error| error.row(Dialect::Problem).code);
            span.set_attribute(KeyValue::new("error.type", kind));
            // The conventions want no description where the status says it.
            span.set_status(Status::error(""));
        }
        span.end();
    }

    /// Ends without one: the client left.
    pub(in crate::serve) fn abandoned(&self) {
        self.0.span().set_attribute(KeyValue::new("error.type", "abandoned"));
        self.0.span().end();
    }
}

impl Origin {
    fn context(self) -> SpanContext {
        SpanContext::new(self.trace, self.span, TraceFlags::SAMPLED, false, TraceState::NONE)
    }
}

/// One of the methods that the conventions know, or their word for any other.
fn method(method: &Method) -> (&'static str, bool) {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).map_or(("_OTHER", false), |known| (known, true))
}

const fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
