//! Text to token ids to ragged batches.
//!
//! The only room that knows the `tokenizers` crate. A text is normalised by a named, versioned
//! rule that the bundle states, cut to a length before it is tokenised, and tokenised; what comes
//! out is an [`Encoding`]. Encodings side by side are a [`Batch`]: flat ids and cumulative
//! lengths, no padding. Training and serving go through the same [`TextEncoder`].

mod batch;
mod encoder;
mod normalize;

pub use batch::Batch;
pub use encoder::{Encoding, TextEncoder, TextError};
pub use normalize::Normalization;
