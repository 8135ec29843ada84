//! BERT (Devlin et al. 2019, arXiv:1810.04805) and RoBERTa (Liu et al. 2019, arXiv:1907.11692):
//! one shape, but that RoBERTa counts positions from behind its padding id. `MiniLM` is of the
//! former's shape; `DistilRoBERTa`, XLM-RoBERTa and `CamemBERT` are of the latter's. Parameter
//! names are those of the Hugging Face checkpoints.

use serde::Deserialize;

use super::post_norm::{Names, PostNorm, Shape};
use crate::model::ConfigError;
use crate::model::config::{check_heads, check_rates, check_sizes, check_word};
use crate::nn::Init;

const BERT: Names = Names {
    prefix: "bert",
    layers: "encoder.layer",
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    feed_forward: "intermediate.dense",
    output: "output.dense",
    output_norm: "output.LayerNorm",
};
const ROBERTA: Names = Names { prefix: "roberta", ..BERT };

/// The members of a BERT `config.json` that decide the computation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BertConfig {
    /// Entries of the word table.
    pub vocab_size: usize,
    /// Width of a token vector.
    pub hidden_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Heads a layer; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// The feed-forward block's function.
    pub hidden_act: String,
    /// Dropout on embeddings and block outputs, in `[0, 1)`.
    pub hidden_dropout_prob: f64,
    /// Dropout on attention weights, in `[0, 1)`.
    pub attention_probs_dropout_prob: f64,
    /// Entries of the position table.
    pub max_position_embeddings: usize,
    /// Entries of the segment table.
    pub type_vocab_size: usize,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// Added to the variance in layer normalisation.
    pub layer_norm_eps: f64,
    /// Only `absolute` can be built.
    #[serde(default = "absolute")]
    pub position_embedding_type: String,
    /// Dropout before the classifier; `hidden_dropout_prob` when absent.
    #[serde(default)]
    pub classifier_dropout: Option<f64>,
}

/// The members of a RoBERTa `config.json` that decide the computation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RobertaConfig {
    /// Those it shares with BERT.
    #[serde(flatten)]
    pub bert: BertConfig,
    /// The id of padding: a text's first token has the position behind it.
    pub pad_token_id: usize,
}

fn absolute() -> String {
    "absolute".to_owned()
}

impl BertConfig {
    /// Refuses what this definition cannot compute.
    ///
    /// # Errors
    /// [`ConfigError::Value`] naming the member, what was expected and what was found.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_sizes(&[
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ])?;
        check_heads("num_attention_heads", self.num_attention_heads, self.hidden_size)?;
        check_word("hidden_act", &self.hidden_act, "gelu")?;
        check_word("position_embedding_type", &self.position_embedding_type, "absolute")?;
        check_rates(&[
            ("hidden_dropout_prob", self.hidden_dropout_prob),
            ("attention_probs_dropout_prob", self.attention_probs_dropout_prob),
            ("classifier_dropout", self.classifier_dropout()),
        ])?;
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            return Err(ConfigError::value("layer_norm_eps", "between 0 and 1", self.layer_norm_eps));
        }
        Ok(())
    }

    /// Dropout before the classifier.
    #[must_use]
    pub fn classifier_dropout(&self) -> f64 {
        self.classifier_dropout.unwrap_or(self.hidden_dropout_prob)
    }

    /// How fresh weights begin.
    pub(in crate::model) fn init(&self) -> Init {
        Init::Normal(self.initializer_range)
    }

    /// The encoder of BERT.
    pub(in crate::model) fn encoder(&self) -> PostNorm {
        PostNorm::new(&BERT, &self.shape(0))
    }

    fn shape(&self, first_position: usize) -> Shape {
        Shape {
            words: self.vocab_size,
            positions: self.max_position_embeddings,
            first_position,
            segments: Some(self.type_vocab_size),
            width: self.hidden_size,
            inner: self.intermediate_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            epsilon: self.layer_norm_eps,
            init: self.init(),
            dropout: self.hidden_dropout_prob,
            attention_dropout: self.hidden_dropout_prob,
            weights_dropout: self.attention_probs_dropout_prob,
        }
    }
}

impl RobertaConfig {
    /// Refuses what this definition cannot compute.
    ///
    /// # Errors
    /// [`ConfigError::Value`] naming the member, what was expected and what was found.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.bert.check()?;
        if self.pad_token_id >= self.bert.max_position_embeddings - 1 {
            return Err(ConfigError::value("pad_token_id", "below max_position_embeddings - 1", self.pad_token_id));
        }
        Ok(())
    }

    /// The position of a text's first token.
    #[must_use]
    pub fn first_position(&self) -> usize {
        self.pad_token_id + 1
    }

    /// The encoder of RoBERTa.
    pub(in crate::model) fn encoder(&self) -> PostNorm {
        PostNorm::new(&ROBERTA, &self.bert.shape(self.first_position()))
    }
}
