//! What a network says about its parameters: names, shapes, and how a fresh one begins. No values.

/// How a parameter that no checkpoint provides begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Normal with mean zero and this standard deviation.
    Normal(f64),
    /// All zeros.
    Zeros,
    /// All ones.
    Ones,
}

/// One named parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamSpec {
    /// The checkpoint's own name for it, for example `bert.embeddings.word_embeddings.weight`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// How it begins when it is new.
    pub init: Init,
}

/// A dense layer `y = x W^T + b`, or without `b`; `weight` is `[outputs, inputs]`, `bias` is
/// `[outputs]`.
///
/// Interpreters look the layer up by `name`: what is found there may carry an adapter or a
/// quantised weight, of which the network knows nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// Path of the layer, without `.weight`.
    pub name: String,
    /// Width of the input.
    pub inputs: usize,
    /// Width of the output.
    pub outputs: usize,
    /// Whether there is a bias.
    pub bias: bool,
    /// How a fresh weight begins; a fresh bias is zero.
    pub init: Init,
}

/// A lookup table `[rows, width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// Path of the table, without `.weight`.
    pub name: String,
    /// Number of entries.
    pub rows: usize,
    /// Width of an entry.
    pub width: usize,
    /// How a fresh table begins.
    pub init: Init,
}

/// The tables whose entries sum to a token's first vector; all of one width.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// Looked up by a token's id.
    pub words: Embedding,
    /// Looked up by a token's position within its text.
    pub positions: Option<Embedding>,
    /// The position of a text's first token.
    pub first_position: usize,
    /// Entry 0 is every token's.
    pub segments: Option<Embedding>,
    /// What the sum is multiplied by (Gemma: the square root of the width).
    pub scale: Option<f32>,
}

/// Layer normalisation over the last axis, with scale `weight` and shift `bias` of `[width]`, or
/// without a shift.
#[derive(Debug, Clone, PartialEq)]
pub struct Norm {
    /// Path of the layer, without `.weight`.
    pub name: String,
    /// Width normalised over.
    pub width: usize,
    /// Whether there is a shift.
    pub bias: bool,
    /// Added to the variance.
    pub epsilon: f64,
}

/// Root mean square normalisation (Zhang and Sennrich 2019, arXiv:1910.07467) of every `width`
/// numbers of a row: `x / sqrt(mean(x^2) + epsilon) * weight`, with `weight` of `[width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct RmsNorm {
    /// Path of the layer, without `.weight`.
    pub name: String,
    /// Numbers normalised together: a whole row, or one head of it.
    pub width: usize,
    /// Added to the mean of the squares.
    pub epsilon: f64,
    /// Whether the factor is `1 + weight` and a fresh weight zero (Gemma), not `weight` itself.
    pub unit_offset: bool,
}

impl Linear {
    /// The layer's parameters.
    #[must_use]
    pub fn params(&self) -> Vec<ParamSpec> {
        let weight = param(&self.name, "weight", vec![self.outputs, self.inputs], self.init);
        with_bias(weight, &self.name, self.outputs, self.bias)
    }
}

impl Embedding {
    /// The table as a parameter.
    #[must_use]
    pub fn params(&self) -> Vec<ParamSpec> {
        vec![param(&self.name, "weight", vec![self.rows, self.width], self.init)]
    }
}

impl Embeddings {
    /// The tables as parameters.
    #[must_use]
    pub fn params(&self) -> Vec<ParamSpec> {
        let optional = self.positions.iter().chain(&self.segments);
        std::iter::once(&self.words).chain(optional).flat_map(Embedding::params).collect()
    }
}

impl Norm {
    /// The layer's parameters.
    #[must_use]
    pub fn params(&self) -> Vec<ParamSpec> {
        with_bias(param(&self.name, "weight", vec![self.width], Init::Ones), &self.name, self.width, self.bias)
    }
}

impl RmsNorm {
    /// The layer's parameters.
    #[must_use]
    pub fn params(&self) -> Vec<ParamSpec> {
        vec![self.weight()]
    }

    /// Its one parameter.
    pub(crate) fn weight(&self) -> ParamSpec {
        param(&self.name, "weight", vec![self.width], if self.unit_offset { Init::Zeros } else { Init::Ones })
    }
}

fn with_bias(weight: ParamSpec, path: &str, width: usize, bias: bool) -> Vec<ParamSpec> {
    let bias = bias.then(|| param(path, "bias", vec![width], Init::Zeros));
    std::iter::once(weight).chain(bias).collect()
}

fn param(path: &str, leaf: &str, shape: Vec<usize>, init: Init) -> ParamSpec {
    ParamSpec { name: format!("{path}.{leaf}"), shape, init }
}
