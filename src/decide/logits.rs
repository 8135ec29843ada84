//! A matrix of raw scores, one row a text.

use thiserror::Error;

/// What can go wrong between logits and labels.
#[derive(Debug, Error, PartialEq)]
pub enum DecideError {
    /// A value that no probability can be made of.
    #[error("logit of row {row}, label {label} is {value}: expected a finite number")]
    NotFinite {
        /// Row in the batch.
        row: usize,
        /// Label position.
        label: usize,
        /// The value found.
        value: f32,
    },
    /// A matrix or vector of the wrong size.
    #[error("expected {expected} {what}, found {found}")]
    Shape {
        /// What was counted.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A parameter outside its range.
    #[error("{what} is {value}: expected {expected}")]
    Parameter {
        /// Which parameter.
        what: &'static str,
        /// The value found.
        value: f64,
        /// The range it must lie in.
        expected: &'static str,
    },
}

/// Raw scores of a batch, `rows x labels`, row-major. Every value is finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Logits {
    labels: usize,
    values: Vec<f32>,
}

impl Logits {
    /// Takes row-major `values`.
    ///
    /// # Errors
    /// [`DecideError::Shape`] when the length is no multiple of `labels`, or `labels` is zero;
    /// [`DecideError::NotFinite`] for the first NaN or infinity.
    pub fn new(labels: usize, values: Vec<f32>) -> Result<Self, DecideError> {
        if labels == 0 || !values.len().is_multiple_of(labels) {
            return Err(DecideError::Shape { what: "logits a row", expected: labels, found: values.len() });
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let (row, label) = (index / labels, index % labels);
            return Err(DecideError::NotFinite { row, label, value: values[index] });
        }
        Ok(Self { labels, values })
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len() / self.labels
    }

    /// Number of labels a row.
    #[must_use]
    pub fn labels(&self) -> usize {
        self.labels
    }

    /// One row.
    ///
    /// # Panics
    /// When `row` is out of range.
    #[must_use]
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.labels..(row + 1) * self.labels]
    }

    /// All values, row-major.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}
