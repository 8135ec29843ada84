//! One fit of a run with what comes together in it: soft labels, the weights it begins with, and
//! labels of other data sets that are learnt along.
//!
//! [`fit`] takes rows, answers and a loss, and does not know where they come from. Labels learnt
//! along are further columns of the head (Caruana 1997, "Multitask Learning"), answered by rows of
//! their own; they are cut off at the end, so that nothing behind a fit knows of them.

use super::TrainError;
use super::cross::Ground;
use super::distil::soften;
use super::fit::{FitPlan, Fitted, fit};
use super::journal::Journal;
use super::learner::{Learner, network};
use super::network::Network;
use super::sets::Sets;
use crate::model::SequenceClassifier;

/// Runs the plan as the recipe says one learns.
pub(super) fn learn(ground: &Ground<'_>, plan: FitPlan<'_>, journal: &mut Journal<'_>) -> Result<Fitted, TrainError> {
    let taught = match &plan.recipe.distil {
        Some(recipe) => Some(soften(ground, recipe, &plan, journal)?),
        None => None,
    };
    let plan = FitPlan { taught, ..plan };
    let start = ground.start;
    let Some(sets) = ground.along else {
        let learner = Learner::new(start.network.network(), &start.weights, plan.recipe)?;
        return fit(&plan, learner, journal);
    };
    let wide = SequenceClassifier::new(&start.config, plan.recipe.model.pooling, sets.columns());
    let wide = wide.map_err(|source| TrainError::Config { path: "config.json".into(), source })?;
    let plan = along(plan, sets);
    let learner = Learner::new(Network::Labels(&wide), &start.weights, plan.recipe)?;
    let fitted = fit(&plan, learner, journal)?;
    let weights = fitted.weights.leading(&start.network.network().params()).map_err(network(plan.phase))?;
    Ok(Fitted { weights, ..fitted })
}

/// The plan with the sets' rows and columns beside its own.
fn along<'a>(plan: FitPlan<'a>, sets: &'a Sets) -> FitPlan<'a> {
    let columns = sets.columns();
    let own = plan.trained.answering(plan.trained.answers.widened(columns));
    let rows = sets.rows();
    let taught = plan.taught.map(|taught| taught.widened(columns).joined(&rows.answers));
    FitPlan { trained: own.joined(rows), taught, factors: Some(sets.weights()), ..plan }
}
