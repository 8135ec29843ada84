//! BERT (Devlin et al. 2019, arXiv:1810.04805), post-norm, absolute positions; `MiniLM` is of the
//! same shape. Parameter names are those of the Hugging Face checkpoints.

use serde::Deserialize;

use super::Reach;
use crate::model::ConfigError;
use crate::nn::{Attention, Embedding, Init, Linear, Norm, Ops, ParamSpec, UnaryOp};

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
    /// Longest text in tokens.
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

fn absolute() -> String {
    "absolute".to_owned()
}

impl BertConfig {
    /// Refuses what this definition cannot compute.
    ///
    /// # Errors
    /// [`ConfigError::Value`] naming the member, what was expected and what was found.
    pub fn check(&self) -> Result<(), ConfigError> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ];
        for (member, size) in sizes {
            if size == 0 || size > 1 << 24 {
                return Err(ConfigError::value(member, "between 1 and 16777216", size));
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(ConfigError::value("num_attention_heads", "a divisor of hidden_size", self.num_attention_heads));
        }
        if self.hidden_act != "gelu" {
            return Err(ConfigError::value("hidden_act", "\"gelu\"", &self.hidden_act));
        }
        if self.position_embedding_type != "absolute" {
            return Err(ConfigError::value("position_embedding_type", "\"absolute\"", &self.position_embedding_type));
        }
        let rates = [
            ("hidden_dropout_prob", self.hidden_dropout_prob),
            ("attention_probs_dropout_prob", self.attention_probs_dropout_prob),
            ("classifier_dropout", self.classifier_dropout.unwrap_or(0.0)),
        ];
        for (member, rate) in rates {
            if !(0.0..1.0).contains(&rate) {
                return Err(ConfigError::value(member, "at least 0 and below 1", rate));
            }
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            return Err(ConfigError::value("layer_norm_eps", "between 0 and 1", self.layer_norm_eps));
        }
        Ok(())
    }
}

/// The encoder, without pooler and head.
#[derive(Debug, Clone)]
pub struct Bert {
    words: Embedding,
    positions: Embedding,
    segments: Embedding,
    embedding_norm: Norm,
    layers: Vec<Layer>,
    dropout: f64,
}

#[derive(Debug, Clone)]
struct Layer {
    attention: Attention,
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: Norm,
    feed_forward: Linear,
    output: Linear,
    output_norm: Norm,
    dropout: f64,
}

impl Bert {
    /// Names every parameter below `prefix` (for example `bert`).
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration cannot be built.
    pub fn new(prefix: &str, config: &BertConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let init = Init::Normal(config.initializer_range);
        let width = config.hidden_size;
        let table = |name: &str, rows| Embedding { name: format!("{prefix}.embeddings.{name}"), rows, width, init };
        Ok(Self {
            words: table("word_embeddings", config.vocab_size),
            positions: table("position_embeddings", config.max_position_embeddings),
            segments: table("token_type_embeddings", config.type_vocab_size),
            embedding_norm: Norm { name: format!("{prefix}.embeddings.LayerNorm"), width, epsilon: config.layer_norm_eps },
            layers: (0..config.num_hidden_layers).map(|index| Layer::new(&format!("{prefix}.encoder.layer.{index}"), config)).collect(),
            dropout: config.hidden_dropout_prob,
        })
    }

    /// Every parameter, in checkpoint order.
    #[must_use]
    pub fn params(&self) -> Vec<ParamSpec> {
        let mut params = [self.words.params(), self.positions.params(), self.segments.params(), self.embedding_norm.params()].concat();
        params.extend(self.layers.iter().flat_map(Layer::params));
        params
    }

    /// The embeddings' output and then every layer's, each with a row a token.
    ///
    /// # Errors
    /// The interpreter's own.
    pub fn hidden_states<O: Ops>(&self, ops: &mut O) -> Result<Vec<O::Value>, O::Error> {
        let mut states = vec![self.embed(ops)?];
        for layer in &self.layers {
            let x = &states[states.len() - 1];
            let next = layer.forward(ops, x, x)?;
            states.push(next);
        }
        Ok(states)
    }

    /// The last layer's vectors, as far as `reach` asks.
    ///
    /// # Errors
    /// The interpreter's own.
    pub fn forward<O: Ops>(&self, ops: &mut O, reach: Reach) -> Result<O::Value, O::Error> {
        let mut x = self.embed(ops)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let last = index + 1 == self.layers.len();
            let asked = if last && reach == Reach::FirstToken { ops.first_token(&x)? } else { x.clone() };
            x = layer.forward(ops, &asked, &x)?;
        }
        Ok(x)
    }

    fn embed<O: Ops>(&self, ops: &mut O) -> Result<O::Value, O::Error> {
        let sum = ops.embed(&self.words, &self.positions, &self.segments)?;
        let x = ops.layer_norm(&self.embedding_norm, &sum, None)?;
        ops.dropout(self.dropout, &x)
    }
}

impl Layer {
    fn new(prefix: &str, config: &BertConfig) -> Self {
        let (width, inner, init) = (config.hidden_size, config.intermediate_size, Init::Normal(config.initializer_range));
        let linear = |name: &str, inputs, outputs| Linear { name: format!("{prefix}.{name}"), inputs, outputs, init };
        let norm = |name: &str| Norm { name: format!("{prefix}.{name}"), width, epsilon: config.layer_norm_eps };
        Self {
            attention: Attention {
                heads: config.num_attention_heads,
                head_width: width / config.num_attention_heads,
                dropout: config.attention_probs_dropout_prob,
            },
            query: linear("attention.self.query", width, width),
            key: linear("attention.self.key", width, width),
            value: linear("attention.self.value", width, width),
            attention_output: linear("attention.output.dense", width, width),
            attention_norm: norm("attention.output.LayerNorm"),
            feed_forward: linear("intermediate.dense", width, inner),
            output: linear("output.dense", inner, width),
            output_norm: norm("output.LayerNorm"),
            dropout: config.hidden_dropout_prob,
        }
    }

    fn params(&self) -> Vec<ParamSpec> {
        [
            self.query.params(),
            self.key.params(),
            self.value.params(),
            self.attention_output.params(),
            self.attention_norm.params(),
            self.feed_forward.params(),
            self.output.params(),
            self.output_norm.params(),
        ]
        .concat()
    }

    /// One layer for the rows `asked`, which look at all rows of `x`.
    fn forward<O: Ops>(&self, ops: &mut O, asked: &O::Value, x: &O::Value) -> Result<O::Value, O::Error> {
        let query = ops.linear(&self.query, asked)?;
        let key = ops.linear(&self.key, x)?;
        let value = ops.linear(&self.value, x)?;
        let mixed = ops.attention(&self.attention, &query, &key, &value)?;
        let mixed = ops.linear(&self.attention_output, &mixed)?;
        let mixed = ops.dropout(self.dropout, &mixed)?;
        let attended = ops.layer_norm(&self.attention_norm, &mixed, Some(asked))?;
        let inner = ops.linear(&self.feed_forward, &attended)?;
        let inner = ops.unary(UnaryOp::Gelu, &inner)?;
        let inner = ops.linear(&self.output, &inner)?;
        let inner = ops.dropout(self.dropout, &inner)?;
        ops.layer_norm(&self.output_norm, &inner, Some(&attended))
    }
}
