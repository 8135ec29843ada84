//! The folds: each fitted on the others' rows, each judging its own, each once.
//!
//! A finished fold leaves `outcome.json`, written whole, and is not fitted again. Its logits come
//! from weights in the precision that will ship, so that calibrators fitted on them belong to that
//! precision.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoints;
use super::data::Dataset;
use super::fit::{FitPlan, FitRecord, fit};
use super::journal::Journal;
use super::learner::{Learner, network};
use super::recipe::Recipe;
use super::rows::Rows;
use super::split::Folds;
use super::start::Start;
use super::{TrainError, files, predict};
use crate::bundle::PackedWeights;
use crate::decide::Logits;
use crate::nn::{Missing, Snapshot, Weights};
use crate::spec::Precision;
use crate::text::Encoding;

/// A data set and its encodings, row by row.
pub(super) struct Encoded {
    pub(super) data: Dataset,
    pub(super) encodings: Vec<Encoding>,
}

impl Encoded {
    pub(super) fn rows(&self) -> Rows<'_> {
        Rows::all(&self.data, &self.encodings)
    }
}

/// What the fits of a run share.
pub(super) struct Ground<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) start: &'a Start,
    pub(super) train: &'a Encoded,
    pub(super) run: &'a Path,
    pub(super) interrupt: &'a dyn Fn(&str, u64) -> bool,
}

/// What a finished fold leaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FoldOutcome {
    pub(super) fold: usize,
    pub(super) record: FitRecord,
    /// Held-out rows, by position in the training file.
    pub(super) rows: Vec<usize>,
    /// Their logits, row-major.
    pub(super) logits: Vec<f32>,
}

/// Logits of every training row from the one fold that did not see it.
pub(super) struct OutOfFold {
    pub(super) logits: Logits,
    pub(super) records: Vec<FitRecord>,
}

/// Fits every fold that is not finished, and joins their held-out logits.
pub(super) fn fit_folds(ground: &Ground<'_>, folds: &Folds, journal: &mut Journal<'_>) -> Result<OutOfFold, TrainError> {
    let labels = ground.recipe.data.labels.len();
    let mut values = vec![f32::NAN; ground.train.encodings.len() * labels];
    let mut records = Vec::new();
    for fold in 0..folds.k() {
        let outcome = fit_fold(ground, folds, fold, journal)?;
        for (&row, logits) in outcome.rows.iter().zip(outcome.logits.chunks_exact(labels)) {
            values[row * labels..(row + 1) * labels].copy_from_slice(logits);
        }
        records.push(outcome.record);
    }
    Ok(OutOfFold { logits: Logits::new(labels, values)?, records })
}

fn fit_fold(ground: &Ground<'_>, folds: &Folds, fold: usize, journal: &mut Journal<'_>) -> Result<FoldOutcome, TrainError> {
    let phase = format!("fold-{fold}");
    let folder = ground.run.join(&phase);
    let path = folder.join("outcome.json");
    let rows = folds.held_out(fold);
    if let Some(outcome) = files::read_json::<FoldOutcome>(&path)? {
        check_outcome(&path, &outcome, fold, &rows)?;
        journal.say(&format!("{phase}: finished before, skipped"));
        return Ok(outcome);
    }
    files::folder(&folder)?;
    let select = |rows: &[usize]| Rows::select(&ground.train.data, &ground.train.encodings, rows);
    let plan = FitPlan {
        phase: &phase,
        folder: &folder,
        recipe: ground.recipe,
        trained: select(&folds.trained(fold)),
        held_out: Some(select(&rows)),
        share: 1.0,
        interrupt: ground.interrupt,
    };
    let learner = Learner::new(&ground.start.network, &ground.start.weights, ground.recipe).map_err(network("base model"))?;
    let fitted = fit(&plan, learner, journal)?;
    let packed = pack(&fitted.weights, ground.recipe.bundle.precision)?;
    let logits = packed_logits(ground, &packed, &select(&rows).encodings)?;
    let outcome = FoldOutcome { fold, record: fitted.record, rows, logits: logits.values().to_vec() };
    files::write_json(&path, &outcome)?;
    Checkpoints::new(&folder).clear()?;
    Ok(outcome)
}

fn check_outcome(path: &Path, outcome: &FoldOutcome, fold: usize, rows: &[usize]) -> Result<(), TrainError> {
    if outcome.fold == fold && outcome.rows == rows {
        return Ok(());
    }
    Err(TrainError::RunFolder {
        path: path.to_owned(),
        expected: format!("fold {fold} with {} held-out rows of folds.json", rows.len()),
        found: format!("fold {} with {} others", outcome.fold, outcome.rows.len()),
    })
}

/// Fits once more, on every row.
///
/// When folds ended with their best evaluation, the refit, which has no rows to be judged on, ends
/// after the share of the schedule that their best had run, on average.
pub(super) fn refit(ground: &Ground<'_>, records: &[FitRecord], journal: &mut Journal<'_>) -> Result<(Snapshot, FitRecord), TrainError> {
    let folder = ground.run.join("refit");
    files::folder(&folder)?;
    let (weights, record) = (folder.join("weights.safetensors"), folder.join("record.json"));
    if let Some(record) = files::read_json(&record)? {
        journal.say("refit: finished before, skipped");
        let weights = Snapshot::from_safetensors(&files::read(&weights)?).map_err(network(&weights.display().to_string()))?;
        return Ok((weights, record));
    }
    let shares = records.iter().map(|record| record.kept_step as f64 / record.steps_planned as f64);
    let plan = FitPlan {
        phase: "refit",
        folder: &folder,
        recipe: ground.recipe,
        trained: ground.train.rows(),
        held_out: None,
        share: shares.sum::<f64>() / records.len() as f64,
        interrupt: ground.interrupt,
    };
    let learner = Learner::new(&ground.start.network, &ground.start.weights, ground.recipe).map_err(network("base model"))?;
    let fitted = fit(&plan, learner, journal)?;
    files::write(&weights, &fitted.weights.to_safetensors().map_err(network("refit"))?)?;
    files::write_json(&record, &fitted.record)?;
    Checkpoints::new(&folder).clear()?;
    Ok((fitted.weights, fitted.record))
}

/// The weights as they would be stored.
pub(super) fn pack(weights: &Snapshot, precision: Precision) -> Result<PackedWeights, TrainError> {
    Ok(PackedWeights::pack(&weights.to_safetensors().map_err(network("weights"))?, precision)?)
}

/// Logits of the weights as they would be computed with after storing.
pub(super) fn packed_logits(ground: &Ground<'_>, packed: &PackedWeights, encodings: &[&Encoding]) -> Result<Logits, TrainError> {
    let start = ground.start;
    let weights = Weights::from_safetensors(packed.image(), &start.network.params(), Missing::Refuse).map_err(network("packed weights"))?;
    predict::logits(&start.network, &weights, encodings, ground.recipe.train.shards)
}
