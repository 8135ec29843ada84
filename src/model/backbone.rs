//! What stands below a head: an encoder or a decoder, of any family.

use super::decoder::Decoder;
use super::encoder::{ModernBert, PostNorm};
use crate::nn::{Embedding, Linear, Ops, ParamSpec};

/// How far a backbone has to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The last layer's vector of every token: rows of tokens.
    Tokens,
    /// The last layer's vector of each text's first token: rows of texts. The last layer then
    /// computes queries, output and feed-forward for these rows alone, which is exact.
    FirstToken,
    /// The same of each text's last token. Decoders only: an encoder's windows are counted from
    /// the first token where rows are texts.
    LastToken,
}

impl Reach {
    /// The rows of tokens that are asked for.
    pub(super) fn rows<O: Ops>(self, ops: &mut O, x: &O::Value) -> Result<O::Value, O::Error> {
        match self {
            Self::Tokens => Ok(x.clone()),
            Self::FirstToken => ops.first_token(x),
            Self::LastToken => ops.last_token(x),
        }
    }
}

/// A first state and then every layer's, each computed from the one before.
pub(super) fn states<O: Ops, L>(
    ops: &mut O,
    first: O::Value,
    layers: &[L],
    forward: impl Fn(&L, &mut O, &O::Value) -> Result<O::Value, O::Error>,
) -> Result<Vec<O::Value>, O::Error> {
    let mut states = vec![first];
    for layer in layers {
        let next = forward(layer, ops, &states[states.len() - 1])?;
        states.push(next);
    }
    Ok(states)
}

/// A network without a head.
#[derive(Debug, Clone)]
pub enum Backbone {
    /// BERT, RoBERTa and DistilBERT.
    PostNorm(PostNorm),
    /// ModernBERT.
    ModernBert(ModernBert),
    /// Llama, Qwen and Gemma.
    Decoder(Decoder),
}

impl Backbone {
    /// Every parameter, in checkpoint order.
    #[must_use]
    pub fn params(&self) -> Vec<ParamSpec> {
        match self {
            Self::PostNorm(encoder) => encoder.params(),
            Self::ModernBert(encoder) => encoder.params(),
            Self::Decoder(decoder) => decoder.params(),
        }
    }

    /// Every dense layer, from the input on.
    #[must_use]
    pub fn linears(&self) -> Vec<Linear> {
        match self {
            Self::PostNorm(encoder) => encoder.linears(),
            Self::ModernBert(encoder) => encoder.linears(),
            Self::Decoder(decoder) => decoder.linears(),
        }
    }

    /// The word table.
    #[must_use]
    pub fn words(&self) -> &Embedding {
        match self {
            Self::PostNorm(encoder) => encoder.words(),
            Self::ModernBert(encoder) => encoder.words(),
            Self::Decoder(decoder) => decoder.words(),
        }
    }

    /// The embeddings' output and then every layer's, each with a row a token. Where a network has
    /// a last normalisation, the last is behind it.
    ///
    /// # Errors
    /// The interpreter's own.
    pub fn hidden_states<O: Ops>(&self, ops: &mut O) -> Result<Vec<O::Value>, O::Error> {
        match self {
            Self::PostNorm(encoder) => encoder.hidden_states(ops),
            Self::ModernBert(encoder) => encoder.hidden_states(ops),
            Self::Decoder(decoder) => decoder.hidden_states(ops),
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
            Self::Decoder(decoder) => decoder.forward(ops, reach),
        }
    }
}
