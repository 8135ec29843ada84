//! What was said of every row, kept beside a report, so that runs and evaluations can be compared
//! and drawn long after: ids, truth, logits, probabilities and decisions.
//!
//! One safetensors file a set of rows: matrices `[rows, labels]`, `logits` and `probabilities` as
//! F32, `targets` and `decisions` as BOOL; what they are, ids included, as JSON under the metadata
//! key `outcome`. A file that does not add up is refused.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::data::Dataset;
use super::recipe::{Recipe, ThresholdRule};
use super::split::Folds;
use super::{TrainError, files};
use crate::decide::fit::CrossFitted;
use crate::decide::{Decider, Logits, Probabilities};
use crate::metrics::Judged;
use crate::spec::{LabelSet, Targets};

/// The metadata key.
const KEY: &str = "outcome";
const SCHEMA_VERSION: u32 = 1;

/// Which rows were judged, and how honestly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Training rows, each judged by the fold that did not see it; decisions are cross-fitted.
    OutOfFold,
    /// Rows of a run's held-out file, judged by the model that ships.
    HeldOut,
    /// Rows of a file given to `limbic-train evaluate`.
    Evaluation,
}

impl Kind {
    /// The name of the set, and of its file before `.safetensors`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OutOfFold => "out_of_fold",
            Self::HeldOut => "held_out",
            Self::Evaluation => "evaluation",
        }
    }
}

/// What must be equal before two outcomes may be ranked, and the rows' ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Of this layout.
    schema_version: u32,
    /// Which rows.
    pub kind: Kind,
    /// Name and version of the model.
    pub model: String,
    /// Labels in the order of the columns.
    pub labels: Vec<String>,
    /// Fingerprint of the rows' data set.
    pub data: String,
    /// Hash of the split that judged the rows; none when there was none.
    pub folds: Option<String>,
    /// How the thresholds were chosen.
    pub policy: String,
    /// Ids of the rows, in the order of the matrices.
    pub ids: Vec<String>,
}

/// Rows, their truth and what was said of them; all matrices have the same rows and labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What the rows are.
    pub about: About,
    /// The truth.
    pub targets: Targets,
    /// As the network gave them.
    pub logits: Logits,
    /// Calibrated; cross-fitted when out of fold.
    pub probabilities: Probabilities,
    /// The labels that were given; cross-fitted when out of fold.
    pub decisions: Targets,
}

/// What was said of the rows of a data set.
pub(super) struct Said<'a> {
    pub(super) logits: &'a Logits,
    pub(super) probabilities: &'a Probabilities,
    pub(super) decisions: &'a Targets,
}

impl Outcome {
    /// `model` said this of every row of `data`, with thresholds of `policy`.
    pub(super) fn new(kind: Kind, model: String, policy: String, data: &Dataset, said: &Said<'_>) -> Self {
        let about = About {
            schema_version: SCHEMA_VERSION,
            kind,
            model,
            labels: data.labels().names().to_vec(),
            data: data.fingerprint().to_owned(),
            folds: None,
            policy,
            ids: data.examples().iter().map(|example| example.id.clone()).collect(),
        };
        Self {
            about,
            targets: data.targets().clone(),
            logits: said.logits.clone(),
            probabilities: said.probabilities.clone(),
            decisions: said.decisions.clone(),
        }
    }

    /// Training rows of a run, each judged by the fold that did not see it.
    pub(super) fn out_of_fold(recipe: &Recipe, data: &Dataset, logits: &Logits, honest: &CrossFitted, folds: &Folds) -> Self {
        let said = Said { logits, probabilities: &honest.probabilities, decisions: &honest.decisions };
        let mut outcome = Self::of_run(Kind::OutOfFold, recipe, data, &said);
        let folds = serde_json::to_vec(folds).expect("folds are plain values; anything else, this is a bug");
        outcome.about.folds = Some(format!("sha256:{:x}", Sha256::digest(&folds)));
        outcome
    }

    /// Rows of a run's held-out file, judged by what ships.
    pub(super) fn held_out(recipe: &Recipe, data: &Dataset, logits: &Logits, decider: &Decider) -> Result<Self, TrainError> {
        let probabilities = decider.probabilities(logits);
        let decisions = decider.thresholds().decide(&probabilities)?;
        let said = Said { logits, probabilities: &probabilities, decisions: &decisions };
        Ok(Self::of_run(Kind::HeldOut, recipe, data, &said))
    }

