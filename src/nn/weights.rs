//! A network's numbers by name: read, begun, copied, written.

use std::collections::{BTreeMap, HashMap};

use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Storage, Tensor, Var};

use super::params::{Embedding, Init, Linear, Norm, ParamSpec};
use super::random::{fold_name, normals};
use super::{NnError, Snapshot};

/// What to do about parameters that a checkpoint does not have.
#[derive(Debug, Clone, Copy)]
pub enum Missing<'a> {
    /// Any is an error.
    Refuse,
    /// Those named here begin fresh; any other is an error. A parameter named here that the
    /// checkpoint does have, in the right shape, is read from it.
    Init {
        /// Fresh values grow from this seed and the parameter's name.
        seed: u64,
        /// The parameters that may be fresh, typically a new head's.
        allowed: &'a [ParamSpec],
    },
    /// As [`Missing::Init`], but those named here begin fresh even where the checkpoint has them:
    /// another task's head is of no use.
    Replace {
        /// Fresh values grow from this seed and the parameter's name.
        seed: u64,
        /// The parameters that begin fresh.
        fresh: &'a [ParamSpec],
    },
}

/// Named parameters of a network, `f32`, each a candle variable.
///
/// Copies of a `Weights` handle would share numbers, so there is no `Clone`; [`Weights::snapshot`]
/// copies the numbers.
#[derive(Debug)]
pub struct Weights {
    device: Device,
    /// Sorted by name.
    entries: Vec<(String, Var)>,
    places: HashMap<String, usize>,
}

/// One parameter as an operation uses it: its place among the weights, and its numbers.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) place: usize,
    pub(crate) var: Var,
}

/// What a dense layer's name leads to. An adapter will stand here beside the base weight.
#[derive(Debug)]
pub(crate) struct LinearWeights {
    pub(crate) weight: Parameter,
    pub(crate) bias: Option<Parameter>,
}

impl Weights {
    /// Reads the parameters named by `specs` from a safetensors file's bytes; other tensors in it
    /// are left alone.
    ///
    /// A name is found with or without its family's prefix (`bert.`, `roberta.`, `distilbert.`, `model.`), and
    /// with the old endings `gamma` and `beta` of layer normalisation. F16 and BF16 are widened to
    /// `f32`.
    ///
    /// # Errors
    /// [`NnError::Safetensors`] for other bytes; [`NnError::Missing`], [`NnError::Shape`],
    /// [`NnError::DType`] or [`NnError::NotFinite`] naming the parameter.
    pub fn from_safetensors(bytes: &[u8], specs: &[ParamSpec], missing: Missing<'_>) -> Result<Self, NnError> {
        let (seed, fresh) = match missing {
            Missing::Refuse => (0, &[][..]),
            Missing::Init { seed, allowed } => (seed, allowed),
            Missing::Replace { seed, fresh } => (seed, fresh),
        };
        let may_be_fresh = |spec: &ParamSpec| fresh.iter().any(|allowed| allowed.name == spec.name);
        let file = super::checkpoint::Checkpoint::parse(bytes)?;
        let mut values = BTreeMap::new();
        let mut absent = Vec::new();
        for spec in specs {
            let replace = matches!(missing, Missing::Replace { .. }) && may_be_fresh(spec);
            let read = if replace { None } else { file.read(spec)? };
            match read {
                Some(numbers) => insert(&mut values, spec, numbers)?,
                None if may_be_fresh(spec) => insert(&mut values, spec, begin(spec, seed))?,
                None => absent.push(spec.name.as_str()),
            }
        }
        if !absent.is_empty() {
            let shown = absent.iter().take(5).copied().collect::<Vec<_>>().join(", ");
            let names = if absent.len() > 5 { format!("{shown}, ...") } else { shown };
            return Err(NnError::Missing { count: absent.len(), names });
        }
        Self::new(values)
    }

    /// Every parameter fresh, as its [`Init`] says, from `seed` and its name alone: adding a
    /// parameter to a network changes no other.
    ///
    /// # Errors
    /// [`NnError::Duplicate`] when a name stands twice.
    pub fn init(specs: &[ParamSpec], seed: u64) -> Result<Self, NnError> {
        let mut values = BTreeMap::new();
        for spec in specs {
            insert(&mut values, spec, begin(spec, seed))?;
        }
        Self::new(values)
    }

    fn new(values: BTreeMap<String, (Vec<usize>, Vec<f32>)>) -> Result<Self, NnError> {
        let device = Device::Cpu;
        let mut entries = Vec::with_capacity(values.len());
        for (name, (shape, numbers)) in values {
            entries.push((name, Var::from_vec(numbers, shape, &device)?));
        }
        let places = entries.iter().enumerate().map(|(place, (name, _))| (name.clone(), place)).collect();
        Ok(Self { device, entries, places })
    }

    /// The same numbers in another device's memory, where operations then run.
    ///
    /// # Errors
    /// [`NnError::Tensor`] when the device cannot take them.
    pub fn to_device(&self, device: &Device) -> Result<Self, NnError> {
        let moved =
            |(name, var): &(String, Var)| Ok((name.clone(), Var::from_tensor(&var.as_detached_tensor().to_device(device)?.copy()?)?));
        let entries = self.entries.iter().map(moved).collect::<Result<_, NnError>>()?;
        Ok(Self { device: device.clone(), entries, places: self.places.clone() })
    }

