//! A finished run as a teacher: its out-of-fold logits, row by row.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::cross::{Encoded, FoldOutcome};
use super::recipe::Recipe;
use super::rows::Rows;
use super::split::Folds;
use super::{TrainError, files};
use crate::decide::fit::cross_fit;
use crate::decide::{Logits, ThresholdPolicy};
use crate::spec::Matrix;

/// What a run folder says of the rows it was made of.
pub(super) struct RunTeacher {
    folder: String,
    /// Where the row of an id stands.
    places: HashMap<String, usize>,
    logits: Matrix<f64>,
    /// `sha256:` of the logits, in the order of rows.
    pub(super) fingerprint: String,
}

impl RunTeacher {
    /// Reads the run's folds, which must be of the rows of `train`; `calibrated` for logits of
    /// probabilities that were calibrated on the other folds.
    pub(super) fn read(folder: &Path, recipe: &Recipe, train: &Encoded, calibrated: bool) -> Result<Self, TrainError> {
        let other = |path: &Path, expected: String, found: String| TrainError::RunFolder { path: path.to_owned(), expected, found };
        let path = folder.join("identity.json");
        let absent = || other(&path, "the folder of a finished run".to_owned(), "no such file".to_owned());
        let identity: Value = files::read_json(&path)?.ok_or_else(absent)?;
        let (expected, found) = (train.data.fingerprint(), identity["train"].as_str().unwrap_or_default());
        if found != expected {
            return Err(other(&path, format!("a run over the rows of data.train, {expected}"), found.to_owned()));
        }
        let path = folder.join("folds.json");
        let folds: Folds = files::read_json(&path)?.ok_or_else(|| other(&path, "a file".to_owned(), "none".to_owned()))?;
        let (rows, all) = (folds.of_row().len(), train.encodings.len());
        if rows != all {
            return Err(other(&path, format!("a split of all {all} rows"), format!("one of {rows}")));
        }
        let labels = recipe.data.labels.len();
        let mut judged = Matrix::filled(all, labels, f32::NAN);
        for fold in 0..folds.k() {
            let path = folder.join(format!("fold-{fold}")).join("outcome.json");
            let unfinished = || other(&path, "a finished fold".to_owned(), "no such file".to_owned());
            let outcome: FoldOutcome = files::read_json(&path)?.ok_or_else(unfinished)?;
            let logits = Matrix::new(outcome.rows.len(), labels, outcome.logits);
            judged.place(&outcome.rows, &logits.map_err(|error| other(&path, "logits of its rows".to_owned(), error.to_string()))?);
        }
        let mut hash = Sha256::new();
        judged.values().iter().for_each(|value| hash.update(value.to_le_bytes()));
        let logits = Logits::new(labels, judged.into_values())?;
        let logits = if calibrated { calibrated_logits(recipe, &logits, train, &folds)? } else { widened(logits.values()) };
        Ok(Self {
            folder: folder.display().to_string(),
            places: train.data.ids().into_iter().zip(0..).collect(),
            logits: Matrix::new(all, labels, logits)?,
            fingerprint: format!("sha256:{:x}", hash.finalize()),
        })
    }

    /// Logits of these rows.
    pub(super) fn of(&self, rows: &Rows<'_>) -> Result<Matrix<f64>, TrainError> {
        let missing = |id: &str| TrainError::RunFolder {
            path: self.folder.clone().into(),
            expected: format!("out-of-fold logits of row {id}"),
            found: "none".to_owned(),
        };
        let place = |&id: &&str| self.places.get(id).copied().ok_or_else(|| missing(id));
        Ok(self.logits.select(&rows.ids.iter().map(place).collect::<Result<Vec<_>, _>>()?))
    }

    /// What a report must say of figures on rows held out from a student of this run.
    pub(super) fn warning(&self) -> String {
        format!(
            "soft labels are the out-of-fold logits of {}: each fold's student learnt from models that were fitted to the rows it holds \
             out, so out-of-fold figures are flattered, and calibrators and thresholds fitted on them are a little too sure",
            self.folder
        )
    }
}

fn calibrated_logits(recipe: &Recipe, logits: &Logits, train: &Encoded, folds: &Folds) -> Result<Vec<f64>, TrainError> {
    let honest = cross_fit(logits, train.data.targets(), folds.of_row(), recipe.calibration, ThresholdPolicy::Fixed(0.5))?;
    // A calibrator may answer 0 or 1, which have no logit.
    let logit = |&p: &f32| {
        let p = f64::from(p).clamp(1e-6, 1.0 - 1e-6);
        (p / (1.0 - p)).ln()
    };
    Ok(honest.probabilities.values().iter().map(logit).collect())
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}
