//! A backend that computes nothing: for tests of what stands around an engine.
//!
//! Its logits follow from a text's ids alone, so a test can tell whose answer it got. Before every
//! batch it calls a script, which may wait, record or refuse.

use super::{Backend, BackendError, Cost};
use crate::decide::Logits;
use crate::text::Batch;

type Script = dyn FnMut(&Batch) -> Result<(), BackendError> + Send;

/// See the module.
pub struct Scripted {
    labels: usize,
    cost: Cost,
    script: Box<Script>,
}

impl Scripted {
    /// A backend of `labels` labels, at least one, that calls `script` before every batch. An
    /// error of the script is the batch's error.
    #[must_use]
    pub fn new(labels: usize, cost: Cost, script: impl FnMut(&Batch) -> Result<(), BackendError> + Send + 'static) -> Self {
        Self { labels, cost, script: Box::new(script) }
    }

    /// A backend whose script does nothing.
    #[must_use]
    pub fn silent(labels: usize) -> Self {
        Self::new(labels, Cost::Ragged, |_| Ok(()))
    }

    /// An error for a script to return.
    #[must_use]
    pub fn refusal(batch: &Batch) -> BackendError {
        BackendError::Forward { engine: "scripted", texts: batch.texts(), reason: "the script refuses".to_owned() }
    }
}

/// The logit that every scripted backend gives to a text of these ids, between -4 and 4.
#[must_use]
pub fn logit(ids: &[u32], label: usize) -> f32 {
    // FNV-1a over ids and label, folded to 16 bits: any change of a text changes its row.
    let label = u32::try_from(label).unwrap_or(u32::MAX);
    let hash =
        ids.iter().chain([&label]).fold(0xcbf2_9ce4_8422_2325_u64, |hash, &id| (hash ^ u64::from(id)).wrapping_mul(0x0100_0000_01b3));
    let [a, b, c, d, e, f, g, h] = hash.to_le_bytes();
    let folded = u16::from_le_bytes([a ^ c ^ e ^ g, b ^ d ^ f ^ h]);
    f32::from(folded) / 8192.0 - 4.0
}

impl Backend for Scripted {
    fn forward(&mut self, batch: &Batch) -> Result<Logits, BackendError> {
        (self.script)(batch)?;
        let values = batch.rows().flat_map(|ids| (0..self.labels).map(|label| logit(ids, label))).collect();
        Ok(Logits::new(self.labels, values)?)
    }

    fn cost(&self) -> Cost {
        self.cost
    }

    fn name(&self) -> &'static str {
        "scripted"
    }
}
