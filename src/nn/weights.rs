//! A network's numbers by name: looked up, copied, moved, written.

use std::collections::{BTreeSet, HashMap};

use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Storage, Tensor, Var};

use super::adapter::{LoraConfig, down_name, up_name};
use super::held::{Entry, Held, LinearWeights, LowRank, Parameter, Stored};
use super::params::{Embedding, Linear, Norm, ParamSpec};
use super::{NnError, Snapshot};

/// Named parameters of a network: those that are trained as `f32`, each a candle variable, and those
/// that are frozen as [`Storage`](super::Storage) says.
///
/// Copies of a `Weights` handle would share numbers, so there is no `Clone`; [`Weights::snapshot`]
/// copies the numbers.
#[derive(Debug)]
pub struct Weights {
    device: Device,
    /// Sorted by name.
    entries: Vec<Entry>,
    places: HashMap<String, usize>,
    adapter: Option<Adapted>,
}

/// The adapter that dense layers carry.
#[derive(Debug, Clone)]
pub(crate) struct Adapted {
    pub(crate) config: LoraConfig,
    /// Their paths.
    pub(crate) layers: BTreeSet<String>,
}

impl Weights {
    /// Takes entries sorted by name.
    pub(crate) fn from_sorted(entries: Vec<Entry>, device: Device) -> Self {
        debug_assert!(entries.is_sorted_by(|a, b| a.name < b.name));
        let places = entries.iter().enumerate().map(|(place, entry)| (entry.name.clone(), place)).collect();
        Self { device, entries, places, adapter: None }
    }

    /// As these, where the entries' dense layers carry an adapter.
    pub(crate) fn adapted(self, adapter: Adapted) -> Self {
        Self { adapter: Some(adapter), ..self }
    }

    pub(crate) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    pub(crate) fn adapter(&self) -> Option<&Adapted> {
        self.adapter.as_ref()
    }

    /// The same numbers in another device's memory, where operations then run.
    ///
    /// # Errors
    /// [`NnError::Tensor`] when the device cannot take them; [`NnError::Setting`] for packed weights
    /// that lie on a third.
    pub fn to_device(&self, device: &Device) -> Result<Self, NnError> {
        let entries = self.entries.iter().map(|entry| entry.to_device(device)).collect::<Result<_, _>>()?;
        Ok(Self { adapter: self.adapter.clone(), ..Self::from_sorted(entries, device.clone()) })
    }

    /// Where the numbers lie.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The parameters' names, sorted.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// The names of those that are trained, sorted: what gradients, optimisers and snapshots concern.
    pub fn trainable(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(|entry| entry.trained().is_some()).map(|entry| entry.name.as_str())
    }

    /// Numbers over all parameters.
    #[must_use]
    pub fn count(&self) -> usize {
        self.entries.iter().map(Entry::count).sum()
    }

    /// Numbers over the parameters that are trained.
    #[must_use]
    pub fn trained_count(&self) -> usize {
        self.entries.iter().filter(|entry| entry.trained().is_some()).map(Entry::count).sum()
    }

