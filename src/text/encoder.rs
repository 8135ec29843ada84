//! The tokenizer behind one type: normalise, tokenise, cut.

use std::path::Path;
use std::sync::Arc;

use thiserror::Error;
use tokenizers::Tokenizer;

use super::Normalization;

/// What can go wrong between a text and its ids.
#[derive(Debug, Error)]
pub enum TextError {
    /// The tokenizer file could not be read.
    #[error("tokenizer: {reason}")]
    Tokenizer {
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
    /// A batch without a text.
    #[error("expected at least one text in a batch, found none")]
    EmptyBatch,
    /// More tokens than a batch can count.
    #[error("a batch holds at most {} tokens", u32::MAX)]
    BatchTooLarge,
}

/// One text as token ids, special tokens included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    ids: Vec<u32>,
    truncated: bool,
}

impl Encoding {
    /// The ids, at least one.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Whether tokens of the text were cut off to fit the maximum length.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.truncated
    }
}

/// Text to [`Encoding`], the same way in training and in serving. Cheap to clone, safe to share.
#[derive(Clone)]
pub struct TextEncoder {
    tokenizer: Arc<Tokenizer>,
    normalization: Normalization,
    max_length: usize,
}
