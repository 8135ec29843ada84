//! A backbone, a pooling and a linear head: text rows in, logits out.

use super::encoder::{Encoder, Reach};
use super::{ConfigError, ModelConfig};
use crate::nn::{Linear, Norm, Ops, ParamSpec, UnaryOp};
use crate::spec::Pooling;

/// A network that gives every text one row of logits.
#[derive(Debug, Clone)]
pub struct SequenceClassifier {
    backbone: Encoder,
    /// Whether the mean over tokens is pooled, and not the first one.
    mean: bool,
    dense: Option<Dense>,
    classifier: Linear,
    dropout: f64,
}

/// What a family's own head has between the pooled vector and the classifier.
#[derive(Debug, Clone)]
struct Dense {
    /// What is dropped from the pooled vector, where anything is.
    dropout: Option<f64>,
    layer: Linear,
    function: UnaryOp,
    norm: Option<Norm>,
    /// Whether this is the head's own, or comes with the checkpoint.
    fresh: bool,
}

impl Dense {
    fn params(&self) -> Vec<ParamSpec> {
        [self.layer.params(), self.norm.as_ref().map_or_else(Vec::new, Norm::params)].concat()
    }

    fn forward<O: Ops>(&self, ops: &mut O, pooled: O::Value) -> Result<O::Value, O::Error> {
        let pooled = match self.dropout {
            Some(p) => ops.dropout(p, &pooled)?,
            None => pooled,
        };
        let inner = ops.linear(&self.layer, &pooled)?;
        let inner = ops.unary(self.function, &inner)?;
        match &self.norm {
            Some(norm) => ops.layer_norm(norm, &inner, None),
            None => Ok(inner),
        }
    }
}

/// A family's head as it was published.
struct Own {
    /// Its poolings, in words for errors, and each with whether it pools the mean.
    told: &'static str,
    poolings: &'static [(Pooling, bool)],
    dense: Dense,
    /// What it calls the classifier.
    classifier: &'static str,
    /// Dropout before the classifier.
    dropout: f64,
}

const CLS_TANH: (&str, &[(Pooling, bool)]) = ("cls_tanh or mean", &[(Pooling::ClsTanh, false)]);
const CLS_RELU: (&str, &[(Pooling, bool)]) = ("cls_relu or mean", &[(Pooling::ClsRelu, false)]);
const GELU_NORM: (&str, &[(Pooling, bool)]) =
    ("cls_gelu_norm, mean_gelu_norm or mean", &[(Pooling::ClsGeluNorm, false), (Pooling::MeanGeluNorm, true)]);

impl Own {
    fn of(config: &ModelConfig) -> Self {
        let (width, init) = (config.width(), config.init());
        let layer = |name: &str, bias| Linear { name: name.to_owned(), inputs: width, outputs: width, bias, init };
        let plain = |name: &str, function, fresh| Dense { dropout: None, layer: layer(name, true), function, norm: None, fresh };
        let ((told, poolings), dense, classifier, dropout) = match config {
            ModelConfig::Bert(bert) => {
                (CLS_TANH, plain("bert.pooler.dense", UnaryOp::Tanh, false), "classifier", bert.classifier_dropout())
            }
            ModelConfig::Roberta(roberta) => {
                let dropout = roberta.bert.classifier_dropout();
                let dense = Dense { dropout: Some(dropout), ..plain("classifier.dense", UnaryOp::Tanh, true) };
                (CLS_TANH, dense, "classifier.out_proj", dropout)
            }
            ModelConfig::DistilBert(distil) => {
                (CLS_RELU, plain("pre_classifier", UnaryOp::Relu, true), "classifier", distil.seq_classif_dropout)
            }
            ModelConfig::ModernBert(modern) => {
                let (layer, norm) = (layer("head.dense", modern.classifier_bias), Some(modern.norm("head.norm")));
                let dense = Dense { dropout: None, layer, function: UnaryOp::Gelu, norm, fresh: false };
                (GELU_NORM, dense, "classifier", modern.classifier_dropout)
            }
        };
        Self { told, poolings, dense, classifier, dropout }
    }
}

impl SequenceClassifier {
    /// Names the parameters of a classifier with `labels` outputs, as Hugging Face's
    /// `...ForSequenceClassification` of the family names them.
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration cannot be built, or the family has no such pooling.
    pub fn new(config: &ModelConfig, pooling: Pooling, labels: usize) -> Result<Self, ConfigError> {
        config.check()?;
        let Own { told, poolings, dense, classifier, dropout } = Own::of(config);
        let own = poolings.iter().find(|(own, _)| *own == pooling);
        let (mean, dense, name) = match (own, pooling) {
            (Some(&(_, mean)), _) => (mean, Some(dense), classifier),
            (None, Pooling::Mean) => (true, None, "classifier"),
            (None, found) => return Err(ConfigError::Pooling { architecture: config.architecture(), expected: told, found }),
        };
        let classifier = Linear { name: name.to_owned(), inputs: config.width(), outputs: labels, bias: true, init: config.init() };
        Ok(Self { backbone: config.encoder(), mean, dense, classifier, dropout })
    }

    /// The encoder below the head.
    #[must_use]
    pub fn backbone(&self) -> &Encoder {
        &self.backbone
    }

    /// Number of logits a text.
    #[must_use]
    pub fn labels(&self) -> usize {
        self.classifier.outputs
    }

    /// Every parameter, in checkpoint order.
    #[must_use]
    pub fn params(&self) -> Vec<ParamSpec> {
        let dense = self.dense.as_ref().map_or_else(Vec::new, Dense::params);
        [self.backbone.params(), dense, self.classifier.params()].concat()
    }

    /// The parameters that no pre-trained checkpoint has: the head's.
    #[must_use]
    pub fn head_params(&self) -> Vec<ParamSpec> {
        let dense = self.dense.as_ref().filter(|dense| dense.fresh).map_or_else(Vec::new, Dense::params);
        [dense, self.classifier.params()].concat()
    }

    /// Logits, `[texts, labels]`.
    ///
    /// # Errors
    /// The interpreter's own.
    pub fn forward<O: Ops>(&self, ops: &mut O) -> Result<O::Value, O::Error> {
        let mut pooled = if self.mean {
            let tokens = self.backbone.forward(ops, Reach::Tokens)?;
            ops.mean_tokens(&tokens)?
        } else {
            self.backbone.forward(ops, Reach::FirstToken)?
        };
        if let Some(dense) = &self.dense {
            pooled = dense.forward(ops, pooled)?;
        }
        let pooled = ops.dropout(self.dropout, &pooled)?;
        ops.linear(&self.classifier, &pooled)
    }
}
