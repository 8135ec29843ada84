//! A backbone, a pooling and a linear head: text rows in, logits out.

use super::{Backbone, ConfigError, ModelConfig, Reach};
use crate::nn::{Linear, Norm, Ops, ParamSpec, UnaryOp};
use crate::spec::Pooling;

/// A network that gives every text one row of logits.
#[derive(Debug, Clone)]
pub struct SequenceClassifier {
    backbone: Backbone,
    /// What is pooled: the mean over tokens, or one of them.
    reach: Reach,
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
    /// Its poolings, in words for errors, and each with what it pools.
    told: &'static str,
    poolings: &'static [(Pooling, Reach)],
    dense: Option<Dense>,
    /// What it calls the classifier, and whether that has a bias.
    classifier: (&'static str, bool),
    /// Dropout before the classifier.
    dropout: f64,
}

type Poolings = (&'static str, &'static [(Pooling, Reach)]);

const CLS_TANH: Poolings = ("cls_tanh or mean", &[(Pooling::ClsTanh, Reach::FirstToken)]);
const CLS_RELU: Poolings = ("cls_relu or mean", &[(Pooling::ClsRelu, Reach::FirstToken)]);
const GELU_NORM: Poolings =
    ("cls_gelu_norm, mean_gelu_norm or mean", &[(Pooling::ClsGeluNorm, Reach::FirstToken), (Pooling::MeanGeluNorm, Reach::Tokens)]);
/// The first token of a text sees nothing of it where attention is causal.
const CAUSAL: Poolings = ("last_token or mean", &[(Pooling::LastToken, Reach::LastToken), (Pooling::Mean, Reach::Tokens)]);
const BOTH_WAYS: Poolings = (
    "last_token, mean or cls",
    &[(Pooling::LastToken, Reach::LastToken), (Pooling::Mean, Reach::Tokens), (Pooling::Cls, Reach::FirstToken)],
);

impl Own {
    fn of(config: &ModelConfig) -> Self {
        let (width, init) = (config.width(), config.init());
        let layer = |name: &str, bias| Linear { name: name.to_owned(), inputs: width, outputs: width, bias, init };
        let plain = |name: &str, function, fresh| Dense { dropout: None, layer: layer(name, true), function, norm: None, fresh };
        let ((told, poolings), dense, classifier, dropout) = match config {
            ModelConfig::Bert(bert) => {
                (CLS_TANH, Some(plain("bert.pooler.dense", UnaryOp::Tanh, false)), "classifier", bert.classifier_dropout())
            }
            ModelConfig::Roberta(roberta) => {
                let dropout = roberta.bert.classifier_dropout();
                let dense = Dense { dropout: Some(dropout), ..plain("classifier.dense", UnaryOp::Tanh, true) };
                (CLS_TANH, Some(dense), "classifier.out_proj", dropout)
            }
            ModelConfig::DistilBert(distil) => {
                (CLS_RELU, Some(plain("pre_classifier", UnaryOp::Relu, true)), "classifier", distil.seq_classif_dropout)
            }
            ModelConfig::ModernBert(modern) => {
                let (layer, norm) = (layer("head.dense", modern.classifier_bias), Some(modern.norm("head.norm")));
                let dense = Dense { dropout: None, layer, function: UnaryOp::Gelu, norm, fresh: false };
                (GELU_NORM, Some(dense), "classifier", modern.classifier_dropout)
            }
            ModelConfig::Decoder(decoder) => (if decoder.is_causal { CAUSAL } else { BOTH_WAYS }, None, "score", 0.0),
        };
        Self { told, poolings, dense, classifier: (classifier, !matches!(config, ModelConfig::Decoder(_))), dropout }
    }
}

impl SequenceClassifier {
    /// Names the parameters of a classifier with `labels` outputs, as Hugging Face's
    /// `...ForSequenceClassification` of the family names them.
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration cannot be built, or the family has no such pooling.
    pub fn new(config: &ModelConfig, pooling: Pooling, labels: usize) -> Result<Self, ConfigError> {
        let backbone = config.backbone()?;
        let Own { told, poolings, dense, classifier, dropout } = Own::of(config);
        let own = poolings.iter().find(|(own, _)| *own == pooling);
        let (reach, dense, (name, bias)) = match (own, pooling) {
            (Some(&(_, reach)), _) => (reach, dense, classifier),
            (None, Pooling::Mean) => (Reach::Tokens, None, ("classifier", true)),
            (None, found) => return Err(ConfigError::Pooling { architecture: config.architecture(), expected: told, found }),
        };
        let classifier = Linear { name: name.to_owned(), inputs: config.width(), outputs: labels, bias, init: config.init() };
        Ok(Self { backbone, reach, dense, classifier, dropout })
    }

    /// The network below the head.
    #[must_use]
    pub fn backbone(&self) -> &Backbone {
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

    /// Every dense layer but the head's own, from the input on: what an adapter may stand beside.
    #[must_use]
    pub fn linears(&self) -> Vec<Linear> {
        let pooler = self.dense.iter().filter(|dense| !dense.fresh).map(|dense| dense.layer.clone());
        self.backbone.linears().into_iter().chain(pooler).collect()
    }

    /// Logits, `[texts, labels]`.
    ///
    /// # Errors
    /// The interpreter's own.
    pub fn forward<O: Ops>(&self, ops: &mut O) -> Result<O::Value, O::Error> {
        let mut pooled = self.backbone.forward(ops, self.reach)?;
        if self.reach == Reach::Tokens {
            pooled = ops.mean_tokens(&pooled)?;
        }
        if let Some(dense) = &self.dense {
            pooled = dense.forward(ops, pooled)?;
        }
        let pooled = ops.dropout(self.dropout, &pooled)?;
        ops.linear(&self.classifier, &pooled)
    }
}
