//! A backbone and a head that tells words: for pre-training alone (Devlin et al. 2019,
//! arXiv:1810.04805, section 3.1). The decoder's weight is the word table.

use super::{Backbone, ConfigError, ModelConfig, Reach};
use crate::nn::{Decode, Embedding, Init, Linear, Norm, ParamSpec, UnaryOp};

/// A network that gives a row of logits over the vocabulary for every token that is asked about.
#[derive(Debug, Clone)]
pub struct MaskedLm {
    backbone: Backbone,
    dense: Linear,
    norm: Norm,
    words: Embedding,
    bias: ParamSpec,
}

/// What a family's checkpoints call the head: its dense layer, its normalisation, the bias.
type Names = [&'static str; 3];

const BERT: Names = ["cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias"];
const ROBERTA: Names = ["lm_head.dense", "lm_head.layer_norm", "lm_head.bias"];
const DISTILBERT: Names = ["vocab_transform", "vocab_layer_norm", "vocab_projector.bias"];

impl MaskedLm {
    /// Names the parameters as Hugging Face's `...ForMaskedLM` of the family names them.
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration cannot be built, or the family has no such head here.
    pub fn new(config: &ModelConfig) -> Result<Self, ConfigError> {
        let backbone = config.backbone()?;
        let (names, epsilon) = match config {
            ModelConfig::Bert(bert) => (BERT, bert.layer_norm_eps),
            ModelConfig::Roberta(roberta) => (ROBERTA, roberta.bert.layer_norm_eps),
            // The family's own constant: its configuration does not state it.
            ModelConfig::DistilBert(_) => (DISTILBERT, 1e-12),
            ModelConfig::ModernBert(_) | ModelConfig::Decoder(_) => {
                let expected = "bert, roberta or distilbert for a masked language model";
                return Err(ConfigError::value("model_type", expected, config.architecture().name()));
            }
        };
        let [dense, norm, bias] = names;
        let (width, init) = (config.width(), config.init());
        Ok(Self {
            words: backbone.words().clone(),
            backbone,
            dense: Linear { name: dense.to_owned(), inputs: width, outputs: width, bias: true, init },
            norm: Norm { name: norm.to_owned(), width, bias: true, epsilon },
            bias: ParamSpec { name: bias.to_owned(), shape: vec![config.vocabulary()], init: Init::Zeros },
        })
    }

    /// Logits a token.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.words.rows
    }

    /// Every parameter, in checkpoint order.
    #[must_use]
    pub fn params(&self) -> Vec<ParamSpec> {
        [self.backbone.params(), self.head_params()].concat()
    }

    /// The head's parameters, which a checkpoint may lack.
    #[must_use]
    pub fn head_params(&self) -> Vec<ParamSpec> {
        [self.dense.params(), self.norm.params(), vec![self.bias.clone()]].concat()
    }

    /// Logits, `[tokens asked about, vocabulary]`.
    ///
    /// # Errors
    /// The interpreter's own.
    pub fn forward<O: Decode>(&self, ops: &mut O) -> Result<O::Value, O::Error> {
        let tokens = self.backbone.forward(ops, Reach::Tokens)?;
        let asked = ops.marked(&tokens)?;
        let inner = ops.linear(&self.dense, &asked)?;
        let inner = ops.unary(UnaryOp::Gelu, &inner)?;
        let inner = ops.layer_norm(&self.norm, &inner, None)?;
        ops.decode(&self.words, Some(&self.bias), &inner)
    }
}
