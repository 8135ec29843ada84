//! The fused kernels of the processor: forward and backward over rows of `f32`.
//!
//! Each file holds one operation twice: as functions over slices, which are the arithmetic, and
//! as a candle custom operation, which is how candle's differentiation reaches them. Forward
//! keeps nothing for backward but its inputs: means, probabilities and dropout masks are computed
//! again, which is cheaper than fetching them from memory.
//!
//! A parameter is not an input of its operation but a field of it. Its gradient goes straight
//! into the shard's [`Gradients`](super::Gradients) instead of through candle's gradient store,
//! which would add every one of them into a fresh tensor of zeros: two more passes over 42 MB a
//! shard and step. What makes candle walk the graph is that the embeddings' output is a variable.

pub(crate) mod attention;
pub(crate) mod dropout;
pub(crate) mod embedding;
pub(crate) mod gelu;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod matmul;
pub(crate) mod pooling;
pub(crate) mod simd;

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};

/// The numbers of an operation's input: `f32`, contiguous, on the CPU.
pub(crate) fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let CpuStorage::F32(values) = storage else { bail!("a kernel takes f32 rows, found {:?}", storage.as_slice::<f32>().err()) };
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => bail!("a kernel takes contiguous rows, found {layout:?}"),
    }
}

/// Runs `with` on a tensor's numbers.
pub(crate) fn read<R>(tensor: &Tensor, with: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => with(numbers(storage, layout)?),
        _ => bail!("a kernel of the processor takes rows in its memory"),
    }
}

/// A kernel's result: `[rows, width]`.
pub(crate) fn rows(values: Vec<f32>, width: usize) -> (CpuStorage, candle_core::Shape) {
    let rows = values.len() / width;
    (CpuStorage::F32(values), (rows, width).into())
}

/// A gradient of the shape of `like`.
pub(crate) fn gradient(values: Vec<f32>, like: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(values, like.shape(), like.device())
}
