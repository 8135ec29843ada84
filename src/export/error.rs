//! Why a network could not be exported, or its export could not be trusted.

use thiserror::Error;

use crate::backend::{BackendError, EngineKind};
use crate::model::ConfigError;
use crate::text::TextError;

/// Why an export failed.
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
    /// The network's configuration cannot be built.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The bundle holds no graph to verify.
    #[error("expected a bundle with an onnx graph, found none")]
    NoGraph,
    /// An engine failed while its answers were compared.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The texts to compare on cannot be laid out.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Two engines differ by more than the bundle allows.
    #[error("the {engine} engine: expected logits within {tolerance:e} of {of}, found a difference of {found:e}")]
    Parity {
        /// The engine at fault.
        engine: EngineKind,
        /// What it was compared with.
        of: &'static str,
        /// The most that was allowed.
        tolerance: f64,
        /// The largest absolute difference.
        found: f64,
    },
}
