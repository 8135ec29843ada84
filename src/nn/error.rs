//! What can go wrong between bytes, weights, rows and gradients.

use thiserror::Error;

/// Why weights, a batch or a step was refused.
#[derive(Debug, Error)]
pub enum NnError {
    /// Parameters that the network needs and the checkpoint does not have.
    #[error("{count} parameters are missing from the checkpoint: {names}")]
    Missing {
        /// How many there are.
        count: usize,
        /// The first few names, joined by commas.
        names: String,
    },
    /// A parameter whose shape is not the network's.
    #[error("parameter {name} has shape {found:?}: expected {expected:?}")]
    Shape {
        /// The parameter.
        name: String,
        /// What the network says.
        expected: Vec<usize>,
        /// What was given.
        found: Vec<usize>,
    },
    /// A parameter stored as something that is no floating-point number.
    #[error("parameter {name} is stored as {found}: expected F32, F16 or BF16")]
    DType {
        /// The parameter.
        name: String,
        /// The type found.
        found: String,
    },
    /// A parameter holding NaN or an infinity.
    #[error("parameter {name} holds {found} at {index}: expected finite numbers")]
    NotFinite {
        /// The parameter.
        name: String,
        /// Position in row-major order.
        index: usize,
        /// The value.
        found: f32,
    },
    /// The same name twice among the parameters of a network, or in two shards of a checkpoint.
    #[error("parameter {name} stands twice, among the network's parameters or in two shards")]
    Duplicate {
        /// The repeated name.
        name: String,
    },
    /// Bytes that are no safetensors file.
    #[error("no safetensors file: {reason}")]
    Safetensors {
        /// What the reader said.
        reason: String,
    },
    /// Bytes that are no `pytorch_model.bin` this version reads.
    #[error("no PyTorch weights: {reason}")]
    Pickle {
        /// What was expected, and what was found.
        reason: String,
    },
    /// A name that a network asked for and the weights do not hold.
    #[error("no parameter {name} among the weights")]
    Unknown {
        /// The name.
        name: String,
    },
    /// A frozen parameter that was to be changed.
    #[error("parameter {name} is frozen: expected one that is trained")]
    Frozen {
        /// The name.
        name: String,
    },
    /// An adapter, or what was asked of one, that does not fit.
    #[error("adapter: {what}: expected {expected}, found {found}")]
    Adapter {
        /// The key, layer or tensor.
        what: String,
        /// What fits.
        expected: String,
        /// What was given.
        found: String,
    },
    /// Ids and offsets that are no batch.
    #[error("offsets of a batch: expected 0, rising strictly, up to {ids} ids; found {found}")]
    Offsets {
        /// Number of ids given.
        ids: usize,
        /// What is wrong.
        found: String,
    },
    /// An id or a position beyond its table.
    #[error("entry {found} of table {table}: expected below {rows}")]
    Entry {
        /// The table.
        table: String,
        /// Entries it has.
        rows: usize,
        /// The entry asked for.
        found: usize,
    },
    /// Rows that do not fit an operation.
    #[error("{operation}: expected {expected}, found {found}")]
    Rows {
        /// The operation.
        operation: &'static str,
        /// What it takes.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// A loss that is NaN or infinite; the weights were not touched.
    #[error("the loss is {loss}: expected a finite number")]
    Loss {
        /// The loss.
        loss: f64,
    },
    /// A gradient norm that is NaN or infinite; the weights were not touched.
    #[error("the norm of the gradient is {norm}: expected a finite number")]
    GradientNorm {
        /// The norm.
        norm: f64,
    },
    /// A setting outside its range.
    #[error("{what} is {found}: expected {expected}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// The range.
        expected: &'static str,
        /// The value given.
        found: String,
    },
    /// A tensor operation failed.
    #[error("tensor operation: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl NnError {
    pub(super) fn adapter(what: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Adapter { what: what.into(), expected: expected.into(), found: found.into() }
    }

    pub(super) fn rows(operation: &'static str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Rows { operation, expected: expected.into(), found: found.into() }
    }
}
