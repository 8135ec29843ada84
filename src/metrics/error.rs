//! What this room answers when it cannot.

use thiserror::Error;

use crate::decide::DecideError;

/// Why rows could not be judged.
#[derive(Debug, Error, PartialEq)]
pub enum MetricsError {
    /// Matrices or columns of different sizes.
    #[error("expected {expected} {what}, found {found}")]
    Shape {
        /// What was counted.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// No row at all.
    #[error("expected at least one row, found none")]
    Empty,
    /// Thresholds that do not fit the probabilities.
    #[error(transparent)]
    Decide(#[from] DecideError),
}

impl MetricsError {
    pub(super) fn same(what: &'static str, expected: usize, found: usize) -> Result<(), Self> {
        if expected == found { Ok(()) } else { Err(Self::Shape { what, expected, found }) }
    }
}
