//! Labelled text from files: four formats in, one [`Dataset`] out.
//!
//! A row keeps its id beside its text from the first byte to the last report, so nothing is ever
//! joined by position. The label order is the recipe's: a file that names other labels, or the
//! same in another order, is refused. What is wrong with a file is said with path, line, what was
//! expected and what was found. Nothing is cleaned, skipped or guessed here.

mod error;
mod goemotions;
mod jsonl;
mod table;

pub use error::DataError;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::spec::{LabelSet, Targets};

/// The layouts that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataFormat {
    /// SemEval-2018 E-c: a header, then `ID`, `Tweet` and one 0/1 column a label, parted by tabs.
    /// Split on tab and newline only; a quote is a character like any other.
    EcTsv,
    /// The competition's file: the same columns as comma-separated values with quoting (RFC 4180).
    EcCsv,
    /// `GoEmotions`: no header; text, comma-separated label positions, comment id, parted by tabs,
    /// with CSV quoting.
    Goemotions,
    /// One object a line: `{"id": ..., "text": ..., "labels": [names]}`.
    Jsonl,
}

impl FromStr for DataFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "ec_tsv" => Ok(Self::EcTsv),
            "ec_csv" => Ok(Self::EcCsv),
            "goemotions" => Ok(Self::Goemotions),
            "jsonl" => Ok(Self::Jsonl),
            _ => Err(format!("expected ec_tsv, ec_csv, goemotions or jsonl, found {name}")),
        }
    }
}

/// One text and the name it goes by in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Unique within its file.
    pub id: String,
    /// As it stands in the file.
    pub text: String,
}

/// Labelled examples. At least one; ids are distinct.
#[derive(Debug, Clone)]
pub struct Dataset {
    labels: LabelSet,
    examples: Vec<Example>,
    targets: Targets,
    fingerprint: String,
}

/// One row as a reader found it.
struct Row {
    line: usize,
    example: Example,
    held: Option<Vec<bool>>,
}

impl Dataset {
    /// Reads a labelled file.
    ///
    /// # Errors
    /// [`DataError`] at the first thing that is wrong.
    pub fn read(path: &Path, format: DataFormat, labels: &LabelSet) -> Result<Self, DataError> {
        let rows = read_rows(path, format, labels)?;
        let (mut examples, mut values) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len() * labels.len()));
        for row in rows {
            let held = row.held.ok_or_else(|| DataError::Unlabelled { path: path.to_owned(), line: row.line })?;
            values.extend(held);
            examples.push(row.example);
        }
        let targets = Targets::new(examples.len(), labels.len(), values)?;
        Ok(Self::with_fingerprint(labels.clone(), examples, targets))
    }

    /// The label order, as the recipe states it.
    #[must_use]
    pub fn labels(&self) -> &LabelSet {
        &self.labels
    }

    /// Ids and texts, in file order.
    #[must_use]
    pub fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// Which labels each example holds.
    #[must_use]
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// `sha256:` of label names, ids, texts and targets: equal for equal content in any format.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The given rows in the order given, as a data set of its own.
    ///
    /// # Panics
    /// When an index is out of range.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let examples = rows.iter().map(|&row| self.examples[row].clone()).collect();
        Self::with_fingerprint(self.labels.clone(), examples, self.targets.select(rows))
    }

    /// These rows and the others after them, as one data set.
    ///
    /// # Errors
    /// [`DataError::SharedId`] when an id stands in both; [`DataError::Spec`] for other labels.
    pub fn join(&self, others: &Self) -> Result<Self, DataError> {
        let known: HashSet<&str> = self.examples.iter().map(|example| example.id.as_str()).collect();
        if let Some(example) = others.examples.iter().find(|example| known.contains(example.id.as_str())) {
            return Err(DataError::SharedId { id: example.id.clone() });
        }
        let rows = |data: &Self| (0..data.examples.len()).flat_map(|row| data.targets.row(row).to_vec()).collect::<Vec<bool>>();
        let examples = [&self.examples[..], &others.examples[..]].concat();
        let targets = Targets::new(examples.len(), self.labels.len(), [rows(self), rows(others)].concat())?;
        Ok(Self::with_fingerprint(self.labels.clone(), examples, targets))
    }

    fn with_fingerprint(labels: LabelSet, examples: Vec<Example>, targets: Targets) -> Self {
        let fingerprint = fingerprint(&labels, &examples, &targets);
        Self { labels, examples, targets, fingerprint }
    }
}

/// Reads ids and texts alone; rows without labels are welcome, labels are checked where they stand.
///
/// # Errors
/// [`DataError`] at the first thing that is wrong.
pub fn read_texts(path: &Path, format: DataFormat, labels: &LabelSet) -> Result<Vec<Example>, DataError> {
    Ok(read_rows(path, format, labels)?.into_iter().map(|row| row.example).collect())
}

fn read_rows(path: &Path, format: DataFormat, labels: &LabelSet) -> Result<Vec<Row>, DataError> {
    let text = read_utf8(path)?;
    let rows = match format {
        DataFormat::EcTsv => table::tabs(path, &text, labels),
        DataFormat::EcCsv => table::commas(path, &text, labels),
        DataFormat::Goemotions => goemotions::rows(path, &text, labels),
        DataFormat::Jsonl => jsonl::rows(path, &text, labels),
    }?;
    if rows.is_empty() {
        return Err(DataError::Empty { path: path.to_owned() });
    }
    let mut lines: HashMap<&str, usize> = HashMap::with_capacity(rows.len());
    for row in &rows {
        if row.example.id.trim().is_empty() {
            return Err(value_error(path, row.line, "id", "at least one character", &row.example.id));
        }
        if let Some(first) = lines.insert(&row.example.id, row.line) {
            let id = row.example.id.clone();
            return Err(DataError::DuplicateId { path: path.to_owned(), line: row.line, id, first });
        }
    }
    Ok(rows)
}

fn read_utf8(path: &Path) -> Result<String, DataError> {
    let bytes = std::fs::read(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let line = 1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count();
        DataError::Utf8 { path: path.to_owned(), line, found: bytes[at] }
    })
}

fn value_error(path: &Path, line: usize, column: &str, expected: &str, found: &str) -> DataError {
    let found = match found.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &found[..end]),
        None => found.to_owned(),
    };
    DataError::Value { path: path.to_owned(), line, column: column.to_owned(), expected: expected.to_owned(), found }
}

/// Every part is preceded by its length, so that no two contents run into the same bytes.
fn fingerprint(labels: &LabelSet, examples: &[Example], targets: &Targets) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    labels.names().iter().for_each(|name| part(name.as_bytes()));
    for (row, example) in examples.iter().enumerate() {
        part(example.id.as_bytes());
        part(example.text.as_bytes());
        part(&targets.row(row).iter().map(|&held| u8::from(held)).collect::<Vec<_>>());
    }
    format!("sha256:{:x}", hash.finalize())
}
