//! Copies of named tensors: the best checkpoint so far, an average, an optimiser's moments.

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::{NnError, ParamSpec};

/// Named `f32` tensors in memory, sorted by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    name: String,
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Snapshot {
    /// Takes `(name, shape, values)` sorted by name.
    pub(crate) fn from_sorted(entries: Vec<(String, Vec<usize>, Vec<f32>)>) -> Self {
        debug_assert!(entries.is_sorted_by(|a, b| a.0 < b.0));
        Self { entries: entries.into_iter().map(|(name, shape, values)| Entry { name, shape, values }).collect() }
    }

    /// Every tensor: name, shape, values in row-major order; sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[usize], &[f32])> {
        self.entries.iter().map(|entry| (entry.name.as_str(), entry.shape.as_slice(), entry.values.as_slice()))
    }

    /// One tensor's shape and values.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<(&[usize], &[f32])> {
        let index = self.entries.binary_search_by(|entry| entry.name.as_str().cmp(name)).ok()?;
        let entry = &self.entries[index];
        Some((&entry.shape, &entry.values))
    }

    /// Moves this snapshot towards `other`: `self = (1 - share) self + share other`. The mean of n
    /// snapshots is made by mixing in the k-th with share `1 / k`.
    ///
    /// # Errors
    /// [`NnError::Unknown`] or [`NnError::Shape`] when the two hold different tensors.
    pub fn mix(&mut self, other: &Self, share: f32) -> Result<(), NnError> {
        for entry in &self.entries {
            let (shape, _) = other.get(&entry.name).ok_or_else(|| NnError::Unknown { name: entry.name.clone() })?;
            if shape != entry.shape {
                return Err(NnError::Shape { name: entry.name.clone(), expected: entry.shape.clone(), found: shape.to_vec() });
            }
        }
        for entry in &mut self.entries {
            let (_, values) = other.get(&entry.name).ok_or_else(|| NnError::Unknown { name: entry.name.clone() })?;
            for (mine, other) in entry.values.iter_mut().zip(values) {
                *mine += share * (other - *mine);
            }
        }
        Ok(())
    }

    /// Takes over the tensors of `other` that are named here too and that `which` picks.
    ///
    /// # Errors
    /// [`NnError::Shape`] when one has another shape; those before it were taken over.
    pub fn replace(&mut self, other: &Self, which: impl Fn(&str) -> bool) -> Result<(), NnError> {
        for entry in self.entries.iter_mut().filter(|entry| which(&entry.name)) {
            let Some((shape, values)) = other.get(&entry.name) else { continue };
            if shape != entry.shape {
                return Err(NnError::Shape { name: entry.name.clone(), expected: entry.shape.clone(), found: shape.to_vec() });
            }
            entry.values.copy_from_slice(values);
        }
        Ok(())
    }

    /// The parameters of `specs`, each the leading rows of the tensor of its name: a head of some
    /// labels out of one of more.
    ///
    /// # Errors
    /// [`NnError::Unknown`] for a name that is not here, [`NnError::Shape`] for a tensor that has no
    /// such rows.
    pub fn leading(&self, specs: &[ParamSpec]) -> Result<Self, NnError> {
        let mut entries = Vec::with_capacity(specs.len());
        for spec in specs {
            let (found, values) = self.get(&spec.name).ok_or_else(|| NnError::Unknown { name: spec.name.clone() })?;
            let fits = found.len() == spec.shape.len() && found[1..] == spec.shape[1..] && found[0] >= spec.shape[0];
            if !fits {
                return Err(NnError::Shape { name: spec.name.clone(), expected: spec.shape.clone(), found: found.to_vec() });
            }
            entries.push((spec.name.clone(), spec.shape.clone(), values[..spec.shape.iter().product()].to_vec()));
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Self::from_sorted(entries))
    }

    /// A safetensors file of these tensors.
    ///
    /// # Errors
    /// [`NnError::Safetensors`] when the writer refuses.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, NnError> {
        serialise(&[("", self)])
    }

    /// The tensors of a safetensors file that [`Snapshot::to_safetensors`] wrote.
    ///
    /// # Errors
    /// [`NnError::Safetensors`] for other bytes, [`NnError::DType`] for a tensor that is not F32.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, NnError> {
        Self::parse(bytes, "")
    }

    /// The tensors whose name begins with `prefix`, named without it.
    pub(crate) fn parse(bytes: &[u8], prefix: &str) -> Result<Self, NnError> {
        let file = safetensors::SafeTensors::deserialize(bytes).map_err(|error| NnError::Safetensors { reason: error.to_string() })?;
        let mut entries = Vec::new();
        for (name, view) in file.iter() {
            let Some(short) = name.strip_prefix(prefix) else { continue };
            if view.dtype() != Dtype::F32 {
                return Err(NnError::DType { name: name.to_owned(), found: format!("{:?}", view.dtype()) });
            }
            let values = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            entries.push(Entry { name: short.to_owned(), shape: view.shape().to_vec(), values });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { entries })
    }
}

/// One safetensors file of several snapshots, each name behind its prefix.
pub(crate) fn serialise(parts: &[(&str, &Snapshot)]) -> Result<Vec<u8>, NnError> {
    let wrong = |error: safetensors::SafeTensorError| NnError::Safetensors { reason: error.to_string() };
    let mut bytes = Vec::new();
    for (prefix, snapshot) in parts {
        for (name, shape, values) in snapshot.iter() {
            let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            bytes.push((format!("{prefix}{name}"), shape.to_vec(), data));
        }
    }
    let views = bytes.iter().map(|(name, shape, data)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), data)?)));
    safetensors::serialize(views.collect::<Result<Vec<_>, _>>().map_err(wrong)?, None).map_err(wrong)
}
