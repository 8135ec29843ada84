//! An adapter folded into its base: the network without it that answers alike.

use std::sync::Arc;

use candle_core::{Device, Var};

use super::{down_name, up_name};
use crate::nn::held::{Entry, Held};
use crate::nn::kernels::matmul::{Into, Matrix, product};
use crate::nn::storage::Packed;
use crate::nn::weights::numbers;
use crate::nn::{NnError, Storage, Weights};

/// The adapter of one layer.
struct Change<'a> {
    down: &'a Var,
    up: &'a Var,
    scale: f32,
}

impl Weights {
    /// The same network without an adapter: every layer's weight is what it and its adapter add up to.
    /// What was frozen is widened (quantised weights to the numbers they stand for) and held as
    /// `storage`, `F32` or `Bf16`; what was trained, and vectors, stay `f32`. All that is `f32` can be
    /// trained on. Weights without an adapter are widened alone.
    ///
    /// # Errors
    /// [`NnError::Setting`] for another storage, or weights that lie on another device than the processor.
    pub fn merged(&self, storage: Storage) -> Result<Self, NnError> {
        let refuse = |what, expected, found| Err(NnError::Setting { what, expected, found });
        if !matches!(storage, Storage::F32 | Storage::Bf16) {
            return refuse("the storage of merged weights", "F32 or Bf16", format!("{storage:?}"));
        }
        if !self.device().is_cpu() {
            return refuse("where weights are merged", "the processor's memory", format!("{:?}", self.device().location()));
        }
        let mut entries = Vec::new();
        for entry in self.entries().iter().filter(|entry| !self.is_adapters(&entry.name)) {
            entries.push(merge(entry, self.change(&entry.name), storage)?);
        }
        Ok(Self::from_sorted(entries, Device::Cpu))
    }

    /// Whether a parameter is one of the adapter's matrices.
    fn is_adapters(&self, name: &str) -> bool {
        let layer = name.strip_suffix(".lora_A.weight").or_else(|| name.strip_suffix(".lora_B.weight"));
        layer.is_some_and(|layer| self.adapter().is_some_and(|adapted| adapted.layers.contains(layer)))
    }

    /// What an adapter adds to a parameter.
    fn change(&self, name: &str) -> Option<Change<'_>> {
        let (layer, adapted) = (name.strip_suffix(".weight")?, self.adapter()?);
        if !adapted.layers.contains(layer) {
            return None;
        }
        let scale = adapted.config.scale() as f32;
        Some(Change { down: self.var(&down_name(layer))?, up: self.var(&up_name(layer))?, scale })
    }
}

fn merge(entry: &Entry, change: Option<Change<'_>>, storage: Storage) -> Result<Entry, NnError> {
    let frozen = entry.trained().is_none() && entry.shape.len() == 2;
    let read = |start: usize, out: &mut [f32]| {
        base(&entry.held, start, out)?;
        change.as_ref().map_or(Ok(()), |change| change.add(entry.shape[1], start, out))
    };
    let held = if frozen && storage == Storage::Bf16 {
        Held::Packed(Arc::new(Packed::new(storage, [entry.shape[0], entry.shape[1]], read)?))
    } else {
        let mut values = vec![0.0; entry.count()];
        read(0, &mut values)?;
        Held::Whole { var: Var::from_vec(values, &entry.shape[..], &Device::Cpu)?, trained: true }
    };
    Ok(Entry { name: entry.name.clone(), shape: entry.shape.clone(), held })
}

/// Numbers of the base from `start` on.
fn base(held: &Held, start: usize, out: &mut [f32]) -> Result<(), NnError> {
    match held {
        Held::Whole { var, .. } => numbers(var, |values| out.copy_from_slice(&values[start..start + out.len()])),
        Held::Packed(packed) => {
            packed.widen(start / packed.columns(), out);
            Ok(())
        }
        Held::OnDevice(_) => {
            Err(NnError::Setting { what: "where weights are merged", expected: "the processor's memory", found: "a device".into() })
        }
    }
}

impl Change<'_> {
    /// Adds `scale * up down` to whole rows of `columns` numbers.
    fn add(&self, columns: usize, start: usize, out: &mut [f32]) -> Result<(), NnError> {
        let rank = self.down.dims()[0];
        let (first, rows) = (start / columns, out.len() / columns);
        numbers(self.up, |up| {
            let up: Vec<f32> = up[first * rank..][..rows * rank].iter().map(|value| value * self.scale).collect();
            numbers(self.down, |down| product(out, Into::Add, Matrix::new(&up, rows, rank), Matrix::new(down, rank, columns)))
        })?
    }
}
