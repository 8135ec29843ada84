//! What can be wrong with a data file: always the path, the line, what was expected and found.

use std::path::PathBuf;

use thiserror::Error;

use crate::spec::SpecError;

/// Why a data file was refused.
#[derive(Debug, Error)]
pub enum DataError {
    /// The file could not be read at all.
    #[error("{}: expected a readable file: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Bytes that are no UTF-8.
    #[error("{}:{line}: expected UTF-8 text, found the byte {found:#04x}", path.display())]
    Utf8 {
        /// The file.
        path: PathBuf,
        /// Line of the first such byte, from 1.
        line: usize,
        /// That byte.
        found: u8,
    },
    /// No row after the header, or nothing at all.
    #[error("{}: expected at least one row, found none", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A header that does not name the recipe's labels in the recipe's order.
    #[error("{}:1: expected the header {expected:?}, found {found:?}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// Column names that the recipe asks for.
        expected: String,
        /// Column names found.
        found: String,
    },
    /// A header without a column that was named, or with two of that name.
    #[error("{}:1: expected one column {column:?}, found {found:?}", path.display())]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column's name.
        column: String,
        /// Column names found.
        found: String,
    },
    /// A format of fixed labels, asked for others.
    #[error("{}: expected the labels {expected}, which this format has, found {found}", path.display())]
    Labels {
        /// The file.
        path: PathBuf,
        /// Names that the format has.
        expected: String,
        /// Names that the recipe or the bundle asks for.
        found: String,
    },
    /// A row with too many or too few columns.
    #[error("{}:{line}: expected {expected} columns, found {found}", path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Columns that the format has.
        expected: usize,
        /// Columns found.
        found: usize,
    },
    /// A column that holds something else than it may.
    #[error("{}:{line}: {column}: expected {expected}, found {found:?}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The column or member.
        column: String,
        /// What it may hold.
        expected: String,
        /// What it holds.
        found: String,
    },
    /// The same id twice.
    #[error("{}:{line}: id {id:?} stands in line {first} already", path.display())]
    DuplicateId {
        /// The file.
        path: PathBuf,
        /// Line of the second, from 1.
        line: usize,
        /// The id.
        id: String,
        /// Line of the first.
        first: usize,
    },
    /// The same id in two files that are joined.
    #[error("id {id:?} stands in data.train and in data.dev: expected different ids, to join the files (final.include_dev)")]
    SharedId {
        /// The id.
        id: String,
    },
    /// A row without labels where labels are needed.
    #[error("{}:{line}: expected labels, found an unlabelled row; such a file can be predicted, not trained on or evaluated", path.display())]
    Unlabelled {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// Targets that are no matrix.
    #[error(transparent)]
    Spec(#[from] SpecError),
}
