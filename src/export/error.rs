//! Why a network could not be recorded.

use thiserror::Error;

/// Why a network could not be recorded.
#[derive(Debug, Error)]
pub enum ExportError {
    /// A parameter that the weights do not have.
    #[error("parameter {name}: expected a tensor of shape {expected:?} in the weights, found {found}")]
    Parameter {
        /// The parameter.
        name: String,
        /// The shape the network asks for.
        expected: Vec<usize>,
        /// What the weights have under its name.
        found: String,
    },
    /// An operation was given rows of the wrong kind.
    #[error("{operation}: expected rows of {expected}, found rows of {found}")]
    Rows {
        /// The operation.
        operation: &'static str,
        /// `tokens` or `texts`.
        expected: &'static str,
        /// What it was given.
        found: &'static str,
    },
}
