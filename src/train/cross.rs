//! The folds: each fitted on the others' rows, each judging its own, each once.
//!
//! A finished fold leaves `outcome.json`, written whole, and is not fitted again. Its logits come
//! from weights in the precision that will ship, so that calibrators fitted on them belong to that
//! precision.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoints;
use super::data::{DataError, Dataset};
use super::fit::{FitPlan, FitRecord};
use super::identity::Identity;
use super::journal::Journal;
use super::learner::network;
use super::lesson::learn;
use super::merge;
use super::network::Teller;
use super::recipe::{FinalFit, Recipe};
use super::rows::Rows;
use super::sets::Sets;
use super::split::Folds;
use super::start::Start;
use super::teacher::RunTeacher;
use super::written::Written;
use super::{TrainError, files, predict};
use crate::bundle::{FurtherData, PackedWeights};
use crate::decide::Logits;
use crate::nn::{Missing, Snapshot, Weights};
use crate::spec::Precision;
use crate::text::Encoding;

const WEIGHTS: &str = "weights.safetensors";
const OUTCOME: &str = "outcome.json";

/// A data set and its encodings, row by row.
pub(super) struct Encoded {
    pub(super) data: Dataset,
    pub(super) encodings: Vec<Encoding>,
}

impl Encoded {
    pub(super) fn rows(&self) -> Rows<'_> {
        Rows::all(&self.data, &self.encodings)
    }

    /// The given rows, in the order given.
    pub(super) fn select(&self, rows: &[usize]) -> Self {
        Self { data: self.data.select(rows), encodings: rows.iter().map(|&row| self.encodings[row].clone()).collect() }
    }

    /// These rows and the others after them.
    pub(super) fn join(&self, others: &Self) -> Result<Self, DataError> {
        Ok(Self { data: self.data.join(&others.data)?, encodings: [&self.encodings[..], &others.encodings[..]].concat() })
    }
}

/// What the fits of a run share.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) start: &'a Start,
    pub(super) train: &'a Encoded,
    /// Labels learnt along, where there are any.
    pub(super) along: Option<&'a Sets>,
    /// Data beside the run's own that weights have learnt from.
    pub(super) further: &'a [FurtherData],
    /// What teachers begin with, in turn; the run's own start when there is none.
    pub(super) bases: &'a [Start],
    /// The finished run that teaches, where one does.
    pub(super) teacher: Option<&'a RunTeacher>,
    pub(super) run: &'a Path,
    /// Whose the run is; every fold's folder says so too.
    pub(super) identity: &'a Identity,
    /// What the names of fits begin with, and the folder they lie in: nothing, or `seed-43/`.
    pub(super) under: &'a str,
    pub(super) interrupt: &'a dyn Fn(&str, u64) -> bool,
}

impl Ground<'_> {
    /// The folder of a fold.
    pub(super) fn fold(&self, fold: usize) -> PathBuf {
        self.run.join(format!("{}fold-{fold}", self.under))
    }
}

/// What a finished fold leaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FoldOutcome {
    pub(super) fold: usize,
    pub(super) record: FitRecord,
    /// Held-out rows, by position among the rows of the run.
    pub(super) rows: Vec<usize>,
    /// Their logits, row-major.
    pub(super) logits: Vec<f32>,
    /// What a writer wrote of them when it might write anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) written: Option<Written>,
}

/// Logits of the rows held out, each from the one fold that did not see it.
pub(super) struct OutOfFold {
    /// All rows, or those of the one fold; ascending.
    pub(super) rows: Vec<usize>,
    /// Row by row.
    pub(super) logits: Logits,
    pub(super) records: Vec<FitRecord>,
    /// Over all rows.
    pub(super) written: Option<Written>,
}

/// Fits every fold that is to be fitted and is not finished, and joins their held-out logits.
pub(super) fn fit_folds(ground: &Ground<'_>, folds: &Folds, journal: &mut Journal<'_>) -> Result<OutOfFold, TrainError> {
    let labels = ground.recipe.data.labels.len();
    let (mut judged, mut records, mut written) = (BTreeMap::new(), Vec::new(), None);
    for fold in folds.fitted() {
        let outcome = fit_fold(ground, folds, fold, journal)?;
        judged.extend(outcome.rows.iter().copied().zip(outcome.logits.chunks_exact(labels).map(<[f32]>::to_vec)));
        records.push(outcome.record);
        written = Written::joined(written, outcome.written);
    }
    let rows = judged.keys().copied().collect();
    Ok(OutOfFold { rows, logits: Logits::new(labels, judged.into_values().flatten().collect())?, records, written })
}