    /// Bytes of memory that the numbers take, wherever they lie.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(Entry::memory).sum()
    }

    /// A trained parameter's variable, for gradients that are taken outside this room.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&Var> {
        self.places.get(name).and_then(|&place| self.entries[place].trained())
    }

    /// A parameter's shape.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.places.get(name).map(|&place| &self.entries[place].shape[..])
    }

    /// A copy of every number that is trained.
    ///
    /// # Errors
    /// [`NnError::Tensor`] when a device cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, NnError> {
        let trained = self.entries.iter().filter_map(|entry| Some((entry, entry.trained()?)));
        let read = |(entry, var): (&Entry, &Var)| Ok((entry.name.clone(), entry.shape.clone(), var.flatten_all()?.to_vec1::<f32>()?));
        trained.map(read).collect::<Result<Vec<_>, NnError>>().map(Snapshot::from_sorted)
    }

    /// Puts a snapshot's numbers back, in place.
    ///
    /// # Errors
    /// [`NnError::Unknown`] or [`NnError::Shape`] when it is no snapshot of these parameters; then
    /// nothing was changed.
    pub fn restore(&self, snapshot: &Snapshot) -> Result<(), NnError> {
        let mut found = Vec::new();
        for (place, entry) in self.entries.iter().enumerate().filter(|(_, entry)| entry.trained().is_some()) {
            let (shape, values) = snapshot.get(&entry.name).ok_or_else(|| NnError::Unknown { name: entry.name.clone() })?;
            if shape != entry.shape {
                return Err(NnError::Shape { name: entry.name.clone(), expected: entry.shape.clone(), found: shape.to_vec() });
            }
            found.push((place, values));
        }
        found.into_iter().try_for_each(|(place, values)| self.update(place, |numbers| numbers.copy_from_slice(values)))
    }

    /// A safetensors file of all parameters that are trained, `f32`, names as the network has them.
    ///
    /// # Errors
    /// [`NnError::Tensor`] when a device cannot be read; [`NnError::Safetensors`] when the writer
    /// refuses.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, NnError> {
        self.snapshot()?.to_safetensors()
    }

    pub(crate) fn linear(&self, layer: &Linear) -> Result<LinearWeights, NnError> {
        Ok(LinearWeights {
            weight: self.stored(&layer.name, [layer.outputs, layer.inputs])?,
            bias: self.bias(&layer.name, layer.outputs, layer.bias)?,
            adapter: self.low_rank(layer)?,
        })
    }

    fn low_rank(&self, layer: &Linear) -> Result<Option<LowRank>, NnError> {
        let Some(Adapted { config, layers }) = &self.adapter else { return Ok(None) };
        if !layers.contains(&layer.name) {
            return Ok(None);
        }
        let down = self.find(down_name(&layer.name), &[config.rank, layer.inputs])?;
        let up = self.find(up_name(&layer.name), &[layer.outputs, config.rank])?;
        Ok(Some(LowRank { down, up, scale: config.scale() as f32, dropout: config.dropout }))
    }

    pub(crate) fn norm(&self, layer: &Norm) -> Result<(Parameter, Option<Parameter>), NnError> {
        Ok((self.parameter(&layer.name, "weight", &[layer.width])?, self.bias(&layer.name, layer.width, layer.bias)?))
    }

    fn bias(&self, path: &str, width: usize, wanted: bool) -> Result<Option<Parameter>, NnError> {
        wanted.then(|| self.parameter(path, "bias", &[width])).transpose()
    }

    pub(crate) fn embedding(&self, table: &Embedding) -> Result<Stored, NnError> {
        self.stored(&table.name, [table.rows, table.width])
    }

    pub(crate) fn named(&self, spec: &ParamSpec) -> Result<Parameter, NnError> {
        self.find(spec.name.clone(), &spec.shape)
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn parameter(&self, path: &str, leaf: &str, shape: &[usize]) -> Result<Parameter, NnError> {
        self.find(format!("{path}.{leaf}"), shape)
    }

    /// A parameter that is held whole.
    fn find(&self, name: String, shape: &[usize]) -> Result<Parameter, NnError> {
        let place = self.place(name, shape)?;
        match &self.entries[place].held {
            Held::Whole { var, trained } => Ok(Parameter { place, var: var.clone(), trained: *trained }),
            Held::Packed(_) | Held::OnDevice(_) => {
                let found = self.entries[place].name.clone();
                Err(NnError::Setting { what: "a parameter that an operation needs whole", expected: "held as f32", found })
            }
        }
    }

    /// A matrix, however it is held.
    fn stored(&self, path: &str, shape: [usize; 2]) -> Result<Stored, NnError> {
        let place = self.place(format!("{path}.weight"), &shape)?;
        Ok(match &self.entries[place].held {
            Held::Whole { var, trained } => Stored::Whole(Parameter { place, var: var.clone(), trained: *trained }),
            Held::Packed(packed) => Stored::Packed(packed.clone()),
            Held::OnDevice(held) => Stored::OnDevice(held.clone()),
        })
    }

    fn place(&self, name: String, shape: &[usize]) -> Result<usize, NnError> {
        let Some(&place) = self.places.get(&name) else { return Err(NnError::Unknown { name }) };
        let found = &self.entries[place].shape;
        if found == shape { Ok(place) } else { Err(NnError::Shape { name, expected: shape.to_vec(), found: found.clone() }) }
    }

    /// Runs `change` on one trained parameter's numbers: in place in the processor's memory, on a copy
    /// that is then sent back elsewhere.
    pub(crate) fn update(&self, place: usize, change: impl FnOnce(&mut [f32])) -> Result<(), NnError> {
        let entry = &self.entries[place];
        let Some(var) = entry.trained() else { return Err(NnError::Frozen { name: entry.name.clone() }) };
        if let Device::Cpu = self.device {
            return Ok(var.inplace_op1(&Change(std::cell::Cell::new(Some(change))))?);
        }
        let mut numbers = var.flatten_all()?.to_vec1::<f32>()?;
        change(&mut numbers);
        Ok(var.set(&Tensor::from_vec(numbers, var.dims(), &self.device)?)?)
    }
}

/// A change of a variable's numbers where they lie.
struct Change<F>(std::cell::Cell<Option<F>>);

impl<F: FnOnce(&mut [f32])> InplaceOp1 for Change<F> {
    fn name(&self) -> &'static str {
        "change"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let CpuStorage::F32(values) = storage else { candle_core::bail!("parameters are f32") };
        let Some((start, end)) = layout.contiguous_offsets() else { candle_core::bail!("parameters are contiguous") };
        if let Some(change) = self.0.take() {
            change(&mut values[start..end]);
        }
        Ok(())
    }
}

/// Runs `with` on a CPU tensor's numbers.
pub(crate) fn numbers<R>(tensor: &Tensor, with: impl FnOnce(&[f32]) -> R) -> Result<R, NnError> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    if let (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) = (&*storage, layout.contiguous_offsets()) {
        return Ok(with(&values[start..end]));
    }
    drop(storage);
    Ok(with(&tensor.flatten_all()?.to_vec1::<f32>()?))
}
