//! True and false, positive and negative; and what follows from the four numbers.

/// One label's confusion counts, or the sum over several labels'.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Predicted and true.
    pub true_positives: u64,
    /// Predicted and not true.
    pub false_positives: u64,
    /// Not predicted though true.
    pub false_negatives: u64,
    /// Neither predicted nor true.
    pub true_negatives: u64,
}

impl Counts {
    /// Adds `times` rows that were `predicted` so and are `held` so.
    pub fn add(&mut self, predicted: bool, held: bool, times: u64) {
        let cell = match (predicted, held) {
            (true, true) => &mut self.true_positives,
            (true, false) => &mut self.false_positives,
            (false, true) => &mut self.false_negatives,
            (false, false) => &mut self.true_negatives,
        };
        *cell += times;
    }

    /// Both counts together.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            true_positives: self.true_positives + other.true_positives,
            false_positives: self.false_positives + other.false_positives,
            false_negatives: self.false_negatives + other.false_negatives,
            true_negatives: self.true_negatives + other.true_negatives,
        }
    }

    /// Rows that hold the label.
    #[must_use]
    pub fn support(&self) -> u64 {
        self.true_positives + self.false_negatives
    }

    /// Rows for which the label was predicted.
    #[must_use]
    pub fn predicted(&self) -> u64 {
        self.true_positives + self.false_positives
    }

    /// Share of the predicted that is true, 0 when nothing was predicted.
    #[must_use]
    pub fn precision(&self) -> f64 {
        ratio(self.true_positives, self.predicted())
    }

    /// Share of the true that was predicted, 0 when nothing is true.
    #[must_use]
    pub fn recall(&self) -> f64 {
        ratio(self.true_positives, self.support())
    }

    /// Share of the decisions that are right, 0 without any.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        let right = self.true_positives + self.true_negatives;
        ratio(right, right + self.false_positives + self.false_negatives)
    }

    /// `2 tp / (2 tp + fp + fn)`, the harmonic mean of precision and recall; 0 when nothing was
    /// predicted and nothing is true.
    #[must_use]
    pub fn f1(&self) -> f64 {
        ratio(2 * self.true_positives, self.support() + self.predicted())
    }
}

pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn f1_is_the_harmonic_mean(tp in 0..50u64, fp in 0..50u64, missed in 0..50u64) {
            let counts = Counts { true_positives: tp, false_positives: fp, false_negatives: missed, true_negatives: 7 };
            let (precision, recall) = (counts.precision(), counts.recall());
            let expected = if tp == 0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) };
            prop_assert!((counts.f1() - expected).abs() < 1e-12);
            prop_assert!(counts.f1() <= precision.max(recall) + 1e-12 && counts.f1() >= precision.min(recall) - 1e-12);
        }
    }

    #[test]
    fn nothing_over_nothing_is_zero() {
        let counts = Counts { true_negatives: 9, ..Counts::default() };
        assert_eq!([counts.precision(), counts.recall(), counts.f1()], [0.0; 3]);
    }
}
