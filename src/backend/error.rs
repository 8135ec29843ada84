//! Why an engine could not be opened, or could not answer.

use thiserror::Error;

use crate::decide::DecideError;

/// Why an engine could not be opened, or could not answer a batch.
#[derive(Debug, Error)]
pub enum BackendError {
    /// The engine's shared library is missing or cannot be used.
    #[error("{library}: {reason}; run scripts/setup, or name it with --ort-library or ORT_DYLIB_PATH")]
    Library {
        /// Path or name tried.
        library: String,
        /// What the loader said.
        reason: String,
    },
    /// No engine of that name.
    #[error("expected engine onnx or candle, found {found:?}")]
    Engine {
        /// The name given.
        found: String,
    },
    /// The model could not be built from the bundle.
    #[error("the {engine} engine refused the model: {reason}")]
    Model {
        /// `onnx` or `candle`.
        engine: &'static str,
        /// What it said.
        reason: String,
    },
    /// A batch could not be computed.
    #[error("the {engine} engine failed on {texts} texts: {reason}")]
    Forward {
        /// `onnx` or `candle`.
        engine: &'static str,
        /// Texts in the batch.
        texts: usize,
        /// What it said.
        reason: String,
    },
    /// What the engine gave is no matrix of finite numbers.
    #[error(transparent)]
    Logits(#[from] DecideError),
    /// The engine does not give the answers that the bundle was written with.
    #[error(
        "the {engine} engine answers golden text {text} with logit {found} for label {label:?}: expected {expected} within {tolerance:e}"
    )]
    Golden {
        /// `onnx` or `candle`.
        engine: &'static str,
        /// Position in the golden set.
        text: usize,
        /// The label.
        label: String,
        /// The golden logit.
        expected: f32,
        /// The engine's.
        found: f32,
        /// The bundle's tolerance.
        tolerance: f64,
    },
}

impl BackendError {
    pub(super) fn library(library: impl ToString, reason: impl ToString) -> Self {
        Self::Library { library: library.to_string(), reason: reason.to_string() }
    }
}
