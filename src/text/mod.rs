//! Text to token ids to ragged batches.
//!
//! The only room that knows the `tokenizers` crate. A text is normalised by a named, versioned
//! rule that the bundle states, cut to a length before it is tokenised, and tokenised; what comes
//! out is an [`Encoding`]. Encodings side by side are a [`Batch`]: flat ids and cumulative
//! lengths, no padding. Training and serving go through the same [`TextEncoder`].
//!
//! A language model is asked by a [`Prompt`] around the text, and answers with a list of labels, which
//! [`LabelSpelling`] writes, constrains and reads.
//!
//! Where an answer is to say which part of a text it speaks of, a text is read as [`Passage`]s, each
//! with the [`Span`] of the original it was made of.

mod answers;
mod batch;
mod chat;
mod date;
mod emoji;
mod encoder;
mod error;
mod files;
mod normalize;
mod pieces;
mod prompt;
mod prompted;
mod reading;
mod span;
mod spelling;
mod trie;
mod windows;
mod words;

pub use answers::{AnswerCounts, Fault, ReadAnswer};
pub use batch::Batch;
pub use chat::ChatTemplate;
pub use encoder::{Encoding, TextEncoder};
pub use error::TextError;
pub use files::{bert_tokenizer_json, read_tokenizer_json, roberta_tokenizer_json};
pub use normalize::Normalization;
pub use prompt::{ChatTurns, Prompt};
pub use reading::{Long, Parts, Passage, ReadText, Reading};
pub use span::Span;
pub use spelling::{Completion, LabelSpelling};
pub use trie::{LabelTrie, Place, Step};
pub use words::without;
