//! Fitting thresholds by a policy.
//!
//! Several policies may be tried on the same probabilities; what they share is worked out once.

use std::cell::OnceCell;

use rayon::prelude::*;

use super::cuts::{LabelCuts, from_half, half_way};
use super::objective::{Follows, Jaccard, MacroF1};
use super::{Doubt, ThresholdPolicy, Warning};
use crate::decide::{DecideError, Probabilities, Thresholds};
use crate::spec::Targets;

/// The threshold of a label that nothing could be tuned for: no row holds it, or its target is out
/// of reach.
pub const DEFAULT_THRESHOLD: f64 = 0.5;

/// Thresholds by `policy`, and a warning for every label that no row holds or whose target precision
/// is out of reach: under a policy that tunes label by label it gets [`DEFAULT_THRESHOLD`].
///
/// # Errors
/// [`DecideError::Shape`] when rows or labels differ or there is no row;
/// [`DecideError::Parameter`] for a policy's number outside `[0, 1]`, or a target of 0.
pub fn fit_thresholds(
    policy: ThresholdPolicy,
    probabilities: &Probabilities,
    targets: &Targets,
) -> Result<(Thresholds, Vec<Warning>), DecideError> {
    Tuner::new(probabilities, targets)?.fit(policy)
}

/// Calibrated probabilities and their truth, to fit thresholds on.
pub(super) struct Tuner<'a> {
    probabilities: &'a Probabilities,
    targets: &'a Targets,
    labels: OnceCell<Vec<LabelCuts>>,
    jaccard: OnceCell<f64>,
}

impl<'a> Tuner<'a> {
    /// # Errors
    /// [`DecideError::Shape`] when rows or labels differ or there is no row.
    pub(super) fn new(probabilities: &'a Probabilities, targets: &'a Targets) -> Result<Self, DecideError> {
        let same = |what, expected, found| if expected == found { Ok(()) } else { Err(DecideError::Shape { what, expected, found }) };
        same("labels in the targets", probabilities.labels(), targets.labels())?;
        same("rows of targets", probabilities.rows(), targets.rows())?;
        if targets.rows() == 0 {
            return Err(DecideError::Shape { what: "row or more", expected: 1, found: 0 });
        }
        Ok(Self { probabilities, targets, labels: OnceCell::new(), jaccard: OnceCell::new() })
    }

    /// # Errors
    /// [`DecideError::Parameter`] for a policy's number outside its range.
    pub(super) fn fit(&self, policy: ThresholdPolicy) -> Result<(Thresholds, Vec<Warning>), DecideError> {
        policy.check()?;
        let labels = self.targets.labels();
        let values = match policy {
            ThresholdPolicy::Fixed(value) => vec![Some(value); labels],
            ThresholdPolicy::GlobalF1 => vec![Some(global(&mut MacroF1::new(self.targets), self.probabilities)); labels],
            ThresholdPolicy::PerLabelF1 { shrink } => self.pulled(shrink, LabelCuts::best_f1),
            ThresholdPolicy::ExpectedF1 { shrink } => self.pulled(shrink, LabelCuts::expected_f1),
            ThresholdPolicy::TargetPrecision(target) => self.each(|cuts| cuts.precision(target)),
            ThresholdPolicy::TargetRecall(target) => self.each(|cuts| cuts.recall(target)),
        };
        let doubt = |label: usize| match values[label] {
            _ if self.targets.positives(label) == 0 => Some(Doubt::NoPositives),
            None => Some(Doubt::OutOfReach),
            Some(_) => None,
        };
        let warnings = (0..labels).filter_map(|label| doubt(label).map(|doubt| Warning { label, fold: None, doubt })).collect();
        Ok((Thresholds::new(values.into_iter().map(|value| value.unwrap_or(DEFAULT_THRESHOLD)).collect())?, warnings))
    }

    fn each(&self, tuned: impl Fn(&LabelCuts) -> Option<f64>) -> Vec<Option<f64>> {
        let cut = |label: usize| LabelCuts::of(self.probabilities, self.targets, label);
        let all = || (0..self.targets.labels()).into_par_iter().map(cut).collect();
        self.labels.get_or_init(all).iter().map(tuned).collect()
    }

    /// Each label's threshold, pulled towards the one cut that is best for the Jaccard index.
    fn pulled(&self, shrink: f64, tuned: impl Fn(&LabelCuts) -> Option<f64>) -> Vec<Option<f64>> {
        let prior = *self.jaccard.get_or_init(|| global(&mut Jaccard::new(self.targets), self.probabilities));
        self.each(|cuts| tuned(cuts).map(|tuned| shrink * prior + (1.0 - shrink) * tuned))
    }
}

/// The one cut for all labels at which `objective` is best, of equals the one nearest one half.
fn global(objective: &mut impl Follows, probabilities: &Probabilities) -> f64 {
    let labels = probabilities.labels();
    let values = probabilities.values();
    let mut cells: Vec<usize> = (0..values.len()).collect();
    cells.sort_by(|left, right| values[*right].total_cmp(&values[*left]));
    let mut best = (f64::NEG_INFINITY, DEFAULT_THRESHOLD);
    for (index, cell) in cells.iter().enumerate() {
        objective.predict(cell / labels, cell % labels);
        let next = cells.get(index + 1).map_or(0.0, |next| values[*next]);
        if index + 1 < cells.len() && next == values[*cell] {
            continue;
        }
        let (value, cut) = (objective.value(), half_way(next, values[*cell]));
        if value > best.0 || (value == best.0 && from_half(cut) < from_half(best.1)) {
            best = (value, cut);
        }
    }
    best.1
}
