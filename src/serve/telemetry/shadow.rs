//! How another model's answers to the same texts compare with those that were given: agreement for
//! each label, and how far its scores lie from the serving model's.

use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, Registry};

use super::make::{counters, gauges};
use super::words::Shadowed;

/// Which of two models decided for a label.
const DECISIONS: [&str; 4] = ["neither", "shadow_only", "serving_only", "both"];

/// The families, over all models that have a shadow.
pub(super) struct ShadowMetrics {
    texts: IntCounterVec,
    decisions: IntCounterVec,
    shift: GaugeVec,
}

impl ShadowMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        const SHIFT: &str = "Mean of the shadow's score less the serving model's, over compared texts.";
        const DECIDED: &str = "Decisions of compared texts, by which of the two models decided for the label.";
        Self {
            texts: counters(registry, "limbic_shadow_texts_total", "Texts that a shadow was to see.", &["model", "outcome"]),
            decisions: counters(registry, "limbic_shadow_decisions_total", DECIDED, &["model", "label", "decision"]),
            shift: gauges(registry, "limbic_shadow_score_shift", SHIFT, &["model", "label"]),
        }
    }
}

/// How a shadow's answers compare with the serving model's. Belongs to the one thread that
/// compares.
pub struct ShadowFigures {
    texts: [IntCounter; 3],
    labels: Vec<LabelShift>,
    compared: u64,
}

/// One label's part.
struct LabelShift {
    decisions: [IntCounter; 4],
    shift: Gauge,
    sum: f64,
}

/// One label of one text, as two models see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The serving model's score, and whether it decided for the label.
    pub serving: (f32, bool),
    /// The shadow's.
    pub shadow: (f32, bool),
}

impl ShadowFigures {
    pub(super) fn new(metrics: &ShadowMetrics, model: &str, labels: &[&str]) -> Self {
        let decisions = |label| DECISIONS.map(|decision| metrics.decisions.with_label_values(&[model, label, decision]));
        let shift = |label| metrics.shift.with_label_values(&[model, label]);
        Self {
            texts: Shadowed::ALL.map(|outcome| metrics.texts.with_label_values(&[model, outcome.name()])),
            labels: labels.iter().map(|&label| LabelShift { decisions: decisions(label), shift: shift(label), sum: 0.0 }).collect(),
            compared: 0,
        }
    }

    /// What became of some texts.
    pub fn texts(&self, outcome: Shadowed, texts: usize) {
        self.texts[outcome as usize].inc_by(texts as u64);
    }

    /// One compared text: a pair a label, in the order the figures were asked for with.
    pub fn compared(&mut self, pairs: impl IntoIterator<Item = Pair>) {
        self.compared += 1;
        for (label, Pair { serving, shadow }) in self.labels.iter_mut().zip(pairs) {
            label.decisions[2 * usize::from(serving.1) + usize::from(shadow.1)].inc();
            label.sum += f64::from(shadow.0) - f64::from(serving.0);
            label.shift.set(label.sum / self.compared as f64);
        }
        // Last, so that whoever sees it counted sees the rest of it too.
        self.texts(Shadowed::Compared, 1);
    }
}
