//! The vocabulary of operations that every network is written in, and its eager interpreter.
//!
//! [`Ops`] is the vocabulary. [`Eager`](crate::nn) runs it with candle and our own kernels, in
//! training or evaluation; `export::OnnxGraph` records it. The only room that picks a kernel.

mod ops;
mod params;

pub use ops::{Attention, Ops, UnaryOp};
pub use params::{Embedding, Init, Linear, Norm, ParamSpec};
