//! The rows that a run judged, kept: enough to draw, to compare and to look closer without fitting
//! again.
//!
//! One line of JSON a row: its id, its fold, the labels it holds, the labels it was given, logits and
//! calibrated probabilities in label order. Never its text: the terms of most data sets let nobody hand
//! texts on, and whoever has the data finds the row by its id. `outcome` says what the rows are.

use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{TrainError, files};
use crate::decide::{Logits, Probabilities};
use crate::spec::{LabelSet, Targets};

/// Judged rows, at least one, of distinct ids. All parts have the same rows and labels.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredRows {
    ids: Vec<String>,
    folds: Vec<Option<usize>>,
    targets: Targets,
    decisions: Targets,
    logits: Logits,
    probabilities: Probabilities,
}

/// What was said of rows, and what is true.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// Which labels each row holds.
    pub targets: &'a Targets,
    /// Which labels each row was given.
    pub decisions: &'a Targets,
    /// Raw scores.
    pub logits: &'a Logits,
    /// Calibrated probabilities.
    pub probabilities: &'a Probabilities,
}

/// One row on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fold: Option<usize>,
    held: Vec<String>,
    given: Vec<String>,
    logits: Vec<f32>,
    probabilities: Vec<f32>,
}

impl ScoredRows {
    /// Takes rows side by side; `folds` names the fold that held each row out, or is empty for rows of
    /// a file that no fold saw.
    ///
    /// # Errors
    /// [`TrainError::Scored`] when the parts differ in rows or labels, hold no row, or an id twice.
    pub fn new(ids: Vec<String>, folds: &[usize], said: Said<'_>) -> Result<Self, TrainError> {
        let (rows, labels) = (ids.len(), said.targets.labels());
        let sizes = [
            ("distinct ids", rows, ids.iter().collect::<HashSet<_>>().len()),
            ("rows of targets", rows, said.targets.rows()),
            ("rows of decisions", rows, said.decisions.rows()),
            ("rows of logits", rows, said.logits.rows()),
            ("rows of probabilities", rows, said.probabilities.rows()),
            ("labels in the decisions", labels, said.decisions.labels()),
            ("labels in the logits", labels, said.logits.labels()),
            ("labels in the probabilities", labels, said.probabilities.labels()),
            ("fold names", if folds.is_empty() { 0 } else { rows }, folds.len()),
        ];
        if let Some(&(what, expected, found)) = sizes.iter().find(|(_, expected, found)| expected != found) {
            return Err(TrainError::Scored { what, expected, found });
        }
        if rows == 0 {
            return Err(TrainError::Scored { what: "row or more", expected: 1, found: 0 });
        }
        Ok(Self {
            folds: (0..rows).map(|row| folds.get(row).copied()).collect(),
            ids,
            targets: said.targets.clone(),
            decisions: said.decisions.clone(),
            logits: said.logits.clone(),
            probabilities: said.probabilities.clone(),
        })
    }

    /// Writes the rows, whole or not at all.
    ///
    /// # Errors
    /// [`TrainError::File`].
    pub fn write(&self, path: &Path, labels: &LabelSet) -> Result<(), TrainError> {
        let named = |row: &[bool]| -> Vec<String> {
            labels.names().iter().zip(row).filter(|(_, holds)| **holds).map(|(name, _)| name.clone()).collect()
        };
        let mut text = Vec::new();
        for (row, id) in self.ids.iter().enumerate() {
            let line = Line {
                id: id.clone(),
                fold: self.folds[row],
                held: named(self.targets.row(row)),
                given: named(self.decisions.row(row)),
                logits: self.logits.row(row).to_vec(),
                probabilities: self.probabilities.row(row).to_vec(),
            };
            serde_json::to_writer(&mut text, &line).expect("a row is plain values; anything else, this is a bug");
            text.push(b'\n');
        }
        files::write(path, &text)
    }

    /// Reads what [`ScoredRows::write`] wrote for the same labels.
    ///
    /// # Errors
    /// [`TrainError::File`], or [`TrainError::RunFolder`] for lines of another form or label set, and for
    /// an id that stands twice.
    pub fn read(path: &Path, labels: &LabelSet) -> Result<Self, TrainError> {
        let wrong = |at: usize, found: String| TrainError::RunFolder {
            path: path.to_owned(),
            expected: format!("judged rows of {} labels as this version writes them", labels.len()),
            found: format!("line {}: {found}", at + 1),
        };
        let text = files::read(path)?;
        let (mut rows, mut known) = (Columns::default(), HashSet::new());
        for (at, line) in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
            let line: Line = serde_json::from_slice(line).map_err(|error| wrong(at, error.to_string()))?;
            if !known.insert(line.id.clone()) {
                return Err(wrong(at, format!("the id {:?} once more", line.id)));
            }
            rows.push(line, labels).map_err(|found| wrong(at, found))?;
        }
        if rows.ids.is_empty() {
            return Err(wrong(0, "the end of the file".to_owned()));
        }
        rows.finish(labels.len())
    }

    /// How many there are; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always a row")]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The rows' ids, in order.
    #[must_use]
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// The fold that held each row out; none for rows that no fold saw.
    #[must_use]
    pub fn folds(&self) -> &[Option<usize>] {
        &self.folds
    }

    /// Which labels each row holds.
    #[must_use]
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Which labels each row was given.
    #[must_use]
    pub fn decisions(&self) -> &Targets {
        &self.decisions
    }

    /// Raw scores.
    #[must_use]
    pub fn logits(&self) -> &Logits {
        &self.logits
    }

    /// Calibrated probabilities.
    #[must_use]
    pub fn probabilities(&self) -> &Probabilities {
        &self.probabilities
    }
}

/// Lines put side by side again.
#[derive(Default)]
struct Columns {
    ids: Vec<String>,
    folds: Vec<Option<usize>>,
    held: Vec<bool>,
    given: Vec<bool>,
    logits: Vec<f32>,
    probabilities: Vec<f32>,
}

impl Columns {
    fn push(&mut self, line: Line, labels: &LabelSet) -> Result<(), String> {
        for (what, found) in [("logits", line.logits.len()), ("probabilities", line.probabilities.len())] {
            if found != labels.len() {
                return Err(format!("{found} {what}"));
            }
        }
        for (names, cells) in [(&line.held, &mut self.held), (&line.given, &mut self.given)] {
            if let Some(name) = names.iter().find(|name| labels.index_of(name).is_none()) {
                return Err(format!("the label {name:?}"));
            }
            cells.extend(labels.names().iter().map(|label| names.contains(label)));
        }
        self.ids.push(line.id);
        self.folds.push(line.fold);
        self.logits.extend(line.logits);
        self.probabilities.extend(line.probabilities);
        Ok(())
    }

    fn finish(self, labels: usize) -> Result<ScoredRows, TrainError> {
        let rows = self.ids.len();
        let said = Said {
            targets: &matrix(rows, labels, self.held),
            decisions: &matrix(rows, labels, self.given),
            logits: &Logits::new(labels, self.logits)?,
            probabilities: &Probabilities::new(labels, self.probabilities)?,
        };
        Ok(ScoredRows { folds: self.folds, ..ScoredRows::new(self.ids, &[], said)? })
    }
}

fn matrix(rows: usize, labels: usize, values: Vec<bool>) -> Targets {
    Targets::new(rows, labels, values).expect("one answer a row and label was pushed; anything else, this is a bug")
}
