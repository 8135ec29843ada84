//! The cuts of one label, what each would give, and the best of them by each measure.
//!
//! A cut lies half-way between two neighbouring distinct scores, or half-way between the lowest
//! score and 0, where everything is predicted; so equal scores are never parted, and what a cut
//! promises is what `score >= threshold` gives.

use crate::decide::Probabilities;
use crate::spec::Targets;

/// Where a label is cut, and what is predicted then.
struct Cut {
    at: f64,
    /// Rows at or above.
    predicted: u64,
    /// Those of them that hold the label.
    found: u64,
    /// The sum of their probabilities: how many of them should hold it.
    expected: f64,
}

/// One label's cuts, the highest first.
pub(super) struct LabelCuts {
    cuts: Vec<Cut>,
    /// Rows that hold the label.
    support: u64,
}

impl LabelCuts {
    pub(super) fn of(probabilities: &Probabilities, targets: &Targets, label: usize) -> Self {
        let mut cells: Vec<(f32, bool)> = probabilities.column(label).zip(targets.column(label)).collect();
        cells.sort_by(|left, right| right.0.total_cmp(&left.0));
        let (mut cuts, mut found, mut expected) = (Vec::new(), 0, 0.0);
        for (index, (score, held)) in cells.iter().enumerate() {
            found += u64::from(*held);
            expected += f64::from(*score);
            let next = cells.get(index + 1).map(|cell| cell.0);
            if next != Some(*score) {
                let at = half_way(next.unwrap_or(0.0), *score);
                cuts.push(Cut { at, predicted: index as u64 + 1, found, expected });
            }
        }
        Self { cuts, support: found }
    }

    /// The cut with the best F1, of equals the one nearest one half; none when no row holds the label.
    pub(super) fn best_f1(&self) -> Option<f64> {
        if self.support == 0 {
            return None;
        }
        // F1 is `2 found / (predicted + support)`: compared as whole numbers, so that equal is equal.
        let better = |one: &&Cut, other: &&Cut| {
            let (left, right) = (one.found * (other.predicted + self.support), other.found * (one.predicted + self.support));
            left.cmp(&right).then_with(|| from_half(other.at).total_cmp(&from_half(one.at)))
        };
        // From below, because of equals the last is taken: the higher.
        self.cuts.iter().rev().max_by(better).map(|cut| cut.at)
    }

    /// The threshold that maximises F1 as the probabilities themselves expect it:
    /// `2 sum(p >= t) p / (count(p >= t) + sum p)` (Lewis 1995, "Evaluating and optimizing
    /// autonomous text classification systems"; Ye et al. 2012, "Optimizing F-measures: a tale of two
    /// approaches"). It is half of that maximum (Lipton, Elkan and Narayanaswamy 2014, "Optimal
    /// thresholding of classifiers to maximize F1 measure"), which lies between the last score
    /// that is worth predicting and the first that is not.
    ///
    /// The truth enters through the calibrator alone, so that a rare label's threshold rests on all
    /// rows. None when no row holds the label, or all probabilities are zero.
    pub(super) fn expected_f1(&self) -> Option<f64> {
        let mass = self.cuts.last().map_or(0.0, |cut| cut.expected);
        let half_of = |cut: &Cut| cut.expected / (cut.predicted as f64 + mass);
        let most = self.cuts.iter().map(half_of).fold(0.0, f64::max);
        (self.support > 0 && most > 0.0).then_some(most)
    }

    /// The lowest cut whose precision is at least `target`; none when no cut's is.
    pub(super) fn precision(&self, target: f64) -> Option<f64> {
        let enough = |cut: &&Cut| cut.found as f64 / cut.predicted as f64 >= target;
        self.cuts.iter().rev().find(enough).map(|cut| cut.at)
    }

    /// The highest cut whose recall is at least `target`; none when no row holds the label.
    pub(super) fn recall(&self, target: f64) -> Option<f64> {
        let enough = |cut: &&Cut| cut.found as f64 / self.support as f64 >= target;
        self.cuts.iter().find(enough).map(|cut| cut.at)
    }
}

/// In double precision the half-way point of two distinct singles lies strictly between them.
pub(super) fn half_way(below: f32, above: f32) -> f64 {
    f64::midpoint(f64::from(below), f64::from(above))
}

/// The distance of a cut from one half.
pub(super) fn from_half(cut: f64) -> f64 {
    (cut - 0.5).abs()
}
