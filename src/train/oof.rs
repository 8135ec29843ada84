//! From out-of-fold logits to calibrators and thresholds, and to figures that are honest.
//!
//! What ships is fitted on all out-of-fold rows. What is reported about those rows is cross-fitted:
//! the calibrators and thresholds that judge a fold's rows were fitted on the other folds' logits
//! alone, so no row is reported on by numbers tuned on it.

use super::TrainError;
use super::recipe::Recipe;
use super::split::Folds;
use crate::decide::fit::{CrossFitted, cross_fit, fit_all};
use crate::decide::{Decider, Logits};
use crate::spec::{Targets, Task};

/// What a run makes of its out-of-fold logits.
pub(super) struct Calibration {
    /// Ships.
    pub(super) decider: Decider,
    /// Is reported.
    pub(super) honest: CrossFitted,
    /// What could not be fitted.
    pub(super) warnings: Vec<String>,
}

/// Fits the recipe's calibrators and thresholds, on all rows and fold by fold.
pub(super) fn calibrate(recipe: &Recipe, logits: &Logits, targets: &Targets, folds: &Folds) -> Result<Calibration, TrainError> {
    let labels = &recipe.data.labels;
    let fitted = fit_all(logits, targets, folds.of_row(), recipe.calibration, recipe.thresholds)?;
    let honest = cross_fit(logits, targets, folds.of_row(), recipe.calibration, recipe.thresholds)?;
    let warnings = fitted.warnings.iter().chain(&honest.warnings).map(|warning| warning.told(labels)).collect();
    let decider = Decider::new(labels.clone(), Task::MultiLabel.activation(), fitted.calibrators, fitted.thresholds)?;
    Ok(Calibration { decider, honest, warnings })
}
