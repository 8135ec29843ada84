//! What is counted of every text that a version scored, whatever the route and whatever thresholds the request
//! brought: decisions by the bundle's own, and how its scores are distributed.

use std::time::Instant;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Registry};

use super::drift::{Drift, DriftReading};
use super::make::{ONCE, counters, tenths};
use super::words::{LabelInfo, LabelsInfo};
use crate::serve::model::ServedModel;

/// The families, over all models.
pub(super) struct LabelMetrics {
    positives: IntCounterVec,
    scores: HistogramVec,
}

impl LabelMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        const POSITIVE: &str = "Texts that a label holds for by the bundle's own thresholds.";
        let scores = HistogramOpts::new("limbic_label_score", "Calibrated score of a label, a text.").buckets(tenths());
        let scores = HistogramVec::new(scores, &["model", "label"]).expect(ONCE);
        registry.register(Box::new(scores.clone())).expect(ONCE);
        Self { positives: counters(registry, "limbic_label_positive_total", POSITIVE, &["model", "label"]), scores }
    }
}

/// One version's part. A name keeps its counters from one version to the next; the drift is each version's own.
pub struct ScoredTexts {
    positives: Vec<IntCounter>,
    scores: Vec<Histogram>,
    expected: Vec<Option<f64>>,
    drift: Option<Drift>,
}

impl ScoredTexts {
    pub(super) fn new(metrics: &LabelMetrics, model: &ServedModel, now: Instant) -> Self {
        let names = || model.decider.labels().names().iter();
        Self {
            positives: names().map(|label| metrics.positives.with_label_values(&[&model.name, label])).collect(),
            scores: names().map(|label| metrics.scores.with_label_values(&[&model.name, label])).collect(),
            expected: names().map(|label| model.expected.get(label).copied()).collect(),
            drift: model.reference.as_ref().map(|reference| Drift::new(reference, now)),
        }
    }

    /// Counts one text: its scores, one a label, and the labels that hold.
    pub(crate) fn count(&self, scores: &[f32], holding: &[usize]) {
        self.scores.iter().zip(scores).for_each(|(histogram, &score)| histogram.observe(f64::from(score)));
        holding.iter().filter_map(|&label| self.positives.get(label)).for_each(IntCounter::inc);
        if let Some(drift) = &self.drift {
            drift.scored(scores);
        }
    }

    /// How the labels of `model`, whose texts these are, stand.
    pub(crate) fn info(&self, model: &ServedModel, now: Instant) -> LabelsInfo {
        let reading = self.drift.as_ref().map(|drift| drift.read(now));
        let drift = |label: usize| Some(*reading.as_ref()?.index.as_ref()?.get(label)?);
        let labels = model.decider.labels().names().iter().zip(&self.expected).enumerate();
        let labels = labels.map(|(at, (name, &expected))| LabelInfo { name: name.clone(), expected, drift: drift(at) });
        LabelsInfo {
            model: model.name.clone(),
            version: model.version.clone(),
            texts: reading.as_ref().map(|DriftReading { texts, .. }| *texts),
            labels: labels.collect(),
        }
    }
}
