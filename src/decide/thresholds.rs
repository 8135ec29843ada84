//! Where a probability becomes a yes. The rule is `score >= threshold`, here and nowhere else.

use super::{DecideError, Probabilities};
use crate::spec::Targets;

/// One threshold in `[0, 1]` for each label.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds(Vec<f64>);

impl Thresholds {
    /// Takes one threshold a label, in label order.
    ///
    /// # Errors
    /// [`DecideError::Shape`] without any; [`DecideError::Parameter`] for one that is no number in
    /// `[0, 1]`.
    pub fn new(values: Vec<f64>) -> Result<Self, DecideError> {
        if values.is_empty() {
            return Err(DecideError::Shape { what: "thresholds or more", expected: 1, found: 0 });
        }
        if let Some(value) = values.iter().find(|value| !(0.0..=1.0).contains(*value)) {
            return Err(DecideError::Parameter { what: "threshold", value: *value, expected: "a number in [0, 1]" });
        }
        Ok(Self(values))
    }

    /// The same threshold for each of `labels`.
    ///
    /// # Errors
    /// As [`Thresholds::new`].
    pub fn uniform(labels: usize, value: f64) -> Result<Self, DecideError> {
        Self::new(vec![value; labels])
    }

    /// The thresholds in label order, at least one.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// Whether a score is enough for a label: it reaches the threshold or passes it.
    ///
    /// # Panics
    /// When `label` is out of range.
    #[must_use]
    pub fn holds(&self, label: usize, score: f32) -> bool {
        f64::from(score) >= self.0[label]
    }

    /// The decision for every row and label.
    ///
    /// # Errors
    /// [`DecideError::Shape`] when there are more or fewer labels than thresholds.
    pub fn decide(&self, probabilities: &Probabilities) -> Result<Targets, DecideError> {
        let labels = self.0.len();
        if probabilities.labels() != labels {
            return Err(DecideError::Shape { what: "labels a row", expected: labels, found: probabilities.labels() });
        }
        let values = probabilities.values().iter().enumerate().map(|(cell, score)| self.holds(cell % labels, *score)).collect();
        Ok(Targets::new(probabilities.rows(), labels, values).expect("one decision a probability; anything else is a bug"))
    }
}
