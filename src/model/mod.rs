//! One definition of every network, written against [`crate::nn::Ops`].
//!
//! A network here is names and shapes: no tensors, no files, no environment, no kernel. The same
//! `forward` trains, serves and draws the ONNX graph.

mod backbone;
mod config;
pub mod decoder;
mod depth;
pub mod encoder;
mod head;
mod masked;

pub use backbone::{Backbone, Reach};
pub use config::{ConfigError, ModelConfig};
pub use decoder::CausalLm;
pub use depth::Depth;
pub use head::SequenceClassifier;
pub use masked::MaskedLm;
