//! Decoders: networks in which a token sees what stands before it. Llama (Touvron et al. 2023,
//! arXiv:2302.13971; Llama 3, arXiv:2407.21783), Qwen 2 (arXiv:2407.10671) and 3 (arXiv:2505.09388),
//! Gemma (arXiv:2403.08295) and Gemma 2 (arXiv:2408.00118) are one definition; `family.rs` says how
//! they differ. Parameter names are those of the Hugging Face checkpoints.
//!
//! Numbers are `f32` throughout: `transformers` rounds Gemma's factor on embeddings to the width
//! that a model is run in, which here is always that.

mod causal;
mod config;
mod family;
mod layer;
mod rope;

use std::sync::Arc;

pub use causal::CausalLm;
pub use config::DecoderConfig;
pub use rope::RopeConfig;

use super::backbone::states;
use super::{ConfigError, Reach};
use crate::nn::{Embedding, Embeddings, Linear, Ops, ParamSpec, RmsNorm};
use layer::Layer;

/// A decoder, without head.
#[derive(Debug, Clone)]
pub struct Decoder {
    embeddings: Embeddings,
    layers: Vec<Arc<Layer>>,
    norm: RmsNorm,
}

impl Decoder {
    /// Names every parameter.
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration cannot be built.
    pub fn new(config: &DecoderConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let words =
            Embedding { name: "model.embed_tokens".to_owned(), rows: config.vocab_size, width: config.hidden_size, init: config.init() };
        #[expect(clippy::cast_possible_truncation, reason = "rounded as transformers rounds it")]
        let scale = config.family().gemma.then(|| (config.hidden_size as f64).sqrt() as f32);
        Ok(Self {
            embeddings: Embeddings { words, positions: None, first_position: 0, segments: None, scale },
            layers: (0..config.num_hidden_layers).map(|index| Layer::new(config, index).map(Arc::new)).collect::<Result<_, _>>()?,
            norm: config.norm("model.norm".to_owned(), config.hidden_size),
        })
    }

    /// The word table.
    #[must_use]
    pub fn words(&self) -> &Embedding {
        &self.embeddings.words
    }

    /// Every parameter, in checkpoint order.
    #[must_use]
    pub fn params(&self) -> Vec<ParamSpec> {
        let layers = self.layers.iter().flat_map(|layer| layer.params());
        self.embeddings.params().into_iter().chain(layers).chain(self.norm.params()).collect()
    }

    /// Every dense layer, from the input on.
    #[must_use]
    pub fn linears(&self) -> Vec<Linear> {
        self.layers.iter().flat_map(|layer| layer.linears()).cloned().collect()
    }

    /// The embeddings' output and then every layer's, the last one normalised, each with a row a
    /// token.
    ///
    /// # Errors
    /// The interpreter's own.
    pub fn hidden_states<O: Ops>(&self, ops: &mut O) -> Result<Vec<O::Value>, O::Error> {
        let first = ops.embed(&self.embeddings)?;
        let mut states = states(ops, first, &self.layers, |layer, ops, x| layer.forward(ops, x, Reach::Tokens))?;
        if let Some(last) = states.last_mut() {
            *last = ops.rms_norm(&self.norm, last)?;
        }
        Ok(states)
    }

    /// The last layer's vectors, normalised, as far as `reach` asks.
    ///
    /// # Errors
    /// The interpreter's own.
    pub fn forward<O: Ops>(&self, ops: &mut O, reach: Reach) -> Result<O::Value, O::Error> {
        let mut x = ops.embed(&self.embeddings)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let layer = Arc::clone(layer);
            let reach = if index + 1 == self.layers.len() { reach } else { Reach::Tokens };
            x = ops.segment(&x, move |ops, x| layer.forward(ops, x, reach))?;
        }
        ops.rms_norm(&self.norm, &x)
    }
}
