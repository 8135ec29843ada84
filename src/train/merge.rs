//! An adapter merged into the base that it learnt on, with the proof that nothing changed.
//!
//! It is merged into the base as it was held: into the numbers that a quantised base stands for, because
//! those are what the adapter learnt beside. So what ships is what was judged.

use super::TrainError;
use super::cross::Ground;
use super::learner::network;
use super::network::Teller;
use super::predict;
use crate::bundle::AdapterFiles;
use crate::decide::Logits;
use crate::nn::{PeftAdapter, PeftTask, Snapshot, Storage, Weights};
use crate::text::Encoding;

/// Logits may move by this much, absolutely, which is what a sum in another order costs.
const TOLERANCE: f64 = 1e-3;
/// Training rows that the proof looks at.
const ROWS: usize = 4;

/// The whole network's weights as a safetensors file.
pub(super) fn merged(ground: &Ground<'_>, learnt: &Snapshot) -> Result<Vec<u8>, TrainError> {
    let (teller, weights) = (ground.start.network.network(), apart(ground, learnt)?);
    let merged = weights.merged(Storage::F32).map_err(network("merged adapter"))?;
    let rows: Vec<&Encoding> = ground.train.encodings.iter().take(ROWS).collect();
    let logits = |weights| predict::logits(teller, weights, &rows, ground.recipe.train.shards);
    agree(&logits(&weights)?, &logits(&merged)?)?;
    merged.to_safetensors().map_err(network("merged adapter"))
}

/// The adapter by itself. It names its base; the bundle says at which revision, or by which digest.
pub(super) fn files(ground: &Ground<'_>, learnt: &Snapshot) -> Result<AdapterFiles, TrainError> {
    let task = match ground.start.network {
        Teller::Head(_) => PeftTask::SequenceClassification,
        Teller::Writer(_) => PeftTask::CausalLm,
    };
    let adapter = PeftAdapter::of(&apart(ground, learnt)?, Some(&ground.start.base.name), Some(task)).map_err(network("adapter"))?;
    let weights = adapter.to_safetensors().map_err(network("adapter"))?;
    Ok(AdapterFiles { config: adapter.config_json().into_bytes(), weights })
}

/// Base and adapter beside each other.
fn apart(ground: &Ground<'_>, learnt: &Snapshot) -> Result<Weights, TrainError> {
    let weights = ground.start.network.network().begin(&ground.start.weights, ground.recipe)?;
    weights.restore(learnt).map_err(network("adapter"))?;
    Ok(weights)
}

fn agree(apart: &Logits, merged: &Logits) -> Result<(), TrainError> {
    let differences = apart.values().iter().zip(merged.values()).map(|(a, b)| f64::from((a - b).abs()));
    let found = differences.fold(0.0, f64::max);
    if found <= TOLERANCE { Ok(()) } else { Err(TrainError::Merge { tolerance: TOLERANCE, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_model_is_refused() {
        let logits = |values: &[f32]| Logits::new(2, values.to_vec()).expect("rows of two");
        assert!(agree(&logits(&[1.0, -2.0]), &logits(&[1.0005, -2.0])).is_ok());
        let told = agree(&logits(&[1.0, -2.0]), &logits(&[1.0, -2.5])).expect_err("half a logit").to_string();
        assert_eq!(told, "the merged adapter: expected logits within 1e-3 of those of base and adapter, found a difference of 5e-1");
    }
}
