//! candle on a bundle's weights, with the kernels that trained them.
//!
//! Rows are tokens here: a batch is computed as it is laid out, without padding, on one thread.

use std::sync::Arc;

use super::{Backend, BackendError, Cost};
use crate::bundle::Bundle;
use crate::decide::Logits;
use crate::model::{ModelConfig, SequenceClassifier};
use crate::nn::{Eager, Missing, Mode, NnError, ParamSpec, Weights};
use crate::text::Batch;

pub(super) const ENGINE: &str = "candle";

/// One network with its weights. A clone shares them.
#[derive(Clone)]
pub struct CandleBackend {
    network: Arc<SequenceClassifier>,
    weights: Arc<Weights>,
    labels: usize,
}

impl CandleBackend {
    /// Builds the network that the bundle states and copies its weights in.
    ///
    /// # Errors
    /// [`BackendError::Model`] when the configuration or the weights do not fit.
    pub fn open(bundle: &Bundle) -> Result<Self, BackendError> {
        let labels = bundle.labels().len();
        let config = config(bundle)?;
        let network = SequenceClassifier::new(&config, bundle.pooling(), labels).map_err(refused)?;
        let weights = weights(bundle, &network.params())?;
        Ok(Self { network: Arc::new(network), weights: Arc::new(weights), labels })
    }

    fn run(&self, batch: &Batch) -> Result<Vec<f32>, NnError> {
        let mut eager = Eager::new(&self.weights, Mode::Eval, batch.ids(), batch.offsets())?;
        self.network.forward(&mut eager)?.to_vec()
    }
}

impl Backend for CandleBackend {
    fn forward(&mut self, batch: &Batch) -> Result<Logits, BackendError> {
        let failed = |error: NnError| BackendError::Forward { engine: ENGINE, texts: batch.texts(), reason: error.to_string() };
        Ok(Logits::new(self.labels, self.run(batch).map_err(failed)?)?)
    }

    fn cost(&self) -> Cost {
        Cost::Ragged
    }

    fn name(&self) -> &'static str {
        ENGINE
    }
}

/// The configuration of the bundle's network.
pub(super) fn config(bundle: &Bundle) -> Result<ModelConfig, BackendError> {
    ModelConfig::from_json(bundle.config_json()).map_err(refused)
}

/// A copy of the bundle's weights, every one of the network's.
pub(super) fn weights(bundle: &Bundle, params: &[ParamSpec]) -> Result<Weights, BackendError> {
    Weights::from_safetensors(&bundle.weights_fp32(), params, Missing::Refuse).map_err(refused)
}

pub(super) fn refused(reason: impl ToString) -> BackendError {
    BackendError::Model { engine: ENGINE, reason: reason.to_string() }
}
