//! Several passages of one text as one row of scores.

use std::ops::Range;

use super::Probabilities;
use crate::spec::Activation;

/// How the scores of a text's windows become the text's.
///
/// Neither is calibrated for the whole text: each window's scores are. `Max` answers "does it hold
/// anywhere?" and can only grow with more windows; `Mean` answers "how much of the text?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregation {
    /// A label's highest score.
    Max,
    /// A label's mean score.
    Mean,
}

impl Aggregation {
    /// What fits an activation when nothing is asked: the mean keeps a softmax's sum of one, the
    /// maximum keeps what one window is sure of.
    #[must_use]
    pub const fn usual(activation: Activation) -> Self {
        match activation {
            Activation::Sigmoid => Self::Max,
            Activation::Softmax => Self::Mean,
        }
    }

    /// The name used in requests and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Max => "max",
            Self::Mean => "mean",
        }
    }

    /// One row of scores from some rows, at least one.
    ///
    /// # Panics
    /// When the range is empty or leaves the matrix.
    #[must_use]
    pub fn of(self, probabilities: &Probabilities, rows: Range<usize>) -> Vec<f32> {
        assert!(!rows.is_empty(), "a text has at least one passage; this is a bug");
        let column = |label: usize| rows.clone().map(move |row| probabilities.row(row)[label]);
        let score = |label: usize| match self {
            Self::Max => column(label).fold(0.0, f32::max),
            // Rounded back once. A mean of numbers in [0, 1] stays there.
            Self::Mean => (column(label).map(f64::from).sum::<f64>() / rows.len() as f64) as f32,
        };
        (0..probabilities.labels()).map(score).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_passage_is_itself_and_several_are_their_maximum_or_mean() {
        let rows = Probabilities::new(2, vec![0.25, 1.0, 0.75, 0.5, 0.1, 0.3]).expect("in range");
        for (how, range, expected) in [
            (Aggregation::Max, 0..2, [0.75, 1.0]),
            (Aggregation::Mean, 0..2, [0.5, 0.75]),
            (Aggregation::Max, 2..3, [0.1, 0.3]),
            (Aggregation::Mean, 2..3, [0.1, 0.3]),
        ] {
            assert_eq!(how.of(&rows, range.clone()), expected, "{how:?} of {range:?}");
        }
    }
}
