//! The held-out file: measured, never tuned on; and, when the recipe asks for it, fitted on in the
//! end, after it was measured.

use super::TrainError;
use super::cross::{Encoded, Ground, pack, packed_logits};
use super::groups::Groups;
use super::oof::JudgedRows;
use super::report::Drift;
use crate::bundle::PackedWeights;
use crate::decide::{Decider, Logits, Probabilities};
use crate::metrics::Report;
use crate::nn::Snapshot;
use crate::spec::{Precision, Targets};

/// The held-out file's rows as judged by a model that did not see them.
pub(super) struct HeldOut<'a> {
    pub(super) rows: &'a Encoded,
    pub(super) logits: Logits,
    /// Rows that have no near duplicate in the training file.
    fresh: Vec<usize>,
}

impl<'a> HeldOut<'a> {
    /// Judges the rows with weights as they are stored.
    pub(super) fn judge(ground: &Ground<'_>, stored: &PackedWeights, rows: &'a Encoded) -> Result<Self, TrainError> {
        Ok(Self { rows, logits: packed_logits(ground, stored, &rows.rows().encodings)?, fresh: fresh(ground.train, rows) })
    }

    pub(super) fn targets(&self) -> &'a Targets {
        self.rows.data.targets()
    }

    /// How many rows have a near duplicate in the training file, which flatters figures on them.
    pub(super) fn twins(&self) -> usize {
        self.targets().rows() - self.fresh.len()
    }

    pub(super) fn warning(&self) -> Option<String> {
        let rows = self.targets().rows();
        (self.twins() > 0).then(|| format!("{} of {rows} held-out texts have a near duplicate in the training file", self.twins()))
    }

    /// The rows judged by the folds, with these as one more part; without those that have a near
    /// duplicate in the training file, since the model that judged them saw it.
    pub(super) fn added_to(&self, judged: &JudgedRows) -> Result<JudgedRows, TrainError> {
        judged.and(&self.rows.data.select(&self.fresh), &self.logits.select(&self.fresh))
    }

    /// Compares the stored precision with full precision on these rows.
    pub(super) fn drift(&self, ground: &Ground<'_>, decider: &Decider, weights: &Snapshot) -> Result<Drift, TrainError> {
        let full = packed_logits(ground, &pack(ground, weights, Precision::Fp32)?, &self.rows.rows().encodings)?;
        let largest = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
        let (one, other) = (decider.probabilities(&self.logits), decider.probabilities(&full));
        let macro_f1 = |probabilities: &Probabilities| -> Result<f64, TrainError> {
            Ok(Report::measure(probabilities, self.targets(), decider.thresholds())?.summary.macro_f1)
        };
        Ok(Drift {
            macro_f1: macro_f1(&one)? - macro_f1(&other)?,
            max_probability: largest(one.values(), other.values()),
            max_logit: largest(self.logits.values(), full.values()),
        })
    }
}

/// Rows of `dev` that have no near duplicate in `train`.
fn fresh(train: &Encoded, dev: &Encoded) -> Vec<usize> {
    let texts = train.data.examples().iter().chain(dev.data.examples()).map(|example| example.text.as_str());
    let (groups, seen) = (Groups::find(texts), train.encodings.len());
    // A group's rows ascend, so its first tells whether it reaches into the training file.
    (0..dev.encodings.len()).filter(|row| groups.members()[groups.of_row()[seen + row]][0] >= seen).collect()
}
