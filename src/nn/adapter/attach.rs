//! A base that gets an adapter: what is trained from then on, and what no longer is.

use std::collections::BTreeSet;

use candle_core::{Device, Var};

use super::{LoraBias, LoraConfig, PeftAdapter, down_name, up_name};
use crate::nn::held::{Entry, Held};
use crate::nn::random::{fold_name, uniforms};
use crate::nn::weights::Adapted;
use crate::nn::{Linear, NnError, Weights};

impl Weights {
    /// These weights with a fresh adapter on the dense layers of `linears` that the configuration names.
    ///
    /// From then on the adapter is trained, with the layers to save and the biases that the
    /// configuration names, and nothing else. The matrix that goes down begins as `peft` begins it,
    /// uniform within one over the root of the width, from `seed` and the layer's path; the one that
    /// comes up begins at zero, so that the network answers as before.
    ///
    /// # Errors
    /// [`NnError::Adapter`] for a setting outside its range, a target or a layer to save that the network
    /// does not have, weights that carry an adapter already, and a layer to save that was quantised.
    pub fn with_adapter(self, linears: &[Linear], config: &LoraConfig, seed: u64) -> Result<Self, NnError> {
        config.check()?;
        if let Some(adapted) = self.adapter() {
            return Err(NnError::adapter("weights", "none yet", format!("one of rank {}", adapted.config.rank)));
        }
        let carriers = config.select(linears)?;
        let layers: BTreeSet<String> = carriers.iter().map(|layer| layer.name.clone()).collect();
        self.check_layers(&carriers, config)?;
        let device = self.device().clone();
        let thaw = |entry| keep(entry, config, &layers);
        let mut entries = self.into_entries().into_iter().map(thaw).collect::<Result<Vec<_>, _>>()?;
        for layer in carriers {
            let bound = 1.0 / (layer.inputs as f64).sqrt();
            let down = uniforms(fold_name(seed, &layer.name), config.rank * layer.inputs, bound).collect();
            entries.push(trained(down_name(&layer.name), [config.rank, layer.inputs], down, &device)?);
            let up = vec![0.0; layer.outputs * config.rank];
            entries.push(trained(up_name(&layer.name), [layer.outputs, config.rank], up, &device)?);
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self::from_sorted(entries, device).adapted(Adapted { config: config.clone(), layers }))
    }

    /// These weights with an adapter that was trained before.
    ///
    /// # Errors
    /// As [`Weights::with_adapter`]; [`NnError::Adapter`] when the adapter lacks a tensor that these layers
    /// need, has one of another shape, or one that no layer takes: it is another network's.
    pub fn with_saved_adapter(self, linears: &[Linear], adapter: &PeftAdapter) -> Result<Self, NnError> {
        let weights = self.with_adapter(linears, &adapter.config, 0)?;
        let numbers = adapter.numbers_for(&weights)?;
        weights.restore(&numbers)?;
        Ok(weights)
    }

    fn check_layers(&self, carriers: &[&Linear], config: &LoraConfig) -> Result<(), NnError> {
        for layer in carriers {
            if config.saves(&format!("{}.weight", layer.name)) {
                return Err(NnError::adapter("modules_to_save", "no layer that carries the adapter", &layer.name));
            }
            self.linear(layer)?;
        }
        if config.modules_to_save.is_empty() || self.names().any(|name| config.saves(name)) {
            return Ok(());
        }
        Err(NnError::adapter("modules_to_save", "the end of a layer's path", config.modules_to_save.join(", ")))
    }
}

/// One of the base's parameters under an adapter: trained if the configuration says so, else frozen.
fn keep(entry: Entry, config: &LoraConfig, layers: &BTreeSet<String>) -> Result<Entry, NnError> {
    let path = entry.name.strip_suffix(".bias");
    let as_bias = match config.bias {
        LoraBias::None => false,
        LoraBias::All => path.is_some(),
        LoraBias::LoraOnly => path.is_some_and(|path| layers.contains(path)),
    };
    let wanted = as_bias || config.saves(&entry.name);
    let held = match entry.held {
        Held::Whole { var, .. } => Held::Whole { var, trained: wanted },
        Held::Packed(_) | Held::OnDevice(_) if wanted => {
            let expected = "a layer that was read to be trained";
            return Err(NnError::adapter("modules_to_save", expected, format!("{}, which is packed", entry.name)));
        }
        packed => packed,
    };
    Ok(Entry { held, ..entry })
}

fn trained(name: String, shape: [usize; 2], values: Vec<f32>, device: &Device) -> Result<Entry, NnError> {
    let var = Var::from_vec(values, &shape[..], device)?;
    Ok(Entry { name, shape: shape.to_vec(), held: Held::Whole { var, trained: true } })
}
