//! The vocabulary. A network is a function over these operations and nothing else.
//!
//! Values are rows of numbers. A row belongs to a token (`[tokens, width]`, texts end to end) or
//! to a text (`[texts, width]`); no operation shows a batch or a sequence axis. Every operation
//! that is not attention or pooling works on each row alone.

use super::params::{Embedding, Embeddings, Linear, Norm, ParamSpec};

/// An elementwise function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnaryOp {
    /// `x * Phi(x)` with the exact error function (Hendrycks and Gimpel 2016, arXiv:1606.08415).
    Gelu,
    /// Hyperbolic tangent.
    Tanh,
    /// `max(x, 0)`.
    Relu,
}

/// An elementwise function of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOp {
    /// `x + y`.
    Add,
    /// `x * y`.
    Multiply,
}

/// Rotary positions (Su et al. 2021, arXiv:2104.09864): number `i` of a head's first half and
/// number `i` of its second are a point, turned by `position * base^(-2 i / head_width)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rotary {
    /// Width of one head, even.
    pub head_width: usize,
    /// Base of the speeds, above 1.
    pub base: f64,
}

impl Rotary {
    /// How far the points of a head turn from one position to the next, in radians, one a point.
    #[must_use]
    pub fn speeds(&self) -> Vec<f32> {
        (0..self.head_width / 2).map(|point| libm::pow(self.base, -2.0 * point as f64 / self.head_width as f64) as f32).collect()
    }
}

/// Shape of a bidirectional multi-head attention (Vaswani et al. 2017, arXiv:1706.03762).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attention {
    /// Number of heads.
    pub heads: usize,
    /// Width of one head; scores are divided by its square root.
    pub head_width: usize,
    /// How far from a query the keys may stand that it looks at; anywhere when absent.
    pub window: Option<usize>,
    /// Probability that an attention weight is dropped in training.
    pub dropout: f64,
}

/// What pre-training needs beside [`Ops`]: only an interpreter that learns knows it.
pub trait Decode: Ops {
    /// The rows of the tokens that are asked about: rows of tokens to rows of those alone.
    ///
    /// # Errors
    /// The interpreter's own.
    fn marked(&mut self, x: &Self::Value) -> Result<Self::Value, Self::Error>;

    /// A dense layer whose weight is the word table: for every row a logit a word.
    ///
    /// # Errors
    /// The interpreter's own.
    fn decode(&mut self, words: &Embedding, bias: &ParamSpec, x: &Self::Value) -> Result<Self::Value, Self::Error>;
}

/// The operations that every interpreter knows.
pub trait Ops {
    /// Rows of numbers, or a name for them.
    type Value: Clone;
    /// What the interpreter can fail with.
    type Error;

    /// The sum of a token's entries in the tables there are: by its id, by its position within its
    /// text, and the segment table's entry 0. `[tokens, width]`.
    ///
    /// # Errors
    /// The interpreter's own: an id or position outside its table, a missing parameter.
    fn embed(&mut self, tables: &Embeddings) -> Result<Self::Value, Self::Error>;

    /// A dense layer on every row.
    ///
    /// # Errors
    /// The interpreter's own.
    fn linear(&mut self, layer: &Linear, x: &Self::Value) -> Result<Self::Value, Self::Error>;

    /// Layer normalisation of every row of `x`, or of `x + residual`.
    ///
    /// # Errors
    /// The interpreter's own.
    fn layer_norm(&mut self, layer: &Norm, x: &Self::Value, residual: Option<&Self::Value>) -> Result<Self::Value, Self::Error>;

    /// An elementwise function.
    ///
    /// # Errors
    /// The interpreter's own.
    fn unary(&mut self, op: UnaryOp, x: &Self::Value) -> Result<Self::Value, Self::Error>;

    /// An elementwise function of two values of one shape.
    ///
    /// # Errors
    /// The interpreter's own.
    fn binary(&mut self, op: BinaryOp, x: &Self::Value, y: &Self::Value) -> Result<Self::Value, Self::Error>;

    /// `width` columns of every row, from `first` on.
    ///
    /// # Errors
    /// The interpreter's own.
    fn columns(&mut self, x: &Self::Value, first: usize, width: usize) -> Result<Self::Value, Self::Error>;

    /// Turns the heads of every token by its position within its text.
    ///
    /// # Errors
    /// The interpreter's own.
    fn rotate(&mut self, rotary: &Rotary, x: &Self::Value) -> Result<Self::Value, Self::Error>;

    /// Drops each number with probability `p` and scales the rest by `1 / (1 - p)` in training;
    /// nothing otherwise.
    ///
    /// # Errors
    /// The interpreter's own.
    fn dropout(&mut self, p: f64, x: &Self::Value) -> Result<Self::Value, Self::Error>;

    /// Attention of `query` rows over the `key` and `value` rows of their own text. `query` may
    /// have a row a token, or a row a text, which then stands for its first token; the result has
    /// the rows of `query`.
    ///
    /// # Errors
    /// The interpreter's own.
    fn attention(
        &mut self,
        shape: &Attention,
        query: &Self::Value,
        key: &Self::Value,
        value: &Self::Value,
    ) -> Result<Self::Value, Self::Error>;

    /// Each text's first token: rows of tokens to rows of texts.
    ///
    /// # Errors
    /// The interpreter's own.
    fn first_token(&mut self, x: &Self::Value) -> Result<Self::Value, Self::Error>;

    /// The mean over each text's tokens: rows of tokens to rows of texts.
    ///
    /// # Errors
    /// The interpreter's own.
    fn mean_tokens(&mut self, x: &Self::Value) -> Result<Self::Value, Self::Error>;
}
