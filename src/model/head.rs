//! A backbone, a pooling and a linear head: text rows in, logits out.

use super::encoder::{PostNorm, Reach};
use super::{ConfigError, ModelConfig};
use crate::nn::{Init, Linear, Ops, ParamSpec, UnaryOp};
use crate::spec::Pooling;

/// A network that gives every text one row of logits.
#[derive(Debug, Clone)]
pub struct SequenceClassifier {
    backbone: PostNorm,
    pooler: Pooler,
    classifier: Linear,
    dropout: f64,
}

#[derive(Debug, Clone)]
enum Pooler {
    FirstToken(Dense),
    Mean,
}

/// The dense layer between the first token and the classifier.
#[derive(Debug, Clone)]
struct Dense {
    /// What is dropped from the first token, where anything is.
    dropout: Option<f64>,
    layer: Linear,
    function: UnaryOp,
    /// Whether the layer is the head's own, or comes with the checkpoint.
    fresh: bool,
}

/// What a family says about its heads.
struct Family {
    backbone: PostNorm,
    width: usize,
    init: Init,
    /// Dropout before the classifier.
    dropout: f64,
    /// The family's own pooling, its dense layer, and what it then calls the classifier.
    own: (Pooling, Dense, &'static str),
}

impl Family {
    fn of(config: &ModelConfig) -> Self {
        let dense = |name: &str, width, init| Linear { name: name.to_owned(), inputs: width, outputs: width, init };
        match config {
            ModelConfig::Bert(bert) => {
                let (width, init) = (bert.hidden_size, bert.init());
                let layer = dense("bert.pooler.dense", width, init);
                let pooler = Dense { dropout: None, layer, function: UnaryOp::Tanh, fresh: false };
                let own = (Pooling::ClsTanh, pooler, "classifier");
                Self { backbone: bert.encoder(), width, init, dropout: bert.classifier_dropout(), own }
            }
            ModelConfig::Roberta(roberta) => {
                let (width, init, dropout) = (roberta.bert.hidden_size, roberta.bert.init(), roberta.bert.classifier_dropout());
                let layer = dense("classifier.dense", width, init);
                let head = Dense { dropout: Some(dropout), layer, function: UnaryOp::Tanh, fresh: true };
                Self { backbone: roberta.encoder(), width, init, dropout, own: (Pooling::ClsTanh, head, "classifier.out_proj") }
            }
            ModelConfig::DistilBert(distil) => {
                let (width, init) = (distil.dim, distil.init());
                let layer = dense("pre_classifier", width, init);
                let head = Dense { dropout: None, layer, function: UnaryOp::Relu, fresh: true };
                let own = (Pooling::ClsRelu, head, "classifier");
                Self { backbone: distil.encoder(), width, init, dropout: distil.seq_classif_dropout, own }
            }
        }
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
        let Family { backbone, width, init, dropout, own: (own, dense, classifier) } = Family::of(config);
        let (pooler, name) = match pooling {
            Pooling::Mean => (Pooler::Mean, "classifier"),
            found if found == own => (Pooler::FirstToken(dense), classifier),
            found => return Err(ConfigError::Pooling { architecture: config.architecture(), expected: either(own), found }),
        };
        let classifier = Linear { name: name.to_owned(), inputs: width, outputs: labels, init };
        Ok(Self { backbone, pooler, classifier, dropout })
    }

    /// The encoder below the head.
    #[must_use]
    pub fn backbone(&self) -> &PostNorm {
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
        let pooler = match &self.pooler {
            Pooler::FirstToken(dense) => dense.layer.params(),
            Pooler::Mean => Vec::new(),
        };
        [self.backbone.params(), pooler, self.classifier.params()].concat()
    }

    /// The parameters that no pre-trained checkpoint has: the head's.
    #[must_use]
    pub fn head_params(&self) -> Vec<ParamSpec> {
        match &self.pooler {
            Pooler::FirstToken(dense) if dense.fresh => [dense.layer.params(), self.classifier.params()].concat(),
            Pooler::FirstToken(_) | Pooler::Mean => self.classifier.params(),
        }
    }

    /// Logits, `[texts, labels]`.
    ///
    /// # Errors
    /// The interpreter's own.
    pub fn forward<O: Ops>(&self, ops: &mut O) -> Result<O::Value, O::Error> {
        let pooled = match &self.pooler {
            Pooler::FirstToken(dense) => {
                let mut first = self.backbone.forward(ops, Reach::FirstToken)?;
                if let Some(p) = dense.dropout {
                    first = ops.dropout(p, &first)?;
                }
                let inner = ops.linear(&dense.layer, &first)?;
                ops.unary(dense.function, &inner)?
            }
            Pooler::Mean => {
                let tokens = self.backbone.forward(ops, Reach::Tokens)?;
                ops.mean_tokens(&tokens)?
            }
        };
        let pooled = ops.dropout(self.dropout, &pooled)?;
        ops.linear(&self.classifier, &pooled)
    }
}

/// The poolings of a family whose own is `own`, in words.
fn either(own: Pooling) -> &'static str {
    match own {
        Pooling::ClsTanh => "cls_tanh or mean",
        Pooling::ClsRelu => "cls_relu or mean",
        Pooling::Mean => "mean",
    }
}
