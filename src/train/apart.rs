//! Folds fitted apart, each by a process of its own and perhaps on a machine of its own, and the process
//! that joins them.
//!
//! [`fit_fold`] reads everything that a run reads, fits one fold and stops. Everything it writes lies in
//! that fold's folder, `fold-K` (and `seed-S/fold-K` where the recipe repeats), so that processes may share
//! a run folder, or have one each whose folders are copied into one. [`assemble`] does all that is left of
//! the run. It fits no fold: one that is missing, or that was fitted with another recipe, base model, data
//! or split, is named and refused.

use std::io::Write;
use std::path::Path;

use super::TrainError;
use super::cross::{self, Ground};
use super::journal::Journal;
use super::recipe::Recipe;
use super::repeat;
use super::report::RunReport;
use super::run::{RECIPE, Run, Surroundings, run_as, told};
use super::split::Folds;

/// How many folds a recipe may have, for looking through a folder.
const MOST_FOLDS: usize = 1000;

/// Fits fold `fold` of the recipe alone, under every seed that it is repeated with, and leaves the outcome
/// in the run folder. A fold that was stopped continues.
///
/// # Errors
/// [`TrainError::Argument`] when the recipe does not fit this fold; otherwise as [`super::run()`].
pub fn fit_fold(recipe: &Recipe, fold: usize, around: &Surroundings<'_>, out: &mut dyn Write) -> Result<(), TrainError> {
    let fitted = recipe.folds.split.fitted();
    if !fitted.contains(&fold) {
        let expected = format!("a fold from {} to {}, which is what the recipe fits", fitted.start, fitted.end - 1);
        return Err(TrainError::Argument { name: "--fold", expected, found: fold.to_string() });
    }
    let home = around.run.join(format!("fold-{fold}"));
    told((&home, &[]), recipe, around, out, |journal| fit(recipe, fold, around, &home, journal))
}

fn fit(recipe: &Recipe, fold: usize, around: &Surroundings<'_>, home: &Path, journal: &mut Journal<'_>) -> Result<(), TrainError> {
    let mut run = Run::begin(recipe, around, home, journal)?;
    run.stages(around, home, journal)?;
    let ground = run.ground(around);
    cross::fit_fold(&ground, &run.folds, fold, journal)?;
    for &seed in &recipe.repeat {
        repeat::under(&ground, seed, |ground| cross::fit_fold(ground, &run.folds, fold, journal))?;
    }
    journal.say(&format!("fold {fold} of {} is fitted; limbic-train assemble joins all of them", recipe.folds.split));
    Ok(())
}

/// Joins the folds that stand in the run folder: calibrators, thresholds, refit, bundle, report, as
/// [`super::run()`] would have made them.
///
/// # Errors
/// [`TrainError::RunFolder`] naming the fold that is missing or that belongs to another run; otherwise as
/// [`super::run()`].
pub fn assemble(around: &Surroundings<'_>, out: &mut dyn Write) -> Result<RunReport, TrainError> {
    let folders = (0..MOST_FOLDS).map(|fold| around.run.join(format!("fold-{fold}")));
    let candidates = folders.chain([around.run.to_owned()]).map(|folder| folder.join(RECIPE));
    let path = candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| TrainError::RunFolder {
        path: around.run.to_owned(),
        expected: format!("folds that limbic-train fit --fold left, with a {RECIPE}"),
        found: "none".to_owned(),
    })?;
    let recipe = Recipe::load(&path, &[])?;
    run_as(&recipe, around, &demand, out)
}

/// Refuses to go on unless every fold is finished and this run's; the journal then has their steps.
fn demand(ground: &Ground<'_>, folds: &Folds, journal: &mut Journal<'_>) -> Result<(), TrainError> {
    let mut missing = Vec::new();
    let mut look = |ground: &Ground<'_>| -> Result<(), TrainError> {
        for fold in folds.fitted() {
            let home = ground.fold(fold);
            if home.is_dir() {
                ground.identity.expect(&home)?;
            }
            if cross::finished(ground, folds, fold)?.is_none() {
                missing.push(format!("{}fold-{fold}", ground.under));
            }
        }
        Ok(())
    };
    look(ground)?;
    ground.recipe.repeat.iter().try_for_each(|&seed| repeat::under(ground, seed, &mut look))?;
    if !missing.is_empty() {
        return Err(TrainError::RunFolder {
            path: ground.run.to_owned(),
            expected: format!("finished folds of {}, from limbic-train fit --fold", ground.recipe.folds.split),
            found: format!("none in {}", missing.join(", ")),
        });
    }
    let homes = folds.fitted().map(|fold| ground.fold(fold));
    homes.filter(|home| home.join(RECIPE).is_file()).try_for_each(|home| journal.take_in(&home))
}
