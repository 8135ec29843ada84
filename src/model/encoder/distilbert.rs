//! DistilBERT (Sanh et al. 2019, arXiv:1910.01108): BERT's shape without segments, with nothing
//! dropped from the attention block's output, and with parameter names of its own.

use serde::Deserialize;

use super::post_norm::{Names, PostNorm, Shape};
use crate::model::ConfigError;
use crate::model::config::{check_heads, check_rates, check_sizes, check_word};
use crate::nn::Init;

const NAMES: Names = Names {
    prefix: "distilbert",
    layers: "transformer.layer",
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    attention_output: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    feed_forward: "ffn.lin1",
    output: "ffn.lin2",
    output_norm: "output_layer_norm",
};
/// Added to the variance in every layer normalisation: no configuration states it.
const EPSILON: f64 = 1e-12;

/// The members of a DistilBERT `config.json` that decide the computation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DistilBertConfig {
    /// Entries of the word table.
    pub vocab_size: usize,
    /// Width of a token vector.
    pub dim: usize,
    /// Number of layers.
    pub n_layers: usize,
    /// Heads a layer; divides `dim`.
    pub n_heads: usize,
    /// Width inside the feed-forward block.
    pub hidden_dim: usize,
    /// The feed-forward block's function.
    pub activation: String,
    /// Dropout on embeddings and feed-forward outputs, in `[0, 1)`.
    pub dropout: f64,
    /// Dropout on attention weights, in `[0, 1)`.
    pub attention_dropout: f64,
    /// Dropout before the classifier, in `[0, 1)`.
    pub seq_classif_dropout: f64,
    /// Longest text in tokens.
    pub max_position_embeddings: usize,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// Only a learned table of positions can be built.
    #[serde(default)]
    pub sinusoidal_pos_embds: bool,
}

impl DistilBertConfig {
    /// Refuses what this definition cannot compute.
    ///
    /// # Errors
    /// [`ConfigError::Value`] naming the member, what was expected and what was found.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_sizes(&[
            ("vocab_size", self.vocab_size),
            ("dim", self.dim),
            ("n_layers", self.n_layers),
            ("n_heads", self.n_heads),
            ("hidden_dim", self.hidden_dim),
            ("max_position_embeddings", self.max_position_embeddings),
        ])?;
        check_heads("n_heads", self.n_heads, self.dim)?;
        check_word("activation", &self.activation, "gelu")?;
        check_rates(&[
            ("dropout", self.dropout),
            ("attention_dropout", self.attention_dropout),
            ("seq_classif_dropout", self.seq_classif_dropout),
        ])?;
        if self.sinusoidal_pos_embds {
            return Err(ConfigError::value("sinusoidal_pos_embds", "false", true));
        }
        Ok(())
    }

    /// How fresh weights begin.
    pub(in crate::model) fn init(&self) -> Init {
        Init::Normal(self.initializer_range)
    }

    /// The encoder.
    pub(in crate::model) fn encoder(&self) -> PostNorm {
        let shape = Shape {
            words: self.vocab_size,
            positions: self.max_position_embeddings,
            first_position: 0,
            segments: None,
            width: self.dim,
            inner: self.hidden_dim,
            layers: self.n_layers,
            heads: self.n_heads,
            epsilon: EPSILON,
            init: self.init(),
            dropout: self.dropout,
            attention_dropout: 0.0,
            weights_dropout: self.attention_dropout,
        };
        PostNorm::new(&NAMES, &shape)
    }
}
