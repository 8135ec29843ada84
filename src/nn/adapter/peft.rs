//! An adapter in `peft`'s files: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! Tensors are named by the path in the model that `peft` wrapped, behind `base_model.model.`. A bias
//! of a layer that carries the adapter is one level deeper, in its `base_layer`.

use std::collections::BTreeMap;

use safetensors::SafeTensors;

use super::settings::{self, PeftTask};
use super::{LoraBias, LoraConfig};
use crate::nn::checkpoint::Checkpoint;
use crate::nn::weights::Adapted;
use crate::nn::{Init, NnError, ParamSpec, Snapshot, Weights};

const PREFIX: &str = "base_model.model.";

/// An adapter as `peft` keeps it: its configuration and its numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct PeftAdapter {
    /// The base it belongs to, as `base_model_name_or_path` says.
    pub base: Option<String>,
    /// What it is.
    pub config: LoraConfig,
    /// What it was trained for.
    pub task: Option<PeftTask>,
    /// Its tensors, by `peft`'s names.
    tensors: Snapshot,
    /// The layers that carry it, sorted.
    layers: Vec<String>,
}

impl PeftAdapter {
    /// The adapter that weights carry: all that is trained of them.
    ///
    /// # Errors
    /// [`NnError::Adapter`] when they carry none.
    pub fn of(weights: &Weights, base: Option<&str>, task: Option<PeftTask>) -> Result<Self, NnError> {
        let Some(adapted) = weights.adapter() else { return Err(NnError::adapter("weights", "an adapter", "none")) };
        let snapshot = weights.snapshot()?;
        let mut tensors: Vec<_> =
            snapshot.iter().map(|(name, shape, values)| (peft_name(adapted, name), shape.to_vec(), values.to_vec())).collect();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        let layers = adapted.layers.iter().cloned().collect();
        Ok(Self { base: base.map(str::to_owned), config: adapted.config.clone(), task, tensors: Snapshot::from_sorted(tensors), layers })
    }

    /// Reads an adapter from the text of `adapter_config.json` and the bytes of
    /// `adapter_model.safetensors`; numbers of 16 bits are widened.
    ///
    /// # Errors
    /// [`NnError::Adapter`] for a configuration that is none, asks for a variant that is not computed here
    /// (`use_dora`, patterns of ranks, ...) or does not fit the tensors; [`NnError::Safetensors`],
    /// [`NnError::DType`] or [`NnError::NotFinite`] for the tensors.
    pub fn parse(config_json: &str, safetensors: &[u8]) -> Result<Self, NnError> {
        let (base, config, task) = settings::parse(config_json)?;
        let file = SafeTensors::deserialize(safetensors).map_err(|error| NnError::Safetensors { reason: error.to_string() })?;
        let checkpoint = Checkpoint::parse(safetensors)?;
        let (mut tensors, mut layers) = (Vec::new(), Vec::new());
        for (name, view) in file.iter() {
            if is_shadow(name) {
                continue;
            }
            let spec = ParamSpec { name: name.to_owned(), shape: view.shape().to_vec(), init: Init::Zeros };
            let mut values = vec![0.0; spec.shape.iter().product()];
            if let Some(found) = checkpoint.find(&spec)? {
                found.read(0, &mut values)?;
            }
            let layer = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(".lora_A.weight"));
            if let Some(layer) = layer {
                if spec.shape.first() != Some(&config.rank) {
                    return Err(NnError::adapter(name, format!("rank {}, as r says", config.rank), format!("shape {:?}", spec.shape)));
                }
                layers.push(layer.to_owned());
            }
            tensors.push((spec.name, spec.shape, values));
        }
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        layers.sort();
        Ok(Self { base, config, task, tensors: Snapshot::from_sorted(tensors), layers })
    }

    /// The text of `adapter_config.json`.
    #[must_use]
    pub fn config_json(&self) -> String {
        let layers: Vec<&str> = self.layers.iter().map(String::as_str).collect();
        settings::render(self.base.as_deref(), &self.config, self.task, &layers)
    }

    /// The bytes of `adapter_model.safetensors`, `f32`.
    ///
    /// # Errors
    /// [`NnError::Safetensors`] when the writer refuses.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, NnError> {
        self.tensors.to_safetensors()
    }

    /// The numbers of everything that `weights`, which carry an adapter of this configuration, train.
    pub(super) fn numbers_for(&self, weights: &Weights) -> Result<Snapshot, NnError> {
        let Some(adapted) = weights.adapter() else { return Err(NnError::adapter("weights", "an adapter", "none")) };
        let mut wanted: BTreeMap<String, &str> = BTreeMap::new();
        wanted.extend(weights.trainable().map(|name| (peft_name(adapted, name), name)));
        if let Some((name, ..)) = self.tensors.iter().find(|(name, ..)| !wanted.contains_key(*name)) {
            return Err(NnError::adapter(
                name,
                "a layer of this network that the configuration names",
                "none: the adapter is another network's",
            ));
        }
        let mut entries = Vec::new();
        for (theirs, ours) in wanted {
            let Some((shape, values)) = self.tensors.get(&theirs) else {
                // `bias = "all"` with an adapter that was saved without them would else go unseen.
                return Err(NnError::adapter(theirs, "a tensor of that name", "none"));
            };
            let expected = weights.shape(ours);
            if expected != Some(shape) {
                return Err(NnError::adapter(
                    theirs,
                    format!("shape {:?}", expected.unwrap_or_default()),
                    format!("{shape:?}: the adapter is another network's"),
                ));
            }
            entries.push((ours.to_owned(), shape.to_vec(), values.to_vec()));
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Snapshot::from_sorted(entries))
    }
}

/// What `peft` calls one of the network's parameters.
fn peft_name(adapted: &Adapted, name: &str) -> String {
    match name.strip_suffix(".bias").filter(|layer| adapted.layers.contains(*layer)) {
        Some(layer) if adapted.config.bias != LoraBias::None => format!("{PREFIX}{layer}.base_layer.bias"),
        _ => format!("{PREFIX}{name}"),
    }
}

/// Whether a tensor only repeats another: with `bias = "all"` the copies of a saved layer are written too.
fn is_shadow(name: &str) -> bool {
    name.contains(".modules_to_save.") || name.contains(".original_module.")
}
