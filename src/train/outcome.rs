//! What was said of every row of a set, kept, so that runs and evaluations can be drawn and compared
//! long after.
//!
//! A set leaves two files, named after its kind: `<kind>.jsonl` holds the rows ([`ScoredRows`]), and
//! `<kind>.about.json`, written last, says what they are. Files that do not add up are refused.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::data::Dataset;
use super::oof::JudgedRows;
use super::recipe::{Recipe, ThresholdRule};
use super::scored::{Said, ScoredRows};
use super::{TrainError, files};
use crate::decide::fit::CrossFitted;
use crate::decide::{Decider, Logits};
use crate::metrics::Judged;
use crate::spec::LabelSet;

const SCHEMA_VERSION: u32 = 1;

/// Which rows were judged, and how honestly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Training rows, each judged by the fold that did not see it; decisions are cross-fitted.
    OutOfFold,
    /// Rows of a run's held-out file, judged by a model that did not see it.
    HeldOut,
    /// Rows of both files, each judged by a model that did not see it; decisions are cross-fitted.
    WithDev,
    /// Rows of a file given to `limbic-train evaluate`.
    Evaluation,
}

impl Kind {
    /// What a run may leave, in the order in which it is reported.
    pub const OF_RUN: [Self; 3] = [Self::OutOfFold, Self::HeldOut, Self::WithDev];

    /// The name of the kind, and how the names of its files begin.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OutOfFold => "out_of_fold",
            Self::HeldOut => "held_out",
            Self::WithDev => "with_dev",
            Self::Evaluation => "evaluation",
        }
    }

    fn rows_file(self) -> String {
        format!("{}.jsonl", self.name())
    }

    /// The file without which there is nothing of this kind.
    pub(super) fn about_file(self) -> String {
        format!("{}.about.json", self.name())
    }
}

/// What rows are; most of it must be equal before two outcomes may be ranked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Of this layout.
    schema_version: u32,
    /// Which rows.
    pub kind: Kind,
    /// What their figures are called in the report.
    pub set: String,
    /// How many there are.
    pub rows: usize,
    /// Name and version of the model.
    pub model: String,
    /// The labels, in order.
    pub labels: LabelSet,
    /// Fingerprint of the rows' data set.
    pub data: String,
    /// Hash of the split that judged the rows; none when there was none.
    pub folds: Option<String>,
    /// How the thresholds were chosen.
    pub policy: String,
}

impl About {
    /// Rows of `data`, whose figures are called `set`, as judged by a model with thresholds of a policy.
    pub(super) fn new(kind: Kind, set: &str, data: &Dataset, (model, policy): (String, String)) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            kind,
            set: set.to_owned(),
            rows: data.examples().len(),
            model,
            labels: data.labels().clone(),
            data: data.fingerprint().to_owned(),
            folds: None,
            policy,
        }
    }

    fn of_run(kind: Kind, set: &str, data: &Dataset, recipe: &Recipe) -> Self {
        let policy = match recipe.thresholds {
            ThresholdRule::Policy(policy) => policy.to_string(),
            ThresholdRule::Choose(objective) => format!("chosen for {objective}"),
        };
        Self::new(kind, set, data, (format!("{} {}", recipe.bundle.name, recipe.bundle.version), policy))
    }
}

/// Rows, and what they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What they are.
    pub about: About,
    /// The rows.
    pub rows: ScoredRows,
}

impl Outcome {
    /// What one model said of every row of `data`.
    pub(super) fn new(about: About, data: &Dataset, said: Said<'_>) -> Result<Self, TrainError> {
        Ok(Self { about, rows: ScoredRows::new(data.ids(), &[], said)? })
    }

    /// Rows of a run, each judged by the fold that did not see it; `set` is what their figures are called.
    pub(super) fn cross_fitted(
        kind: Kind,
        set: &str,
        recipe: &Recipe,
        judged: &JudgedRows,
        honest: &CrossFitted,
    ) -> Result<Self, TrainError> {
        let CrossFitted { decisions, probabilities, .. } = honest;
        let said = Said { targets: judged.targets(), decisions, logits: &judged.logits, probabilities };
        let about = About { folds: Some(judged.folds.clone()), ..About::of_run(kind, set, &judged.data, recipe) };
        Ok(Self { about, rows: ScoredRows::new(judged.data.ids(), &judged.parts, said)? })
    }

    /// Rows of a run's held-out file, as `decider` decides them.
    pub(super) fn held_out(set: &str, recipe: &Recipe, data: &Dataset, logits: &Logits, decider: &Decider) -> Result<Self, TrainError> {
        let probabilities = decider.probabilities(logits);
        let decisions = decider.thresholds().decide(&probabilities)?;
        let said = Said { targets: data.targets(), decisions: &decisions, logits, probabilities: &probabilities };
        Self::new(About::of_run(Kind::HeldOut, set, data, recipe), data, said)
    }

    /// The rows with their decisions, to be measured.
    ///
    /// # Errors
    /// [`TrainError::Metrics`] without rows.
    pub fn judged(&self) -> Result<Judged<'_>, TrainError> {
        let rows = &self.rows;
        Ok(Judged::decided(rows.probabilities(), rows.targets(), rows.decisions().clone())?)
    }

    /// Writes it into `folder`, under the name of its kind.
    ///
    /// # Errors
    /// [`TrainError::File`].
    pub fn write(&self, folder: &Path) -> Result<(), TrainError> {
        let kind = self.about.kind;
        self.rows.write(&folder.join(kind.rows_file()), &self.about.labels)?;
        files::write_json(&folder.join(kind.about_file()), &self.about)
    }

    /// Reads the set of this kind from `folder`; nothing when none is there.
    ///
    /// # Errors
    /// [`TrainError::File`], and [`TrainError::RunFolder`] for files that are none of these, or that do
    /// not belong together.
    pub fn read(folder: &Path, kind: Kind) -> Result<Option<Self>, TrainError> {
        let path = folder.join(kind.about_file());
        let Some(about) = files::read_json::<About>(&path)? else { return Ok(None) };
        let wrong = |expected, found| TrainError::RunFolder { path, expected, found };
        if (about.schema_version, about.kind) != (SCHEMA_VERSION, kind) {
            let told = |version: u32, kind: Kind| format!("schema version {version} of {}", kind.name());
            return Err(wrong(told(SCHEMA_VERSION, kind), told(about.schema_version, about.kind)));
        }
        let rows = ScoredRows::read(&folder.join(kind.rows_file()), &about.labels)?;
        if rows.len() != about.rows {
            return Err(wrong(format!("the {} rows of {}", rows.len(), kind.rows_file()), about.rows.to_string()));
        }
        Ok(Some(Self { about, rows }))
    }
}
