//! Encoders: networks that read a whole text at once.

mod bert;
mod distilbert;
mod post_norm;

pub use bert::{BertConfig, RobertaConfig};
pub use distilbert::DistilBertConfig;
pub use post_norm::PostNorm;

/// How far an encoder has to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The last layer's vector of every token: rows of tokens.
    Tokens,
    /// The last layer's vector of each text's first token: rows of texts. The last layer then
    /// computes queries, output and feed-forward for these rows alone, which is exact.
    FirstToken,
}
