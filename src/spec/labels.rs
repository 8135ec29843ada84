//! The label set: names and their order, which exist once, here, and travel in the bundle.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// More labels than this is taken for a broken file.
pub const MAX_LABELS: usize = 1024;
/// Longer names than this (in bytes) are taken for a broken file.
const MAX_NAME_BYTES: usize = 128;

/// Why a set of labels or a matrix was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SpecError {
    /// No label at all, or too many.
    #[error("expected between 1 and {MAX_LABELS} labels, found {found}")]
    LabelCount {
        /// Labels given.
        found: usize,
    },
    /// A name that is empty, too long, or holds a control character.
    #[error("label {index} is {name:?}: expected 1 to {MAX_NAME_BYTES} bytes without control characters")]
    LabelName {
        /// Position in the list given.
        index: usize,
        /// The name as given.
        name: String,
    },
    /// The same name twice.
    #[error("label {name:?} stands twice")]
    DuplicateLabel {
        /// The repeated name.
        name: String,
    },
    /// A matrix whose length is not rows times labels.
    #[error("expected {rows} rows of {labels} values, found {found} values")]
    Shape {
        /// Rows expected.
        rows: usize,
        /// Labels a row.
        labels: usize,
        /// Values found.
        found: usize,
    },
}

/// Ordered, distinct, non-empty label names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct LabelSet(Vec<String>);

impl LabelSet {
    /// Checks and keeps `names` in the order given.
    ///
    /// # Errors
    /// [`SpecError`] when there are none or more than [`MAX_LABELS`], or when a name is empty,
    /// too long, holds a control character or stands twice.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Result<Self, SpecError> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if names.is_empty() || names.len() > MAX_LABELS {
            return Err(SpecError::LabelCount { found: names.len() });
        }
        let mut seen = HashSet::new();
        for (index, name) in names.iter().enumerate() {
            if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
                return Err(SpecError::LabelName { index, name: name.clone() });
            }
            if !seen.insert(name) {
                return Err(SpecError::DuplicateLabel { name: name.clone() });
            }
        }
        Ok(Self(names))
    }

    /// How many labels there are; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a label set is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The names in order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The position of `name`, if it is one of the labels.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|label| label == name)
    }
}

impl TryFrom<Vec<String>> for LabelSet {
    type Error = SpecError;

    fn try_from(names: Vec<String>) -> Result<Self, SpecError> {
        Self::new(names)
    }
}
