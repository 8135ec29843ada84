//! One fit of a run with what comes before it: soft labels, and the weights it begins with.
//!
//! [`fit`] takes rows, answers and a loss, and does not know where they come from. Here they come
//! together, for folds, refits and whatever else a run's structure asks for.

use super::TrainError;
use super::cross::Ground;
use super::distil::soften;
use super::fit::{FitPlan, Fitted, fit};
use super::journal::Journal;
use super::learner::{Learner, network};

/// Runs the plan as the recipe says one learns.
pub(super) fn learn(ground: &Ground<'_>, plan: FitPlan<'_>, journal: &mut Journal<'_>) -> Result<Fitted, TrainError> {
    let taught = match &plan.recipe.distil {
        Some(recipe) => Some(soften(ground, recipe, &plan, journal)?),
        None => None,
    };
    let learner = Learner::new(&ground.start.network, &ground.start.weights, plan.recipe).map_err(network("base model"))?;
    fit(&FitPlan { taught, ..plan }, learner, journal)
}
