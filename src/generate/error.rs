//! Why a model could not answer.

use thiserror::Error;

use crate::nn::NnError;
use crate::text::TextError;

/// Why a model could not answer.
#[derive(Debug, Error)]
pub enum GenerateError {
    /// More tokens than the model has positions for.
    #[error("a prompt of {prompt} tokens and an answer of at most {answer}: expected at most {context} together, the model's context")]
    Context {
        /// Tokens of the prompt.
        prompt: usize,
        /// The most tokens that an answer may take.
        answer: usize,
        /// The most that the model can read.
        context: usize,
    },
    /// A network whose logits are NaN or infinite.
    #[error("the network's logits are not finite: expected numbers")]
    NotFinite,
    /// What the network wrote cannot be written as text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The network could not compute.
    #[error(transparent)]
    Network(#[from] NnError),
}
