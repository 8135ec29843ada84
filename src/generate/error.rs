//! Why a model could not answer.

use thiserror::Error;

use crate::nn::NnError;

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
    /// A setting outside its range.
    #[error("{what} is {found}: expected {expected}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// Its range.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// The network could not compute.
    #[error(transparent)]
    Network(#[from] NnError),
}
