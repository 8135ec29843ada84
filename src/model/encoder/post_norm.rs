//! The encoder that BERT, RoBERTa and DistilBERT have in common (Vaswani et al. 2017,
//! arXiv:1706.03762; Devlin et al. 2019, arXiv:1810.04805): tables of positions, and a layer
//! normalisation after attention and after feed-forward. A family brings sizes and names.

use crate::model::Reach;
use crate::model::backbone::states;
use crate::nn::{Attention, Embedding, Embeddings, Init, Linear, Norm, Ops, ParamSpec, UnaryOp};

/// The encoder, without pooler and head.
#[derive(Debug, Clone)]
pub struct PostNorm {
    embeddings: Embeddings,
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
    attention_dropout: f64,
    dropout: f64,
}

/// The sizes and rates of an encoder.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// Entries of the word table.
    pub(super) words: usize,
    /// Entries of the position table, and the one of a text's first token.
    pub(super) positions: usize,
    pub(super) first_position: usize,
    /// Entries of the segment table, if there is one.
    pub(super) segments: Option<usize>,
    pub(super) width: usize,
    pub(super) inner: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    /// Added to the variance in layer normalisation.
    pub(super) epsilon: f64,
    pub(super) init: Init,
    /// Dropout on embeddings and on the feed-forward block's output.
    pub(super) dropout: f64,
    /// Dropout on the attention block's output.
    pub(super) attention_dropout: f64,
    /// Dropout on attention weights.
    pub(super) weights_dropout: f64,
}

/// What a family's checkpoints call the parts of an encoder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    /// The whole encoder.
    pub(super) prefix: &'static str,
    /// The layers, below the prefix; each is a number below that.
    pub(super) layers: &'static str,
    pub(super) query: &'static str,
    pub(super) key: &'static str,
    pub(super) value: &'static str,
    pub(super) attention_output: &'static str,
    pub(super) attention_norm: &'static str,
    pub(super) feed_forward: &'static str,
    pub(super) output: &'static str,
    pub(super) output_norm: &'static str,
}

impl PostNorm {
    /// Names every parameter of an encoder of this shape.
    pub(super) fn new(names: &Names, shape: &Shape) -> Self {
        let path = |name: &str| format!("{}.embeddings.{name}", names.prefix);
        let table = |name: &str, rows| Embedding { name: path(name), rows, width: shape.width, init: shape.init };
        Self {
            embeddings: Embeddings {
                words: table("word_embeddings", shape.words),
                positions: Some(table("position_embeddings", shape.positions)),
                first_position: shape.first_position,
                segments: shape.segments.map(|rows| table("token_type_embeddings", rows)),
                scale: None,
            },
            embedding_norm: Norm { name: path("LayerNorm"), width: shape.width, bias: true, epsilon: shape.epsilon },
            layers: (0..shape.layers).map(|index| Layer::new(names, shape, index)).collect(),
            dropout: shape.dropout,
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
        params
    }

    /// Every dense layer, from the input on.
    #[must_use]
    pub fn linears(&self) -> Vec<Linear> {
        self.layers.iter().flat_map(Layer::linears).cloned().collect()
    }

    /// The embeddings' output and then every layer's, each with a row a token.
    ///
    /// # Errors
    /// The interpreter's own.
    pub fn hidden_states<O: Ops>(&self, ops: &mut O) -> Result<Vec<O::Value>, O::Error> {
        let first = self.embed(ops)?;
        states(ops, first, &self.layers, |layer, ops, x| layer.forward(ops, x, x))
    }

    /// The last layer's vectors, as far as `reach` asks.
    ///
    /// # Errors
    /// The interpreter's own.
    pub fn forward<O: Ops>(&self, ops: &mut O, reach: Reach) -> Result<O::Value, O::Error> {
        let mut x = self.embed(ops)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let last = index + 1 == self.layers.len();
            let asked = if last { reach.rows(ops, &x)? } else { x.clone() };
            x = layer.forward(ops, &asked, &x)?;
        }
        Ok(x)
    }

    fn embed<O: Ops>(&self, ops: &mut O) -> Result<O::Value, O::Error> {
        let sum = ops.embed(&self.embeddings)?;
        let x = ops.layer_norm(&self.embedding_norm, &sum, None)?;
        ops.dropout(self.dropout, &x)
    }
}

impl Layer {
    fn new(names: &Names, shape: &Shape, index: usize) -> Self {
        let (width, inner) = (shape.width, shape.inner);
        let path = |name: &str| format!("{}.{}.{index}.{name}", names.prefix, names.layers);
        let linear = |name: &str, inputs, outputs| Linear { name: path(name), inputs, outputs, bias: true, init: shape.init };
        let norm = |name: &str| Norm { name: path(name), width, bias: true, epsilon: shape.epsilon };
        Self {
            attention: Attention { dropout: shape.weights_dropout, ..Attention::both(shape.heads, width / shape.heads) },
            query: linear(names.query, width, width),
            key: linear(names.key, width, width),
            value: linear(names.value, width, width),
            attention_output: linear(names.attention_output, width, width),
            attention_norm: norm(names.attention_norm),
            feed_forward: linear(names.feed_forward, width, inner),
            output: linear(names.output, inner, width),
            output_norm: norm(names.output_norm),
            attention_dropout: shape.attention_dropout,
            dropout: shape.dropout,
        }
    }

    fn linears(&self) -> [&Linear; 6] {
        [&self.query, &self.key, &self.value, &self.attention_output, &self.feed_forward, &self.output]
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
        let mixed = ops.dropout(self.attention_dropout, &mixed)?;
        let attended = ops.layer_norm(&self.attention_norm, &mixed, Some(asked))?;
        let inner = ops.linear(&self.feed_forward, &attended)?;
        let inner = ops.unary(UnaryOp::Gelu, &inner)?;
        let inner = ops.linear(&self.output, &inner)?;
        let inner = ops.dropout(self.dropout, &inner)?;
        ops.layer_norm(&self.output_norm, &inner, Some(&attended))
    }
}
