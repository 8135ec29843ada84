//! Which spans are told: those whose parent is, else a share of them; and every batch that a told request was in.

use opentelemetry::trace::{Link, SpanKind, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};

use super::config::{Root, Sampling};

/// A batch is only ever linked to requests that are told, so it is told too; of other roots the sampler decides.
#[derive(Debug, Clone)]
pub(super) struct LinkedOr(Sampler);

impl LinkedOr {
    pub(super) fn new(Sampling { parent_based, root }: Sampling) -> Self {
        let root = match root {
            Root::On => Sampler::AlwaysOn,
            Root::Off => Sampler::AlwaysOff,
            Root::Ratio(ratio) => Sampler::TraceIdRatioBased(ratio),
        };
        Self(if parent_based { Sampler::ParentBased(Box::new(root)) } else { root })
    }
}

impl ShouldSample for LinkedOr {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        span_kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let sampler = if links.is_empty() { &self.0 } else { &Sampler::AlwaysOn };
        sampler.should_sample(parent_context, trace_id, name, span_kind, attributes, links)
    }
}
