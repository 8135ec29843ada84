//! The plain words that every room shares: what is predicted, how it is squashed, how a text
//! becomes one row.
//!
//! This room refuses behaviour: no arithmetic, no IO. It imports the standard library, serde and
//! thiserror, and is the only room whose types are written to disk as they are.

mod labels;
mod matrix;
mod targets;

pub use labels::{LabelSet, MAX_LABELS, SpecError};
pub use matrix::Matrix;
pub use targets::Targets;

use serde::{Deserialize, Serialize};

/// What one row of logits stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Any number of labels holds at once; every label is its own yes-or-no question.
    MultiLabel,
    /// Exactly one label holds.
    MultiClass,
}

impl Task {
    /// The activation that turns this task's logits into probabilities.
    #[must_use]
    pub const fn activation(self) -> Activation {
        match self {
            Self::MultiLabel => Activation::Sigmoid,
            Self::MultiClass => Activation::Softmax,
        }
    }

    /// The name used in manifests and on cards.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MultiLabel => "multi_label",
            Self::MultiClass => "multi_class",
        }
    }
}

/// How a row of logits becomes a row of probabilities. Stated by the bundle, never guessed from a
/// shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Each label on its own; the row need not sum to one.
    Sigmoid,
    /// Over the row; it sums to one.
    Softmax,
}

impl Activation {
    /// The name used in manifests and on cards.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sigmoid => "sigmoid",
            Self::Softmax => "softmax",
        }
    }
}

/// How a text's token vectors become the one vector that the last dense layer reads. A family has
/// the head it was published with, and the mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The first token, a dense layer, tanh: BERT's pooler, and RoBERTa's classification head.
    ClsTanh,
    /// The first token, a dense layer, ReLU: DistilBERT's pre-classifier.
    ClsRelu,
    /// The first token, a dense layer, GELU, layer normalisation: ModernBERT's prediction head.
    ClsGeluNorm,
    /// The same head on the mean over the text's tokens.
    MeanGeluNorm,
    /// The mean over the text's tokens, special tokens included.
    Mean,
    /// The last token as it is: a decoder's, which has seen all of the text.
    LastToken,
    /// The first token as it is: of a decoder whose attention looks both ways.
    Cls,
}

impl Pooling {
    /// The name used in manifests and on cards.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClsTanh => "cls_tanh",
            Self::ClsRelu => "cls_relu",
            Self::ClsGeluNorm => "cls_gelu_norm",
            Self::MeanGeluNorm => "mean_gelu_norm",
            Self::Mean => "mean",
            Self::LastToken => "last_token",
            Self::Cls => "cls",
        }
    }
}

/// The network families this version can build, named as `model_type` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// BERT and everything of its shape, `MiniLM` among them.
    Bert,
    /// RoBERTa and everything of its shape: `DistilRoBERTa`, XLM-RoBERTa, `CamemBERT`.
    #[serde(alias = "xlm-roberta", alias = "camembert")]
    Roberta,
    /// DistilBERT.
    DistilBert,
    /// ModernBERT.
    ModernBert,
    /// Llama, versions 1 to 3.
    Llama,
    /// Qwen 2 and 2.5, and embedding models made from them.
    Qwen2,
    /// Qwen 3.
    Qwen3,
    /// Gemma, its first version.
    Gemma,
    /// Gemma 2.
    Gemma2,
}

impl Architecture {
    /// The name used in manifests and on cards.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Roberta => "roberta",
            Self::DistilBert => "distilbert",
            Self::ModernBert => "modernbert",
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma => "gemma",
            Self::Gemma2 => "gemma2",
        }
    }
}

/// How a bundle stores its weights. Whatever is stored, engines compute in `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// IEEE single precision, as trained.
    Fp32,
    /// Matrices as signed bytes with one scale a row, widened to `f32` when the bundle is opened.
    /// A storage format: activations stay `f32`, so a text's scores do not depend on its batch.
    Int8Weights,
}

impl Precision {
    /// The name used in manifests, metrics and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Int8Weights => "int8_weights",
        }
    }
}
