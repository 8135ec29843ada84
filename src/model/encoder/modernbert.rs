//! ModernBERT (Warner et al. 2024, arXiv:2412.13663): layer normalisation before each block, rotary
//! positions, gated feed-forward, and attention that is local in most layers. Parameter names are
//! those of the Hugging Face checkpoints.

use serde::Deserialize;

use crate::model::backbone::states;
use crate::model::config::{check_heads, check_rates, check_sizes, check_word};
use crate::model::{ConfigError, Reach};
use crate::nn::{Attention, BinaryOp, Embedding, Embeddings, Init, Linear, Norm, Ops, ParamSpec, Rotary, UnaryOp};

/// The members of a ModernBERT `config.json` that decide the computation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ModernBertConfig {
    /// Entries of the word table.
    pub vocab_size: usize,
    /// Width of a token vector.
    pub hidden_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Heads a layer; divides `hidden_size` into even widths.
    pub num_attention_heads: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// The feed-forward block's function.
    pub hidden_activation: String,
    /// Longest text in tokens.
    pub max_position_embeddings: usize,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// Added to the variance in layer normalisation.
    pub norm_eps: f64,
    /// Whether layer normalisations have a shift.
    pub norm_bias: bool,
    /// Whether the attention block's dense layers have a bias.
    pub attention_bias: bool,
    /// Whether the feed-forward block's dense layers have a bias.
    pub mlp_bias: bool,
    /// Whether the head's dense layer has a bias.
    pub classifier_bias: bool,
    /// The head's function.
    pub classifier_activation: String,
    /// Layers whose number this divides look at the whole text.
    pub global_attn_every_n_layers: usize,
    /// Tokens that the other layers look at, half of them on either side.
    pub local_attention: usize,
    /// Base of the rotations where a layer looks at the whole text.
    pub global_rope_theta: f64,
    /// Base of the rotations elsewhere.
    pub local_rope_theta: f64,
    /// Dropout on embeddings, in `[0, 1)`.
    pub embedding_dropout: f64,
    /// Dropout on attention weights and the attention block's output, in `[0, 1)`.
    pub attention_dropout: f64,
    /// Dropout within the feed-forward block, in `[0, 1)`.
    pub mlp_dropout: f64,
    /// Dropout before the classifier, in `[0, 1)`.
    pub classifier_dropout: f64,
}

impl ModernBertConfig {
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
            ("global_attn_every_n_layers", self.global_attn_every_n_layers),
            ("local_attention", self.local_attention),
        ])?;
        check_heads("num_attention_heads", self.num_attention_heads, self.hidden_size)?;
        if !self.head_width().is_multiple_of(2) {
            return Err(ConfigError::value("num_attention_heads", "heads of an even width", self.num_attention_heads));
        }
        check_word("hidden_activation", &self.hidden_activation, "gelu")?;
        check_word("classifier_activation", &self.classifier_activation, "gelu")?;
        check_rates(&[
            ("embedding_dropout", self.embedding_dropout),
            ("attention_dropout", self.attention_dropout),
            ("mlp_dropout", self.mlp_dropout),
            ("classifier_dropout", self.classifier_dropout),
        ])?;
        for (member, base) in [("global_rope_theta", self.global_rope_theta), ("local_rope_theta", self.local_rope_theta)] {
            if !(base > 1.0 && base.is_finite()) {
                return Err(ConfigError::value(member, "a number above 1", base));
            }
        }
        if !(self.norm_eps > 0.0 && self.norm_eps < 1.0) {
            return Err(ConfigError::value("norm_eps", "between 0 and 1", self.norm_eps));
        }
        Ok(())
    }

    fn head_width(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// How fresh weights begin.
    pub(in crate::model) fn init(&self) -> Init {
        Init::Normal(self.initializer_range)
    }

    /// A layer normalisation of token vectors.
    pub(in crate::model) fn norm(&self, name: &str) -> Norm {
        Norm { name: name.to_owned(), width: self.hidden_size, bias: self.norm_bias, epsilon: self.norm_eps }
    }
}

/// The encoder, without head.
#[derive(Debug, Clone)]
pub struct ModernBert {
    embeddings: Embeddings,
    embedding_norm: Norm,
    layers: Vec<Layer>,
    final_norm: Norm,
    dropout: f64,
}

#[derive(Debug, Clone)]
struct Layer {
    /// The first layer has none: the embeddings are normal already.
    attention_norm: Option<Norm>,
    query_key_value: Linear,
    rotary: Rotary,
    attention: Attention,
    attention_output: Linear,
    feed_forward_norm: Norm,
    /// The numbers to be squashed, and their gates.
    feed_forward: Linear,
    output: Linear,
    attention_dropout: f64,
    dropout: f64,
}

impl ModernBert {
    /// Names every parameter.
    pub(in crate::model) fn new(config: &ModernBertConfig) -> Self {
        let words = Embedding {
            name: "model.embeddings.tok_embeddings".to_owned(),
            rows: config.vocab_size,
            width: config.hidden_size,
            init: config.init(),
        };
        Self {
            embeddings: Embeddings { words, positions: None, first_position: 0, segments: None, scale: None },
            embedding_norm: config.norm("model.embeddings.norm"),
            layers: (0..config.num_hidden_layers).map(|index| Layer::new(config, index)).collect(),
            final_norm: config.norm("model.final_norm"),
            dropout: config.embedding_dropout,
        }
    }

    /// The word table.
    pub(in crate::model) fn words(&self) -> &Embedding {
        &self.embeddings.words
    }