    fn of_run(kind: Kind, recipe: &Recipe, data: &Dataset, said: &Said<'_>) -> Self {
        let model = format!("{} {}", recipe.bundle.name, recipe.bundle.version);
        let policy = match recipe.thresholds {
            ThresholdRule::Policy(policy) => policy.to_string(),
            ThresholdRule::Choose(objective) => format!("chosen for {objective}"),
        };
        Self::new(kind, model, policy, data, said)
    }

    /// The rows with their decisions, to be measured.
    ///
    /// # Errors
    /// [`TrainError::Metrics`] without rows.
    pub fn judged(&self) -> Result<Judged<'_>, TrainError> {
        Ok(Judged::decided(&self.probabilities, &self.targets, self.decisions.clone())?)
    }

    /// The labels, in order.
    ///
    /// # Errors
    /// [`TrainError::Data`] for names that are none.
    pub fn labels(&self) -> Result<LabelSet, TrainError> {
        Ok(LabelSet::new(self.about.labels.clone()).map_err(super::data::DataError::from)?)
    }

    /// Writes it into `folder`, under the name of its kind.
    ///
    /// # Errors
    /// [`TrainError::File`].
    pub fn write(&self, folder: &Path) -> Result<(), TrainError> {
        let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let bits =
            |targets: &Targets| (0..targets.rows()).flat_map(|row| targets.row(row)).map(|&held| u8::from(held)).collect::<Vec<u8>>();
        let parts = [
            ("logits", Dtype::F32, floats(self.logits.values())),
            ("probabilities", Dtype::F32, floats(self.probabilities.values())),
            ("targets", Dtype::BOOL, bits(&self.targets)),
            ("decisions", Dtype::BOOL, bits(&self.decisions)),
        ];
        let shape = vec![self.targets.rows(), self.targets.labels()];
        let views = parts.iter().map(|(name, dtype, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes).expect("all matrices have one shape; anything else, this is a bug");
            (*name, view)
        });
        let about = serde_json::to_string(&self.about).expect("it is plain values; anything else, this is a bug");
        let bytes = safetensors::serialize(views, Some(HashMap::from([(KEY.to_owned(), about)])));
        let bytes = bytes.expect("four matrices of different names; anything else, this is a bug");
        files::write(&folder.join(file_name(self.about.kind)), &bytes)
    }

    /// Reads the set of this kind from `folder`.
    ///
    /// # Errors
    /// [`TrainError::File`], and [`TrainError::RunFolder`] for a file that is none of these.
    pub fn read(folder: &Path, kind: Kind) -> Result<Self, TrainError> {
        let path = folder.join(file_name(kind));
        let bytes = files::read(&path)?;
        parse(&bytes, kind).map_err(|found| TrainError::RunFolder { path, expected: format!("the {} rows of a run", kind.name()), found })
    }
}

/// The file of a kind.
pub(super) fn file_name(kind: Kind) -> String {
    format!("{}.safetensors", kind.name())
}

fn parse(bytes: &[u8], kind: Kind) -> Result<Outcome, String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| said(&error))?;
    let about = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY)).ok_or("no metadata key outcome")?;
    let about: About = serde_json::from_str(about).map_err(|error| said(&error))?;
    if (about.schema_version, about.kind) != (SCHEMA_VERSION, kind) {
        return Err(format!("schema version {} of kind {}", about.schema_version, about.kind.name()));
    }
    let file = SafeTensors::deserialize(bytes).map_err(|error| said(&error))?;
    let (rows, labels) = (about.ids.len(), about.labels.len());
    let matrix = |name: &str, dtype: Dtype| {
        let view = file.tensor(name).map_err(|error| said(&error))?;
        if view.dtype() != dtype || view.shape() != [rows, labels] {
            return Err(format!("{name} of {:?} {:?}, where {dtype:?} {:?} belongs", view.dtype(), view.shape(), [rows, labels]));
        }
        Ok(view.data())
    };
    let floats = |name| -> Result<Vec<f32>, String> {
        Ok(matrix(name, Dtype::F32)?.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    };
    let bits = |name| Targets::new(rows, labels, matrix(name, Dtype::BOOL)?.iter().map(|&bit| bit != 0).collect()).map_err(|e| said(&e));
    Ok(Outcome {
        targets: bits("targets")?,
        logits: Logits::new(labels, floats("logits")?).map_err(|error| said(&error))?,
        probabilities: Probabilities::new(labels, floats("probabilities")?).map_err(|error| said(&error))?,
        decisions: bits("decisions")?,
        about,
    })
}
