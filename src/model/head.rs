//! A backbone, a pooling and a linear head: text rows in, logits out.

use super::encoder::{Bert, Reach};
use super::{ConfigError, ModelConfig};
use crate::nn::{Init, Linear, Ops, ParamSpec, UnaryOp};
use crate::spec::Pooling;

/// A network that gives every text one row of logits.
#[derive(Debug, Clone)]
pub struct SequenceClassifier {
    backbone: Bert,
    pooler: Pooler,
    classifier: Linear,
    dropout: f64,
}

#[derive(Debug, Clone)]
enum Pooler {
    ClsTanh(Linear),
    Mean,
}

impl SequenceClassifier {
    /// Names the parameters of a classifier with `labels` outputs, as Hugging Face's
    /// `BertForSequenceClassification` names them.
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration cannot be built.
    pub fn new(config: &ModelConfig, pooling: Pooling, labels: usize) -> Result<Self, ConfigError> {
        let ModelConfig::Bert(bert) = config;
        let (width, init) = (bert.hidden_size, Init::Normal(bert.initializer_range));
        let linear = |name: &str, outputs| Linear { name: name.to_owned(), inputs: width, outputs, init };
        Ok(Self {
            backbone: Bert::new("bert", bert)?,
            pooler: match pooling {
                Pooling::ClsTanh => Pooler::ClsTanh(linear("bert.pooler.dense", width)),
                Pooling::Mean => Pooler::Mean,
            },
            classifier: linear("classifier", labels),
            dropout: bert.classifier_dropout.unwrap_or(bert.hidden_dropout_prob),
        })
    }

    /// The encoder below the head.
    #[must_use]
    pub fn backbone(&self) -> &Bert {
        &self.backbone
    }

    /// Every parameter, in checkpoint order.
    #[must_use]
    pub fn params(&self) -> Vec<ParamSpec> {
        let mut params = self.backbone.params();
        if let Pooler::ClsTanh(dense) = &self.pooler {
            params.extend(dense.params());
        }
        params.extend(self.classifier.params());
        params
    }

    /// Names of the parameters that no pre-trained checkpoint has: the head's.
    #[must_use]
    pub fn head_params(&self) -> Vec<ParamSpec> {
        self.classifier.params()
    }

    /// Logits, `[texts, labels]`.
    ///
    /// # Errors
    /// The interpreter's own.
    pub fn forward<O: Ops>(&self, ops: &mut O) -> Result<O::Value, O::Error> {
        let pooled = match &self.pooler {
            Pooler::ClsTanh(dense) => {
                let first = self.backbone.forward(ops, Reach::FirstToken)?;
                let dense = ops.linear(dense, &first)?;
                ops.unary(UnaryOp::Tanh, &dense)?
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