    /// Every parameter, in checkpoint order.
    #[must_use]
    pub fn params(&self) -> Vec<ParamSpec> {
        let mut params = [self.embeddings.params(), self.embedding_norm.params()].concat();
        params.extend(self.layers.iter().flat_map(Layer::params));
        params.extend(self.final_norm.params());
        params
    }

    /// Every dense layer, from the input on.
    #[must_use]
    pub fn linears(&self) -> Vec<Linear> {
        self.layers.iter().flat_map(Layer::linears).cloned().collect()
    }

    /// The embeddings' output and then every layer's, the last one normalised, each with a row a
    /// token.
    ///
    /// # Errors
    /// The interpreter's own.
    pub fn hidden_states<O: Ops>(&self, ops: &mut O) -> Result<Vec<O::Value>, O::Error> {
        let first = self.embed(ops)?;
        let mut states = states(ops, first, &self.layers, |layer, ops, x| layer.forward(ops, x, Reach::Tokens))?;
        if let Some(last) = states.last_mut() {
            *last = ops.layer_norm(&self.final_norm, last, None)?;
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
            x = layer.forward(ops, &x, if last { reach } else { Reach::Tokens })?;
        }
        ops.layer_norm(&self.final_norm, &x, None)
    }

    fn embed<O: Ops>(&self, ops: &mut O) -> Result<O::Value, O::Error> {
        let words = ops.embed(&self.embeddings)?;
        let x = ops.layer_norm(&self.embedding_norm, &words, None)?;
        ops.dropout(self.dropout, &x)
    }
}

impl Layer {
    fn new(config: &ModernBertConfig, index: usize) -> Self {
        let (width, inner, init) = (config.hidden_size, config.intermediate_size, config.init());
        let path = |name: &str| format!("model.layers.{index}.{name}");
        let linear = |name: &str, inputs, outputs, bias| Linear { name: path(name), inputs, outputs, bias, init };
        let global = index.is_multiple_of(config.global_attn_every_n_layers);
        let base = if global { config.global_rope_theta } else { config.local_rope_theta };
        Self {
            attention_norm: (index > 0).then(|| config.norm(&path("attn_norm"))),
            query_key_value: linear("attn.Wqkv", width, 3 * width, config.attention_bias),
            rotary: Rotary { head_width: config.head_width(), base, scaling: None },
            attention: Attention {
                window: (!global).then_some(config.local_attention / 2),
                dropout: config.attention_dropout,
                ..Attention::both(config.num_attention_heads, config.head_width())
            },
            attention_output: linear("attn.Wo", width, width, config.attention_bias),
            feed_forward_norm: config.norm(&path("mlp_norm")),
            feed_forward: linear("mlp.Wi", width, 2 * inner, config.mlp_bias),
            output: linear("mlp.Wo", inner, width, config.mlp_bias),
            attention_dropout: config.attention_dropout,
            dropout: config.mlp_dropout,
        }
    }

    fn linears(&self) -> [&Linear; 4] {
        [&self.query_key_value, &self.attention_output, &self.feed_forward, &self.output]
    }

    fn params(&self) -> Vec<ParamSpec> {
        let mut params = self.attention_norm.as_ref().map_or_else(Vec::new, Norm::params);
        params.extend(self.query_key_value.params());
        params.extend(self.attention_output.params());
        params.extend(self.feed_forward_norm.params());
        params.extend(self.feed_forward.params());
        params.extend(self.output.params());
        params
    }

    /// One layer for the rows that `reach` asks for, which look at all rows of `x`.
    fn forward<O: Ops>(&self, ops: &mut O, x: &O::Value, reach: Reach) -> Result<O::Value, O::Error> {
        let mixed = self.attend(ops, x, reach)?;
        let asked = reach.rows(ops, x)?;
        let attended = ops.binary(BinaryOp::Add, &asked, &mixed)?;
        let normal = ops.layer_norm(&self.feed_forward_norm, &attended, None)?;
        let both = ops.linear(&self.feed_forward, &normal)?;
        let inner = self.output.inputs;
        let (numbers, gates) = (ops.columns(&both, 0, inner)?, ops.columns(&both, inner, inner)?);
        let squashed = ops.unary(UnaryOp::Gelu, &numbers)?;
        let gated = ops.binary(BinaryOp::Multiply, &squashed, &gates)?;
        let gated = ops.dropout(self.dropout, &gated)?;
        let output = ops.linear(&self.output, &gated)?;
        ops.binary(BinaryOp::Add, &attended, &output)
    }

    /// The attention block.
    fn attend<O: Ops>(&self, ops: &mut O, x: &O::Value, reach: Reach) -> Result<O::Value, O::Error> {
        let normal = match &self.attention_norm {
            Some(norm) => ops.layer_norm(norm, x, None)?,
            None => x.clone(),
        };
        let packed = ops.linear(&self.query_key_value, &normal)?;
        let width = self.query_key_value.inputs;
        let query = ops.columns(&packed, 0, width)?;
        let key = ops.columns(&packed, width, width)?;
        let value = ops.columns(&packed, 2 * width, width)?;
        let (query, key) = (ops.rotate(&self.rotary, &query)?, ops.rotate(&self.rotary, &key)?);
        let query = reach.rows(ops, &query)?;
        let mixed = ops.attention(&self.attention, &query, &key, &value)?;
        let mixed = ops.linear(&self.attention_output, &mixed)?;
        ops.dropout(self.attention_dropout, &mixed)
    }
}
