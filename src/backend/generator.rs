//! A language model on a bundle's weights, asked for its labels: the logit of a label is the log-odds
//! of the lists that hold it, within [`MAX_LOGIT`](crate::generate::MAX_LOGIT) of zero.
//!
//! Texts are asked one after another, each as if it were alone; what all prompts begin with is read
//! once, when the engine is opened.

use std::sync::Arc;

use super::candle::{ENGINE, config, refused, weights};
use super::{Backend, BackendError, Cost};
use crate::bundle::Bundle;
use crate::decide::Logits;
use crate::generate::{GenerateError, Reader, Shared, Width, label_masses};
use crate::model::CausalLm;
use crate::nn::Weights;
use crate::text::{Batch, LabelSpelling};

/// One language model with its weights. A clone shares them.
#[derive(Clone)]
pub struct GeneratorBackend {
    network: Arc<CausalLm>,
    weights: Arc<Weights>,
    spelling: Arc<LabelSpelling>,
    width: Width,
    context: usize,
    shared: Arc<Shared>,
}

impl GeneratorBackend {
    /// Builds the network that the bundle states and copies its weights in.
    ///
    /// # Errors
    /// [`BackendError::Model`] when the configuration or the weights do not fit, or the bundle does
    /// not say how its model is asked.
    pub fn open(bundle: &Bundle) -> Result<Self, BackendError> {
        let (Some(generation), Some(spelling)) = (bundle.generation(), bundle.spelling()) else {
            return Err(refused("expected a bundle that says how its model is asked for labels"));
        };
        let config = config(bundle)?;
        let network = CausalLm::new(&config).map_err(refused)?;
        let weights = weights(bundle, &network.params())?;
        let shared = Shared::read(&network, &weights, bundle.text_encoder().around().0).map_err(refused)?;
        Ok(Self {
            network: Arc::new(network),
            weights: Arc::new(weights),
            spelling: Arc::new(spelling.clone()),
            width: Width { beams: generation.beams, negligible: generation.negligible },
            context: config.max_positions(),
            shared: Arc::new(shared),
        })
    }
}

impl Backend for GeneratorBackend {
    fn forward(&mut self, batch: &Batch) -> Result<Logits, BackendError> {
        let failed = |error: GenerateError| BackendError::Forward { engine: ENGINE, texts: batch.texts(), reason: error.to_string() };
        let mut reader = Reader::new(&self.network, &self.weights, self.context).beginning_with(&self.shared);
        let prompts: Vec<&[u32]> = batch.rows().collect();
        let masses = label_masses(&mut reader, &prompts, &self.spelling, self.width).map_err(failed)?;
        let logits = masses.into_iter().flat_map(|mass| mass.log_odds).map(|odds| odds as f32).collect();
        Ok(Logits::new(self.spelling.labels().len(), logits)?)
    }

    fn cost(&self) -> Cost {
        Cost::Ragged
    }

    fn name(&self) -> &'static str {
        ENGINE
    }
}
