//! The loss in use, and the proof that it is the recipe's: every row of a fit's first batch is held
//! against the recipe's loss, computed plainly.

use std::sync::Mutex;

use super::objective::Objective;
use crate::nn::{BinaryCrossEntropy, Loss, NnError};

/// The loss that steps use, with a witness that holds every row of the first batch against the
/// recipe's, computed plainly.
pub(super) struct WitnessedLoss {
    fast: BinaryCrossEntropy,
    plain: Objective,
    /// The row furthest off: plain and found.
    worst: Mutex<Option<(f64, f64)>>,
}

impl WitnessedLoss {
    pub(super) fn new(objective: &Objective) -> Result<Self, NnError> {
        Ok(Self { fast: objective.fast()?, plain: objective.clone(), worst: Mutex::new(None) })
    }

    /// The loss without its witness, for all batches but the first.
    pub(super) fn fast(&self) -> &BinaryCrossEntropy {
        &self.fast
    }

    /// Plain and found loss of the row furthest off, once a batch was seen.
    pub(super) fn worst(&self) -> Option<(f64, f64)> {
        *self.worst.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Loss for WitnessedLoss {
    fn labels(&self) -> usize {
        self.fast.labels()
    }

    fn passes(&self) -> usize {
        self.fast.passes()
    }

    fn row(&self, logits: &[f32], targets: &[f32], gradient: &mut [f32]) -> f64 {
        let found = self.fast.row(logits, targets, gradient);
        let plain = self.plain.passes(logits, targets);
        let mut worst = self.worst.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if worst.is_none_or(|(one, other)| (one - other).abs() < (plain - found).abs()) {
            *worst = Some((plain, found));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Targets;
    use crate::train::answers::Answers;
    use crate::train::objective::{LossKind, LossRecipe};
    use crate::train::weights::Weighting;

    fn witness(in_use: LossRecipe, recipe: LossRecipe) -> (f64, f64) {
        let targets = Targets::new(4, 2, vec![true, true, false, true, false, false, false, false]).expect("four rows of two");
        let objective = |recipe| Objective::new(recipe, &Answers::of(&targets));
        let mut loss = WitnessedLoss::new(&objective(in_use)).expect("one weight a label");
        loss.plain = objective(recipe);
        let mut gradient = [0.0; 2];
        assert_eq!(loss.worst(), None);
        for (logits, answers) in [([0.5, -1.0], [1.0, 0.0]), ([-20.0, 3.0], [0.75, 0.5]), ([0.0, 40.0], [f32::NAN, 0.0])] {
            loss.row(&logits, &answers, &mut gradient);
        }
        loss.worst().expect("rows were seen")
    }

    #[test]
    fn the_witness_tells_the_recipes_loss_from_another() {
        let kinds = [
            LossKind::CrossEntropy,
            LossKind::Focal { gamma: 2.0 },
            LossKind::Asymmetric { positive: 1.0, negative: 4.0, margin: 0.05 },
            LossKind::Asymmetric { positive: 1.0, negative: 4.0, margin: 0.0 },
        ];
        let weightings = [Weighting::None, Weighting::ClassWeight, Weighting::PosWeight { cap: 9.0, power: 1.0 }];
        let mut recipes = Vec::new();
        for kind in kinds {
            for weighting in weightings {
                recipes.extend([0.0, 0.1].map(|smoothing| LossRecipe { kind, weighting, smoothing, r_drop: 0.0 }));
            }
        }
        assert_eq!(recipes.len(), 24);
        for (index, &in_use) in recipes.iter().enumerate() {
            for (other, &recipe) in recipes.iter().enumerate() {
                let (plain, found) = witness(in_use, recipe);
                let same = (plain - found).abs() <= 1e-6 * (1.0 + plain);
                assert_eq!(same, index == other, "{plain} against {found}: {in_use:?} for {recipe:?}");
            }
        }
    }

    #[test]
    fn the_witness_sees_both_passes() {
        let loss = |r_drop| LossRecipe { kind: LossKind::CrossEntropy, weighting: Weighting::None, smoothing: 0.1, r_drop };
        let objective = |r_drop| {
            let targets = Targets::new(1, 2, vec![true, false]).expect("one row of two");
            Objective::new(loss(r_drop), &Answers::of(&targets))
        };
        for (in_use, recipe) in [(1.0, 1.0), (2.0, 1.0), (1.0, 2.0)] {
            let mut loss = WitnessedLoss::new(&objective(in_use)).expect("one weight a label");
            loss.plain = objective(recipe);
            assert_eq!(loss.passes(), 2);
            for answers in [[1.0, 0.25], [f32::NAN, 1.0]] {
                loss.row(&[0.5, -1.0, 2.0, 0.7], &answers, &mut [0.0; 4]);
            }
            let (plain, found) = loss.worst().expect("rows were seen");
            assert_eq!((plain - found).abs() < 1e-6, in_use == recipe, "{plain} against {found}");
        }
    }
}
