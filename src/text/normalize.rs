//! Named, versioned normalisation. A version never changes once shipped: a new rule is a new name.

use serde::{Deserialize, Serialize};

/// What is done to a text before it is tokenised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalization {
    /// Nothing: the tokenizer's own normaliser alone.
    None,
    /// Tweets, first version: HTML entities, literal `\n`, user and URL masking, Unicode NFC.
    TweetV1,
}
