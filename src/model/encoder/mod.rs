//! Encoders: networks that read a whole text at once.

mod bert;
mod distilbert;
mod modernbert;
mod post_norm;

pub use bert::{BertConfig, RobertaConfig};
pub use distilbert::DistilBertConfig;
pub use modernbert::{ModernBert, ModernBertConfig};
pub use post_norm::PostNorm;

use crate::nn::{Embedding, Ops, ParamSpec};

/// How far an encoder has to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The last layer's vector of every token: rows of tokens.
    Tokens,
    /// The last layer's vector of each text's first token: rows of texts. The last layer then
    /// computes queries, output and feed-forward for these rows alone, which is exact.
    FirstToken,
}

/// The encoder of any family.
#[derive(Debug, Clone)]
pub enum Encoder {
    /// BERT, RoBERTa and DistilBERT.
    PostNorm(PostNorm),
    /// ModernBERT.
    ModernBert(ModernBert),
}

impl Encoder {
    /// Every parameter, in checkpoint order.
    #[must_use]
    pub fn params(&self) -> Vec<ParamSpec> {
        match self {
            Self::PostNorm(encoder) => encoder.params(),
            Self::ModernBert(encoder) => encoder.params(),
        }
    }

    /// The word table.
    #[must_use]
    pub fn words(&self) -> &Embedding {
        match self {
            Self::PostNorm(encoder) => encoder.words(),
            Self::ModernBert(encoder) => encoder.words(),
        }
    }

    /// The embeddings' output and then every layer's, each with a row a token.
    ///
    /// # Errors
    /// The interpreter's own.
    pub fn hidden_states<O: Ops>(&self, ops: &mut O) -> Result<Vec<O::Value>, O::Error> {
        match self {
            Self::PostNorm(encoder) => encoder.hidden_states(ops),
            Self::ModernBert(encoder) => encoder.hidden_states(ops),
        }
    }

    /// The last layer's vectors, as far as `reach` asks.
    ///
    /// # Errors
    /// The interpreter's own.
    pub fn forward<O: Ops>(&self, ops: &mut O, reach: Reach) -> Result<O::Value, O::Error> {
        match self {
            Self::PostNorm(encoder) => encoder.forward(ops, reach),
            Self::ModernBert(encoder) => encoder.forward(ops, reach),
        }
    }
}
