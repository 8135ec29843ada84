//! The vocabulary of operations that every network is written in, and its eager interpreter.
//!
//! [`Ops`] is the vocabulary; a network is a function over it. [`Eager`] computes it, in training
//! or evaluation; `export::OnnxGraph` records it. This is the only room that picks a kernel: fused
//! ones of our own on the processor, candle's differentiable operations elsewhere.
//!
//! | to | use |
//! |---|---|
//! | read, begin, copy, write parameters | [`Weights`], [`Snapshot`] |
//! | compute logits | [`Eager`] with [`Mode::Eval`], then [`Rows::to_vec`] |
//! | continue texts without reading them again | [`KvCache`] in [`Eager::with_cache`] |
//! | learn | [`Stepper`] with a [`Loss`] and [`AdamW`] |
//!
//! Rows are tokens: a batch is flat ids and cumulative lengths, and nothing is padded. One
//! [`Eager`] is one thread; threads come from shards in training and workers in serving.

mod adapter;
mod backward;
mod cache;
mod checkpoint;
mod composite;
mod dense;
mod eager;
mod error;
mod gradients;
mod held;
mod kernels;
mod load;
mod lookup;
mod loss;
mod ops;
mod optim;
mod params;
mod pickle;
mod ragged;
mod random;
mod snapshot;
mod spare;
mod step;
mod storage;
mod tape;
mod weights;

pub use candle_core::Device;

pub use adapter::{LoraBias, LoraConfig, PeftAdapter, PeftTask, Targets};
pub use cache::KvCache;
pub use checkpoint::join_safetensors;
pub use eager::{Eager, Mode, Path, Rows};
pub use error::NnError;
pub use gradients::Gradients;
pub use load::Missing;
pub use loss::{Asked, BinaryCrossEntropy, CrossEntropy, Focus, Loss, TokenCrossEntropy};
pub use ops::{Attention, BinaryOp, Decode, Direction, Ops, Rotary, RotaryScaling, UnaryOp};
pub use optim::{AdamW, AdamWConfig, AdamWState, Decay};
pub use params::{Embedding, Embeddings, Init, Linear, Norm, ParamSpec, RmsNorm};
pub use pickle::pickle_to_safetensors;
pub use ragged::RowKind;
pub use snapshot::Snapshot;
pub use step::{Example, Network, StepOptions, StepReport, Stepper};
pub use storage::{Plan, Storage};
pub use weights::Weights;
