//! The vocabulary. A network is a function over these operations and nothing else.
//!
//! Values are rows of numbers. A row belongs to a token (`[tokens, width]`, texts end to end) or
//! to a text (`[texts, width]`); no operation shows a batch or a sequence axis. Every operation
//! that is not attention or pooling works on each row alone.

use super::params::{Embedding, Embeddings, Linear, Norm, ParamSpec, RmsNorm};

/// An elementwise function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum UnaryOp {
    /// `x * Phi(x)` with the exact error function (Hendrycks and Gimpel 2016, arXiv:1606.08415).
    Gelu,
    /// Its approximation `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`, of the same paper.
    GeluTanh,
    /// `x / (1 + e^-x)` (Elfwing et al. 2017, arXiv:1702.03118).
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// `max(x, 0)`.
    Relu,
    /// `c * tanh(x / c)` with `c` above 0 (Gemma 2, arXiv:2408.00118).
    SoftCap(f64),
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
    /// How the speeds were changed to reach texts longer than a network was first trained on.
    pub scaling: Option<RotaryScaling>,
}

/// How the speeds of [`Rotary`] positions are changed; each is what `transformers` calls it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RotaryScaling {
    /// `llama3`: points that turn `high_freq_factor` times or more over `original_positions` keep
    /// their speed, those that turn `low_freq_factor` times or less are slowed by `factor`, and the
    /// speeds between go from one to the other with the number of turns (Llama 3,
    /// arXiv:2407.21783, and its published code).
    Llama3 {
        /// By how much slow points are slowed, at least 1.
        factor: f64,
        /// Turns over the first context at or below which a point is slow.
        low_freq_factor: f64,
        /// Turns at or above which a point is fast; above `low_freq_factor`.
        high_freq_factor: f64,
        /// Positions of the first context.
        original_positions: usize,
    },
    /// `linear`: every speed divided by `factor` (Chen et al. 2023, arXiv:2306.15595).
    Linear {
        /// By how much points are slowed, at least 1.
        factor: f64,
    },
}

impl Rotary {
    /// How far the points of a head turn from one position to the next, in radians, one a point.
    #[must_use]
    pub fn speeds(&self) -> Vec<f32> {
        let speed = |point| libm::pow(self.base, -2.0 * point as f64 / self.head_width as f64);
        let scaled = |speed| self.scaling.map_or(speed, |scaling| scaling.speed(speed));
        (0..self.head_width / 2).map(|point| scaled(speed(point)) as f32).collect()
    }
}

impl RotaryScaling {
    /// What becomes of a speed in radians a position.
    fn speed(self, speed: f64) -> f64 {
        match self {
            Self::Linear { factor } => speed / factor,
            Self::Llama3 { factor, low_freq_factor, high_freq_factor, original_positions } => {
                let turns = original_positions as f64 * speed / std::f64::consts::TAU;
                let fast = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0);
                (1.0 - fast) * speed / factor + fast * speed
            }
        }
    }
}

/// Which way an [`Attention`] looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// At every token of the text.
    Both,
    /// At a token itself and those before it: causal.
    Past,
}

/// Shape of a multi-head attention (Vaswani et al. 2017, arXiv:1706.03762), its heads sharing keys
/// and values in groups where `key_heads` are fewer (Ainslie et al. 2023, arXiv:2305.13245).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attention {
    /// Number of heads of the queries.
    pub heads: usize,
    /// Number of heads of keys and values, a divisor of `heads`: query head `h` looks at key head
    /// `h / (heads / key_heads)`.
    pub key_heads: usize,
    /// Width of one head.
    pub head_width: usize,
    /// What scores are multiplied by, above 0; by custom `1 / sqrt(head_width)`.
    pub scale: f64,
    /// Which way a query looks.
    pub direction: Direction,
    /// How far. [`Direction::Both`]: at keys up to this many places from the query.
    /// [`Direction::Past`]: at this many keys, of which the query's own is one (`sliding_window` of
    /// `transformers`). Anywhere when absent.
    pub window: Option<usize>,
    /// Bounds scaled scores to `c * tanh(score / c)`, `c` above 0 (Gemma 2, arXiv:2408.00118).
    pub soft_cap: Option<f64>,
    /// Probability that an attention weight is dropped in training.
    pub dropout: f64,
}

impl Attention {
    /// An encoder's: every head with keys of its own, every key in sight, scores over the square
    /// root of the head's width.
    #[must_use]
    pub fn both(heads: usize, head_width: usize) -> Self {
        let scale = 1.0 / (head_width as f64).sqrt();
        let direction = Direction::Both;
        Self { heads, key_heads: heads, head_width, scale, direction, window: None, soft_cap: None, dropout: 0.0 }
    }
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
    fn decode(&mut self, words: &Embedding, bias: Option<&ParamSpec>, x: &Self::Value) -> Result<Self::Value, Self::Error>;
}

/// The operations that every interpreter knows.
pub trait Ops {
    /// Rows of numbers, or a name for them.
    type Value: Clone;
    /// What the interpreter can fail with.
    type Error;

    /// The sum of a token's entries in the tables there are, times their scale: by its id, by its
    /// position within its text, and the segment table's entry 0. `[tokens, width]`.
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

    /// Root mean square normalisation of every `layer.width` numbers of every row: of whole rows, or
    /// of their heads.
    ///
    /// # Errors
    /// The interpreter's own.
    fn rms_norm(&mut self, layer: &RmsNorm, x: &Self::Value) -> Result<Self::Value, Self::Error>;

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
    /// have a row a token, or a row a text, which then stands for its first token, or for its last
    /// where the attention looks at the [past](Direction::Past); the result has the rows of `query`.
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

    /// Each text's last token: rows of tokens to rows of texts.
    ///
    /// # Errors
    /// The interpreter's own.
    fn last_token(&mut self, x: &Self::Value) -> Result<Self::Value, Self::Error>;

    /// The mean over each text's tokens: rows of tokens to rows of texts.
    ///
    /// # Errors
    /// The interpreter's own.
    fn mean_tokens(&mut self, x: &Self::Value) -> Result<Self::Value, Self::Error>;

    /// Runs a part of the network whose insides need not be remembered: an interpreter that was
    /// asked to save memory keeps its input alone and runs it again on the way back (Chen et al.
    /// 2016, arXiv:1604.06174). `run` is a function of the one value it is given, and no other.
    ///
    /// # Errors
    /// What `run` answers, and the interpreter's own.
    fn segment<F>(&mut self, x: &Self::Value, run: F) -> Result<Self::Value, Self::Error>
    where
        Self: Sized,
        F: Fn(&mut Self, &Self::Value) -> Result<Self::Value, Self::Error> + 'static,
    {
        run(self, x)
    }
}
