//! From folds to the model that ships, and to what is known of it.
//!
//! The order is what keeps the figures honest: rows are judged before any model that will be
//! reported on them sees them, and the held-out file is measured before it may be fitted on.

use super::TrainError;
use super::claims;
use super::cross::{Encoded, Ground, fit_folds, fit_whole, fold_weights, pack};
use super::data::Dataset;
use super::fit::FitRecord;
use super::groups::Groups;
use super::held_out::HeldOut;
use super::journal::Journal;
use super::merge;
use super::oof::{JudgedRows, PolicyReport, calibrate};
use super::outcome::{Kind, Outcome};
use super::recipe::FinalFit;
use super::report::Drift;
use super::split::Folds;
use super::written::Written;
use crate::bundle::{AdapterFiles, MeasuredSet, PackedWeights, ScoreReference};
use crate::decide::Decider;
use crate::metrics::Resampling;
use crate::nn::Snapshot;

/// A model, and what was seen of it on the way.
pub(super) struct Made {
    pub(super) model: Model,
    pub(super) seen: Seen,
    /// Share of the schedule that a fit without held-out rows runs.
    share: f64,
}

/// What ships.
pub(super) struct Model {
    pub(super) weights: PackedWeights,
    /// The adapter that they hold merged, where it ships by itself too.
    pub(super) adapter: Option<AdapterFiles>,
    pub(super) decider: Decider,
    /// The scores that the decider was fitted on, as seen out of fold.
    pub(super) scores: ScoreReference,
    /// The rows that the weights were fitted on.
    pub(super) trained: Dataset,
}

/// What is reported.
pub(super) struct Seen {
    /// In the order fitted.
    pub(super) fits: Vec<FitRecord>,
    pub(super) sets: Vec<MeasuredSet>,
    /// Where the model's thresholds come from.
    pub(super) policy: PolicyReport,
    pub(super) drift: Option<Drift>,
    pub(super) warnings: Vec<String>,
}

/// Fits the folds, calibrators and thresholds, and the model that ships; measures on the way.
pub(super) fn make(
    ground: &Ground<'_>,
    folds: &Folds,
    groups: &Groups,
    dev: Option<&Encoded>,
    journal: &mut Journal<'_>,
) -> Result<Made, TrainError> {
    let (recipe, train) = (ground.recipe, ground.train);
    let out_of_fold = fit_folds(ground, folds, journal)?;
    let judged = JudgedRows::new(&out_of_fold, &train.data, folds, groups)?;
    let calibration = calibrate(recipe, &judged)?;
    let mut measured = claims::out_of_fold(recipe, &judged, &calibration, resampling(ground))?;
    measured.tuned.overall.extend(out_of_fold.written.iter().flat_map(Written::figures));
    let outcome = Outcome::cross_fitted(Kind::OutOfFold, &measured.name, recipe, &judged, &calibration.honest)?;
    outcome.write(&ground.run.join(ground.under))?;
    let share = share(&out_of_fold.records);
    let mut fits = out_of_fold.records;
    let (weights, trained) = if recipe.final_fit == FinalFit::Fold {
        let fold = folds.fitted().start;
        (fold_weights(ground, fold)?, train.data.select(&folds.trained(fold)))
    } else {
        let (weights, record) = fit_whole(ground, "refit", train.rows(), share, journal)?;
        fits.push(record);
        (weights, train.data.clone())
    };
    let scores = calibration.scores(&measured.name, &judged)?;
    let model = Model {
        weights: pack(ground, &weights, recipe.bundle.precision)?,
        adapter: adapter(ground, &weights)?,
        decider: calibration.decider,
        scores,
        trained,
    };
    let seen = Seen { fits, sets: vec![measured], policy: calibration.policy, drift: None, warnings: calibration.warnings };
    let mut made = Made { model, seen, share };
    let Some(dev) = dev else { return Ok(made) };
    let held_out = made.measure_on(ground, dev, &weights)?;
    if recipe.final_fit == FinalFit::RefitWithDev {
        made.fit_with(ground, &held_out, &judged, journal)?;
    }
    Ok(made)
}

impl Made {
    /// Measures this model on a file that it did not see.
    fn measure_on<'a>(&mut self, ground: &Ground<'_>, dev: &'a Encoded, weights: &Snapshot) -> Result<HeldOut<'a>, TrainError> {
        let Self { model, seen, .. } = self;
        let held_out = HeldOut::judge(ground, &model.weights, dev)?;
        let [mut calibrated, uncalibrated] = claims::held_out(ground.recipe, &model.decider, &held_out, resampling(ground))?;
        let outcome = Outcome::held_out(&calibrated.name, ground.recipe, &dev.data, &held_out.logits, &model.decider)?;
        outcome.write(&ground.run.join(ground.under))?;
        let drift = held_out.drift(ground, &model.decider, weights)?;
        calibrated.tuned.overall.extend(drift.figures());
        seen.sets.extend([calibrated, uncalibrated]);
        seen.drift = Some(drift);
        seen.warnings.extend(held_out.warning());
        Ok(held_out)
    }

    /// Becomes the model fitted on both files, with calibrators and thresholds fitted on the rows of
    /// both: `judged` by the folds, and held out until here.
    fn fit_with(
        &mut self,
        ground: &Ground<'_>,
        held_out: &HeldOut<'_>,
        judged: &JudgedRows,
        journal: &mut Journal<'_>,
    ) -> Result<(), TrainError> {
        let recipe = ground.recipe;
        let judged = held_out.added_to(judged)?;
        let calibration = calibrate(recipe, &judged)?;
        let measured = claims::with_dev(recipe, &judged, &calibration, held_out, resampling(ground))?;
        let outcome = Outcome::cross_fitted(Kind::WithDev, &measured.name, recipe, &judged, &calibration.honest)?;
        outcome.write(&ground.run.join(ground.under))?;
        let both = ground.train.join(held_out.rows)?;
        let (weights, record) = fit_whole(ground, "final", both.rows(), self.share, journal)?;
        let scores = calibration.scores(&measured.name, &judged)?;
        self.model = Model {
            weights: pack(ground, &weights, recipe.bundle.precision)?,
            adapter: adapter(ground, &weights)?,
            decider: calibration.decider,
            scores,
            trained: both.data,
        };
        self.seen.sets.push(measured);
        self.seen.fits.push(record);
        self.seen.policy = calibration.policy;
        self.seen.warnings.extend(calibration.warnings);
        Ok(())
    }
}

fn adapter(ground: &Ground<'_>, learnt: &Snapshot) -> Result<Option<AdapterFiles>, TrainError> {
    ground.recipe.bundle.adapter.then(|| merge::files(ground, learnt)).transpose()
}

fn resampling(ground: &Ground<'_>) -> Resampling {
    Resampling { seed: ground.recipe.train.seed, ..Resampling::default() }
}

/// The share of the schedule after which a fit without held-out rows ends: that which the folds' kept
/// weights had run, on average. One unless folds end with their best evaluation.
fn share(records: &[FitRecord]) -> f64 {
    let shares = records.iter().map(|record| record.kept_step as f64 / record.steps_planned as f64);
    shares.sum::<f64>() / records.len() as f64
}
