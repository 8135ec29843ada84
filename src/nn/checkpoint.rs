//! Parameters out of a safetensors file, whatever it calls them and in whatever width.

use std::collections::BTreeMap;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::NnError;
use super::params::ParamSpec;

/// What task checkpoints put before the names of an encoder's parameters.
const PREFIXES: [&str; 4] = ["bert.", "roberta.", "distilbert.", "model."];

/// One safetensors file of the tensors of several.
///
/// # Errors
/// [`NnError::Safetensors`] when one is broken, or a tensor stands in two of them.
pub fn join_safetensors(files: &[Vec<u8>]) -> Result<Vec<u8>, NnError> {
    let wrong = |error: safetensors::SafeTensorError| NnError::Safetensors { reason: error.to_string() };
    let files = files.iter().map(|bytes| SafeTensors::deserialize(bytes)).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    let mut tensors = BTreeMap::new();
    for (name, view) in files.iter().flat_map(SafeTensors::iter) {
        if tensors.insert(name, view).is_some() {
            return Err(NnError::Safetensors { reason: format!("tensor {name} stands in two files") });
        }
    }
    safetensors::serialize(tensors, None).map_err(wrong)
}

/// A parsed safetensors file.
pub(crate) struct Checkpoint<'a>(SafeTensors<'a>);

impl<'a> Checkpoint<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, NnError> {
        SafeTensors::deserialize(bytes).map(Self).map_err(|error| NnError::Safetensors { reason: error.to_string() })
    }

    /// One parameter's tensor, or `None` when the file has no such name.
    pub(crate) fn find(&self, spec: &ParamSpec) -> Result<Option<Found<'a>>, NnError> {
        let Some(view) = names(&spec.name).into_iter().find_map(|name| self.0.tensor(&name).ok()) else { return Ok(None) };
        if view.shape() != spec.shape {
            return Err(NnError::Shape { name: spec.name.clone(), expected: spec.shape.clone(), found: view.shape().to_vec() });
        }
        Ok(Some(Found { name: spec.name.clone(), view }))
    }
}

/// A tensor of a checkpoint.
pub(crate) struct Found<'a> {
    name: String,
    view: TensorView<'a>,
}

impl Found<'_> {
    /// Its numbers from `start` on, row-major, as many as `out` takes.
    pub(crate) fn read(&self, start: usize, out: &mut [f32]) -> Result<(), NnError> {
        let bytes = self.view.data();
        match self.view.dtype() {
            Dtype::F32 => out.iter_mut().zip(&bytes.as_chunks::<4>().0[start..]).for_each(|(out, bytes)| *out = f32::from_le_bytes(*bytes)),
            Dtype::F16 => {
                let halves = &bytes.as_chunks::<2>().0[start..];
                out.iter_mut().zip(halves).for_each(|(out, bytes)| *out = half_to_single(u16::from_le_bytes(*bytes)));
            }
            Dtype::BF16 => {
                let halves = &bytes.as_chunks::<2>().0[start..];
                out.iter_mut().zip(halves).for_each(|(out, bytes)| *out = f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16));
            }
            other => return Err(NnError::DType { name: self.name.clone(), found: format!("{other:?}") }),
        }
        match out.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(NnError::NotFinite { name: self.name.clone(), index: start + index, found: out[index] }),
            None => Ok(()),
        }
    }
}

/// What a checkpoint may call a parameter: bare encoders lack the leading `bert.`, and files
/// converted from the first BERT release say `gamma` and `beta`.
fn names(name: &str) -> Vec<String> {
    let mut names = vec![name.to_owned()];
    names.extend(PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).map(str::to_owned));
    for index in 0..names.len() {
        for (now, then) in [("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta")] {
            if let Some(path) = names[index].strip_suffix(now) {
                names.push(format!("{path}{then}"));
            }
        }
    }
    names
}

/// IEEE 754 binary16 to binary32, exactly.
fn half_to_single(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let magnitude = u32::from(half & 0x7fff) << 13;
    let bits = match half & 0x7c00 {
        // Zero and subnormals: the fraction counts units of 2^-24.
        0 => (f32::from(half & 0x03ff) * (1.0 / 16_777_216.0)).to_bits(),
        0x7c00 => magnitude | 0x7f80_0000,
        _ => magnitude + ((127 - 15) << 23),
    };
    f32::from_bits(sign | bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_widen_exactly() {
        let cases: [(u16, f32); 9] = [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x7bff, 65_504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x83ff, -6.097_555e-5),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (half, single) in cases {
            assert_eq!(half_to_single(half), single, "{half:#06x}");
        }
        assert!(half_to_single(0x7e00).is_nan());
    }
}
