//! What this room answers when it cannot.

use std::path::PathBuf;

use thiserror::Error;

/// What can go wrong between a text and a batch of ids.
#[derive(Debug, Error)]
pub enum TextError {
    /// A folder without a tokenizer this room can use, or a file that cannot be read.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was expected, or what the system said.
        reason: String,
    },
    /// The tokenizer's definition cannot be used.
    #[error("tokenizer: {reason}")]
    Tokenizer {
        /// What is wrong with it.
        reason: String,
    },
    /// The tokenizer failed on one text.
    #[error("a text of {characters} characters could not be tokenised: {reason}")]
    Encode {
        /// Characters in the text, after normalisation and the cut. The text itself is not told.
        characters: usize,
        /// What the tokenizer library said.
        reason: String,
    },
    /// The longest text allowed cannot hold the special tokens and one token of text.
    #[error("expected a maximum length of at least {least} tokens, found {found}")]
    MaxLength {
        /// Special tokens plus one.
        least: usize,
        /// As configured.
        found: usize,
    },
    /// A prompt that cannot be made, or whose parts do not fit together.
    #[error("prompt: {reason}")]
    Prompt {
        /// What is wrong with it.
        reason: String,
    },
    /// A chat template that cannot be read, or that refuses the conversation.
    #[error("chat template: {reason}")]
    ChatTemplate {
        /// What is wrong, or what the template said.
        reason: String,
    },
    /// A prompt names a control token that the tokenizer does not have.
    #[error("the tokenizer has no token {token:?}: expected it to be {role}")]
    ControlToken {
        /// The token.
        token: String,
        /// What the prompt needs it for.
        role: &'static str,
    },
    /// A prompt that leaves no room for a text.
    #[error("the prompt around a text takes {prompt} tokens: expected fewer than the maximum length of {max_length}")]
    PromptLength {
        /// Tokens of the prompt.
        prompt: usize,
        /// The most tokens of prompt and text.
        max_length: usize,
    },
    /// Labels that the tokenizer cannot write and read again.
    #[error("label lists in tokens: {reason}")]
    Spelling {
        /// Which labels, and what is wrong.
        reason: String,
    },
    /// A text that takes more reading than it may.
    #[error("expected at most {most} passages, sentences and windows counted, found more")]
    Passages {
        /// As allowed.
        most: usize,
    },
    /// A text without a token.
    #[error("expected at least one token in a text, found none")]
    EmptyEncoding,
    /// A batch without a text.
    #[error("expected at least one text in a batch, found none")]
    EmptyBatch,
    /// More tokens than a batch can count.
    #[error("a batch holds at most {} tokens", u32::MAX)]
    BatchTooLarge,
}
