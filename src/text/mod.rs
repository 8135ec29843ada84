//! Text to token ids to ragged batches.
//!
//! The only room that knows the `tokenizers` crate. A text is normalised by a named, versioned
//! rule that the bundle states, cut to a length before it is tokenised, and tokenised; what comes
//! out is an [`Encoding`]. Encodings side by side are a [`Batch`]: flat ids and cumulative
//! lengths, no padding. Training and serving go through the same [`TextEncoder`].

mod batch;
mod emoji;
mod encoder;
mod error;
mod files;
mod normalize;

pub use batch::Batch;
pub use encoder::{Encoding, TextEncoder};
pub use error::TextError;
pub use files::{bert_tokenizer_json, read_tokenizer_json, roberta_tokenizer_json};
pub use normalize::Normalization;
