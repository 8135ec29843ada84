//! Labelled text from files: several formats in, one [`Dataset`] out.
//!
//! A row keeps its id beside its text from the first byte to the last report, so nothing is ever
//! joined by position. The label order is the recipe's: a file that names other labels, or the
//! same in another order, is refused. What is wrong with a file is said with path, line, what was
//! expected and what was found. Nothing is cleaned or guessed here; the only rows left out are those
//! whose text is known to be lost ([`LeftOut`]), and they are counted.

mod columns;
mod error;
mod format;
mod goemotions;
mod jsonl;
mod source;
mod table;
mod xed;

pub use error::DataError;
pub use format::{DataFormat, TextFormat};

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::spec::{LabelSet, Targets};
use source::Source;

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
    left_out: Option<LeftOut>,
}

/// Rows of a file that are no part of its data set, because their text is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// How many there are.
    pub rows: usize,
    /// Line of the first, from 1.
    pub first: usize,
    /// What is wrong with their text.
    pub why: &'static str,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows left out, the first in line {}: {}", self.rows, self.first, self.why)
    }
}

/// One row as a reader found it.
struct Row {
    line: usize,
    example: Example,
    held: Option<Vec<bool>>,
}

/// Rows in file order.
type Rows<'a> = Box<dyn Iterator<Item = Result<Row, DataError>> + 'a>;

impl Dataset {
    /// Reads a labelled file.
    ///
    /// # Errors
    /// [`DataError`] at the first thing that is wrong.
    pub fn read(path: &Path, format: DataFormat, labels: &LabelSet) -> Result<Self, DataError> {
        let (rows, left_out) = read_rows(path, format, labels)?;
        let (mut examples, mut values) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len() * labels.len()));
        for row in rows {
            let held = row.held.ok_or_else(|| DataError::Unlabelled { path: path.to_owned(), line: row.line })?;
            values.extend(held);
            examples.push(row.example);
        }
        let targets = Targets::new(examples.len(), labels.len(), values)?;
        Ok(Self { left_out, ..Self::with_fingerprint(labels.clone(), examples, targets) })
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

    /// The examples' ids, in file order.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.examples.iter().map(|example| example.id.clone()).collect()
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

    /// Rows of the file that are not here, when there are any.
    #[must_use]
    pub fn left_out(&self) -> Option<&LeftOut> {
        self.left_out.as_ref()
    }

    /// The given rows in the order given, as a data set of its own.
    ///
    /// # Panics
    /// When an index is out of range.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let examples = rows.iter().map(|&row| self.examples[row].clone()).collect();
        let left_out = self.left_out.clone();
        Self { left_out, ..Self::with_fingerprint(self.labels.clone(), examples, self.targets.select(rows)) }
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
        let examples = [&self.examples[..], &others.examples[..]].concat();
        Ok(Self::with_fingerprint(self.labels.clone(), examples, self.targets.join(&others.targets)?))
    }

    fn with_fingerprint(labels: LabelSet, examples: Vec<Example>, targets: Targets) -> Self {
        let fingerprint = fingerprint(&labels, &examples, &targets);
        Self { labels, examples, targets, fingerprint, left_out: None }
    }
}

/// Ids and texts of a file in file order, each with its line, one at a time; rows without labels are
/// welcome, labels are checked where they stand. `name` stands for the file in messages. Ids may
/// stand twice: whoever must know looks at them all.
///
/// # Errors
/// [`DataError`] for a wrong header here, for a wrong row in its place; a lost text is one.
pub fn texts<'a, R: Read + 'a>(
    name: &Path,
    bytes: R,
    format: &TextFormat,
    labels: &'a LabelSet,
) -> Result<impl Iterator<Item = Result<(usize, Example), DataError>> + use<'a, R>, DataError> {
    let (source, path) = (Source::new(name, bytes), name.to_owned());
    let (rows, lost): (Rows<'a>, _) = match format {
        TextFormat::Labelled(format) => (format.rows(source, labels)?, Some(*format)),
        TextFormat::Columns { id, text } => (columns::rows(source, id, text)?, None),
    };
    Ok(rows.map(move |row| {
        let Row { line, example, .. } = row?;
        if let Some(why) = lost.and_then(|format| format.lost(&example.text)) {
            return Err(value_error(&path, line, "text", &format!("a text; {why}"), &example.text));
        }
        check_id(&path, line, &example.id)?;
        Ok((line, example))
    }))
}

fn read_rows(path: &Path, format: DataFormat, labels: &LabelSet) -> Result<(Vec<Row>, Option<LeftOut>), DataError> {
    let (mut rows, mut left_out) = (Vec::new(), None::<LeftOut>);
    let mut lines: HashMap<String, usize> = HashMap::new();
    for row in format.rows(Source::open(path)?, labels)? {
        let row = row?;
        if let Some(why) = format.lost(&row.example.text) {
            left_out.get_or_insert(LeftOut { rows: 0, first: row.line, why }).rows += 1;
            continue;
        }
        check_id(path, row.line, &row.example.id)?;
        if let Some(first) = lines.insert(row.example.id.clone(), row.line) {
            let id = row.example.id;
            return Err(DataError::DuplicateId { path: path.to_owned(), line: row.line, id, first });
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(DataError::Empty { path: path.to_owned() });
    }
    Ok((rows, left_out))
}

fn check_id(path: &Path, line: usize, id: &str) -> Result<(), DataError> {
    if id.trim().is_empty() { Err(value_error(path, line, "id", "at least one character", id)) } else { Ok(()) }
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