    /// Where the numbers lie.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The parameters' names, sorted.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    /// Numbers over all parameters.
    #[must_use]
    pub fn count(&self) -> usize {
        self.entries.iter().map(|(_, var)| var.elem_count()).sum()
    }

    /// A parameter's variable, for gradients that are taken outside this room.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&Var> {
        self.places.get(name).map(|&place| &self.entries[place].1)
    }

    /// A copy of every number.
    ///
    /// # Errors
    /// [`NnError::Tensor`] when a device cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, NnError> {
        let read = |(name, var): &(String, Var)| Ok((name.clone(), var.dims().to_vec(), var.flatten_all()?.to_vec1::<f32>()?));
        self.entries.iter().map(read).collect::<Result<Vec<_>, NnError>>().map(Snapshot::from_sorted)
    }

    /// Puts a snapshot's numbers back, in place.
    ///
    /// # Errors
    /// [`NnError::Unknown`] or [`NnError::Shape`] when it is no snapshot of these parameters; then
    /// nothing was changed.
    pub fn restore(&self, snapshot: &Snapshot) -> Result<(), NnError> {
        for (name, var) in &self.entries {
            let (found, _) = snapshot.get(name).ok_or_else(|| NnError::Unknown { name: name.clone() })?;
            if found != var.dims() {
                return Err(NnError::Shape { name: name.clone(), expected: var.dims().to_vec(), found: found.to_vec() });
            }
        }
        for (place, (name, _)) in self.entries.iter().enumerate() {
            let (_, values) = snapshot.get(name).ok_or_else(|| NnError::Unknown { name: name.clone() })?;
            self.update(place, |numbers| numbers.copy_from_slice(values))?;
        }
        Ok(())
    }

    /// A safetensors file of all parameters, `f32`, names as the network has them.
    ///
    /// # Errors
    /// [`NnError::Tensor`] when a device cannot be read; [`NnError::Safetensors`] when the writer
    /// refuses.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, NnError> {
        self.snapshot()?.to_safetensors()
    }

    pub(crate) fn linear(&self, layer: &Linear) -> Result<LinearWeights, NnError> {
        Ok(LinearWeights {
            weight: self.parameter(&layer.name, "weight", &[layer.outputs, layer.inputs])?,
            bias: self.bias(&layer.name, layer.outputs, layer.bias)?,
        })
    }

    pub(crate) fn norm(&self, layer: &Norm) -> Result<(Parameter, Option<Parameter>), NnError> {
        Ok((self.parameter(&layer.name, "weight", &[layer.width])?, self.bias(&layer.name, layer.width, layer.bias)?))
    }

    fn bias(&self, path: &str, width: usize, wanted: bool) -> Result<Option<Parameter>, NnError> {
        wanted.then(|| self.parameter(path, "bias", &[width])).transpose()
    }

    pub(crate) fn embedding(&self, table: &Embedding) -> Result<Parameter, NnError> {
        self.parameter(&table.name, "weight", &[table.rows, table.width])
    }

    pub(crate) fn named(&self, spec: &ParamSpec) -> Result<Parameter, NnError> {
        let (path, leaf) = spec.name.rsplit_once('.').unwrap_or(("", &spec.name));
        self.parameter(path, leaf, &spec.shape)
    }

    pub(crate) fn entries(&self) -> &[(String, Var)] {
        &self.entries
    }

    fn parameter(&self, path: &str, leaf: &str, shape: &[usize]) -> Result<Parameter, NnError> {
        let name = format!("{path}.{leaf}");
        let Some(&place) = self.places.get(&name) else { return Err(NnError::Unknown { name }) };
        let var = self.entries[place].1.clone();
        if var.dims() != shape {
            return Err(NnError::Shape { name, expected: shape.to_vec(), found: var.dims().to_vec() });
        }
        Ok(Parameter { place, var })
    }

    /// Runs `change` on one parameter's numbers: in place in the processor's memory, on a copy
    /// that is then sent back elsewhere.
    pub(crate) fn update(&self, place: usize, change: impl FnOnce(&mut [f32])) -> Result<(), NnError> {
        let var = &self.entries[place].1;
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

fn insert(values: &mut BTreeMap<String, (Vec<usize>, Vec<f32>)>, spec: &ParamSpec, numbers: Vec<f32>) -> Result<(), NnError> {
    match values.insert(spec.name.clone(), (spec.shape.clone(), numbers)) {
        None => Ok(()),
        Some(_) => Err(NnError::Duplicate { name: spec.name.clone() }),
    }
}

fn begin(spec: &ParamSpec, seed: u64) -> Vec<f32> {
    let count = spec.shape.iter().product();
    match spec.init {
        Init::Zeros => vec![0.0; count],
        Init::Ones => vec![1.0; count],
        Init::Normal(deviation) => normals(fold_name(seed, &spec.name), count).map(|normal| (normal * deviation) as f32).collect(),
    }
}
