//! Engines: a batch of token ids in, logits out.
//!
//! [`Backend`] is the whole contract. One backend value belongs to one worker thread, which owns
//! its session; nothing here locks, queues or decides. Only logits leave.

use thiserror::Error;

use crate::decide::{DecideError, Logits};
use crate::text::Batch;

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
}

/// How an engine spends its time, so that batches can be laid out to suit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Every text costs as much as the longest of its batch.
    Padded,
    /// Every text costs its own tokens.
    Ragged,
}

/// One engine, ready to compute.
pub trait Backend: Send {
    /// Logits for every text of the batch, in order. A text's logits do not depend on the texts
    /// beside it.
    ///
    /// # Errors
    /// [`BackendError`]; the backend stays usable afterwards.
    fn forward(&mut self, batch: &Batch) -> Result<Logits, BackendError>;

    /// How this engine's time grows with a batch.
    fn cost(&self) -> Cost;

    /// The engine's name in metrics and answers: `onnx` or `candle`.
    fn name(&self) -> &'static str;
}
