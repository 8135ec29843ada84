//! The fused kernels of the processor: forward and backward over rows of `f32`, as functions over
//! slices. Each file holds one operation.
//!
//! Forward leaves nothing for backward but its inputs: means, probabilities and dropout masks are
//! computed again, which is cheaper than fetching them from memory. The [`tape`](super::tape)
//! calls both ways and owns every buffer.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod cached;
pub(crate) mod dropout;
pub(crate) mod embedding;
pub(crate) mod frozen;
pub(crate) mod gelu;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod matmul;
pub(crate) mod pooling;
pub(crate) mod rms_norm;
pub(crate) mod rotate;
pub(crate) mod simd;
