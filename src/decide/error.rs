//! What this room answers when it cannot.

use thiserror::Error;

use crate::spec::Matrix;

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
    /// A list of parameters that do not fit one another.
    #[error("{what}: expected {expected}")]
    Form {
        /// Which parameters.
        what: &'static str,
        /// How they must hang together.
        expected: &'static str,
    },
}

impl DecideError {
    /// Row-major values as rows of so many labels; `what` names them.
    pub(super) fn rows(what: &'static str, labels: usize, values: Vec<f32>) -> Result<Matrix<f32>, Self> {
        let found = values.len();
        Matrix::new(found / labels.max(1), labels, values).map_err(|_| Self::Shape { what, expected: labels, found })
    }
}
