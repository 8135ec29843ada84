//! How the numbers of a frozen parameter are held: whole, in half the bits, or quantised.
//!
//! A frozen matrix is packed once, as it is read, and never stands in memory as `f32` as a whole:
//! a product widens a few rows of it at a time, on the way forward and again on the way back. What
//! is trained is always `f32`; so are frozen vectors, which weigh nothing.

mod codes;
mod device;
mod int8;
mod nf4;
mod packed;
mod plan;

#[cfg(test)]
mod tests;

pub(crate) use device::{OnDevice, product};
pub(crate) use packed::{Numbers, Packed};
pub(crate) use plan::Holding;
pub use plan::Plan;

/// What a number of a frozen matrix is held as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// As it is: 4 bytes.
    F32,
    /// The nearest bfloat16: 2 bytes.
    Bf16,
    /// 4-bit `NormalFloat` (Dettmers et al. 2023, arXiv:2305.14314) in blocks of 64 along the rows laid
    /// end to end, bit for bit as bitsandbytes packs it: half a byte, and the block's largest magnitude.
    Nf4 {
        /// Whether those magnitudes are quantised in turn, to 8 bits in blocks of 256: 0.516 bytes a
        /// number instead of 0.5625.
        double: bool,
    },
    /// 8-bit integers and a scale a row: the vector-wise quantisation of `LLM.int8()` (Dettmers et al.
    /// 2022, arXiv:2208.07339) for the weight alone. Inputs stay `f32`, so that its split of outlying
    /// columns is not needed.
    Int8,
}