/// Fits one fold, unless it is finished.
pub(super) fn fit_fold(ground: &Ground<'_>, folds: &Folds, fold: usize, journal: &mut Journal<'_>) -> Result<FoldOutcome, TrainError> {
    let phase = format!("{}fold-{fold}", ground.under);
    let folder = ground.fold(fold);
    let rows = folds.held_out(fold);
    if let Some(outcome) = finished(ground, folds, fold)? {
        journal.say(&format!("{phase}: finished before, skipped"));
        return Ok(outcome);
    }
    files::folder(&folder)?;
    ground.identity.own(&folder)?;
    let select = |rows: &[usize]| Rows::select(&ground.train.data, &ground.train.encodings, rows);
    let plan = FitPlan {
        phase: &phase,
        folder: &folder,
        recipe: ground.recipe,
        trained: select(&folds.trained(fold)),
        taught: None,
        words: None,
        factors: None,
        held_out: Some(select(&rows)),
        share: 1.0,
        interrupt: ground.interrupt,
    };
    let fitted = learn(ground, plan, journal)?;
    let weights = packed_weights(ground, &pack(ground, &fitted.weights, ground.recipe.bundle.precision)?)?;
    let (held_out, threads) = (select(&rows), ground.recipe.train.shards);
    let logits = predict::logits(ground.start.network.network(), &weights, &held_out.encodings, threads)?;
    let written = match &ground.start.network {
        Teller::Head(_) => None,
        Teller::Writer(writer) => Some(predict::written(writer, &weights, &held_out.encodings, threads)?.into()),
    };
    if ground.recipe.final_fit == FinalFit::Fold {
        files::write(&folder.join(WEIGHTS), &fitted.weights.to_safetensors().map_err(network(&phase))?)?;
    }
    let outcome = FoldOutcome { fold, record: fitted.record, rows, logits: logits.values().to_vec(), written };
    files::write_json(&folder.join(OUTCOME), &outcome)?;
    Checkpoints::new(&folder).clear()?;
    Ok(outcome)
}

/// What a fold left when it was finished.
pub(super) fn finished(ground: &Ground<'_>, folds: &Folds, fold: usize) -> Result<Option<FoldOutcome>, TrainError> {
    let path = ground.fold(fold).join(OUTCOME);
    let rows = folds.held_out(fold);
    let Some(outcome) = files::read_json::<FoldOutcome>(&path)? else { return Ok(None) };
    if outcome.fold == fold && outcome.rows == rows {
        return Ok(Some(outcome));
    }
    Err(TrainError::RunFolder {
        path,
        expected: format!("fold {fold} with {} held-out rows of folds.json", rows.len()),
        found: format!("fold {} with {} others", outcome.fold, outcome.rows.len()),
    })
}

/// The weights of a finished fold that is to ship.
pub(super) fn fold_weights(ground: &Ground<'_>, fold: usize) -> Result<Snapshot, TrainError> {
    read_weights(&ground.fold(fold).join(WEIGHTS))
}

/// Fits once more, on all of the rows given, with none held out, to the given share of the schedule;
/// `name` is the fit's and its folder's.
pub(super) fn fit_whole(
    ground: &Ground<'_>,
    name: &str,
    trained: Rows<'_>,
    share: f64,
    journal: &mut Journal<'_>,
) -> Result<(Snapshot, FitRecord), TrainError> {
    let phase = format!("{}{name}", ground.under);
    let folder = ground.run.join(&phase);
    files::folder(&folder)?;
    let (weights, record) = (folder.join(WEIGHTS), folder.join("record.json"));
    if let Some(record) = files::read_json(&record)? {
        journal.say(&format!("{phase}: finished before, skipped"));
        return Ok((read_weights(&weights)?, record));
    }
    let plan = FitPlan {
        phase: &phase,
        folder: &folder,
        recipe: ground.recipe,
        trained,
        taught: None,
        words: None,
        factors: None,
        held_out: None,
        share,
        interrupt: ground.interrupt,
    };
    let fitted = learn(ground, plan, journal)?;
    files::write(&weights, &fitted.weights.to_safetensors().map_err(network(&phase))?)?;
    files::write_json(&record, &fitted.record)?;
    Checkpoints::new(&folder).clear()?;
    Ok((fitted.weights, fitted.record))
}

fn read_weights(path: &Path) -> Result<Snapshot, TrainError> {
    Snapshot::from_safetensors(&files::read(path)?).map_err(network(&path.display().to_string()))
}

/// The weights as they would be stored, an adapter merged into its base.
pub(super) fn pack(ground: &Ground<'_>, learnt: &Snapshot, precision: Precision) -> Result<PackedWeights, TrainError> {
    let whole = match ground.recipe.adapter {
        None => learnt.to_safetensors().map_err(network("weights"))?,
        Some(_) => merge::merged(ground, learnt)?,
    };
    Ok(PackedWeights::pack(&whole, precision)?)
}

/// Logits of the weights as they would be computed with after storing.
pub(super) fn packed_logits(ground: &Ground<'_>, packed: &PackedWeights, encodings: &[&Encoding]) -> Result<Logits, TrainError> {
    predict::logits(ground.start.network.network(), &packed_weights(ground, packed)?, encodings, ground.recipe.train.shards)
}

fn packed_weights(ground: &Ground<'_>, packed: &PackedWeights) -> Result<Weights, TrainError> {
    let params = ground.start.network.network().params();
    Weights::from_safetensors(packed.image(), &params, Missing::Refuse).map_err(network("packed weights"))
}
