//! Predictions as a file: the competition's format, probabilities, or JSON lines.
//!
//! A file is written beside its place, read back and checked against its schema and its input,
//! and only then renamed. Rows go through one at a time: nothing grows with the file. It refuses
//! what a competition would: an id twice, a row too few, another order.

mod check;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{TrainError, files};
use crate::decide::Prediction;
use crate::spec::LabelSet;

/// The column of ids, as the competition names it.
const ID: &str = "ID";

/// What a row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Comma-separated: `ID`, then 0 or 1 a label.
    Labels,
    /// Comma-separated: `ID`, then a probability a label.
    Scores,
    /// One object a line: `{"id": ..., "labels": [names]}`.
    Lines,
    /// One object a line: `{"id": ..., "labels": [names], "scores": {name: probability}}`.
    ScoredLines,
}

/// A file that is being written. Dropped before [`Submission::finish`], it leaves nothing.
pub struct Submission<'a> {
    target: PathBuf,
    staged: Staged,
    out: BufWriter<File>,
    layout: Layout,
    labels: &'a LabelSet,
    rows: usize,
    ids: Ids,
}

/// The file beside its place; removed unless it was renamed.
struct Staged(PathBuf);

impl Drop for Staged {
    fn drop(&mut self) {
        // It is gone when it was renamed; a folder that cannot be written was complained of before.
        let _ = fs::remove_file(&self.0);
    }
}

/// The ids of a file in order, as one hash.
#[derive(Default, Clone)]
struct Ids(Sha256);

impl Ids {
    fn add(&mut self, id: &str) {
        self.0.update((id.len() as u64).to_le_bytes());
        self.0.update(id);
    }
}

impl<'a> Submission<'a> {
    /// Begins a file that will stand at `target`, in a folder that exists.
    ///
    /// # Errors
    /// [`TrainError::File`].
    pub fn begin(target: &Path, layout: Layout, labels: &'a LabelSet) -> Result<Self, TrainError> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let staged = target.with_file_name(format!(".{name}.partial"));
        let file = File::create(&staged).map_err(files::failed(&staged, "create"))?;
        let (target, staged, out) = (target.to_owned(), Staged(staged), BufWriter::new(file));
        let mut submission = Self { target, staged, out, layout, labels, rows: 0, ids: Ids::default() };
        if matches!(layout, Layout::Labels | Layout::Scores) {
            submission.record(std::iter::once(ID).chain(labels.names().iter().map(String::as_str)).map(str::to_owned))?;
        }
        Ok(submission)
    }

    /// Rows written.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Writes the next row.
    ///
    /// # Errors
    /// [`TrainError::File`].
    pub fn push(&mut self, id: &str, prediction: &Prediction) -> Result<(), TrainError> {
        let given = |label: &usize| u8::from(prediction.labels.contains(label)).to_string();
        let labels = 0..self.labels.len();
        match self.layout {
            Layout::Labels => self.record(std::iter::once(id.to_owned()).chain(labels.map(|label| given(&label))))?,
            Layout::Scores => self.record(std::iter::once(id.to_owned()).chain(prediction.scores.iter().map(f32::to_string)))?,
            Layout::Lines | Layout::ScoredLines => {
                let line = self.line(id, prediction);
                writeln!(self.out, "{line}").map_err(files::failed(&self.staged.0, "write"))?;
            }
        }
        self.ids.add(id);
        self.rows += 1;
        Ok(())
    }

    /// Checks the file, against `sample` too when there is one, and puts it in its place.
    ///
    /// # Errors
    /// [`TrainError::Submission`] for a file that is not as it should be, [`TrainError::File`].
    pub fn finish(mut self, sample: Option<&Path>) -> Result<PathBuf, TrainError> {
        let path = &self.staged.0;
        self.out.flush().and_then(|()| self.out.get_ref().sync_all()).map_err(files::failed(path, "write"))?;
        let expected = check::Expected { layout: self.layout, labels: self.labels, rows: self.rows, ids: self.ids.clone() };
        check::check(path, &self.target, &expected)?;
        if let Some(sample) = sample {
            check::against_sample(path, &self.target, sample)?;
        }
        fs::rename(path, &self.target).map_err(files::failed(&self.target, "write"))?;
        Ok(self.target.clone())
    }

    fn record(&mut self, fields: impl Iterator<Item = String>) -> Result<(), TrainError> {
        let mut record = csv::WriterBuilder::new().from_writer(Vec::new());
        record.write_record(fields).expect("memory can be written; anything else, this is a bug");
        let bytes = record.into_inner().expect("memory can be written; anything else, this is a bug");
        self.out.write_all(&bytes).map_err(files::failed(&self.staged.0, "write"))
    }

    fn line(&self, id: &str, prediction: &Prediction) -> Value {
        let names = self.labels.names();
        let given: Vec<&String> =
            names.iter().enumerate().filter(|(label, _)| prediction.labels.contains(label)).map(|(_, name)| name).collect();
        if self.layout == Layout::Lines {
            return json!({"id": id, "labels": given});
        }
        let scores: Map<String, Value> = names.iter().cloned().zip(prediction.scores.iter().map(|score| json!(score))).collect();
        json!({"id": id, "labels": given, "scores": scores})
    }
}
