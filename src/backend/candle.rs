//! candle on a bundle's weights, with the kernels that trained them.

use super::{Backend, BackendError, Cost};
use crate::bundle::Bundle;
use crate::decide::Logits;
use crate::text::Batch;

const ENGINE: &str = "candle";

/// One network with its weights.
pub struct CandleBackend {
    labels: usize,
}

impl CandleBackend {
    /// Builds the network that the bundle states.
    ///
    /// # Errors
    /// [`BackendError::Model`] when the configuration or the weights do not fit.
    pub fn open(bundle: &Bundle) -> Result<Self, BackendError> {
        let _ = Self { labels: bundle.labels().len() };
        Err(BackendError::Model { engine: ENGINE, reason: "not built yet".to_owned() })
    }
}

impl Backend for CandleBackend {
    fn forward(&mut self, batch: &Batch) -> Result<Logits, BackendError> {
        Ok(Logits::new(self.labels, vec![0.0; self.labels * batch.texts()])?)
    }

    fn cost(&self) -> Cost {
        Cost::Ragged
    }

    fn name(&self) -> &'static str {
        ENGINE
    }
}
