//! Engines: a batch of token ids in, logits out.
//!
//! [`Backend`] is the whole contract. One backend value belongs to one worker thread, which owns
//! its session; nothing here locks, queues or decides. Only logits leave. [`open`] builds an
//! engine from a bundle, and [`check_golden`] proves it on the bundle's own texts before it
//! serves.

#[cfg(feature = "candle")]
pub mod candle;
mod error;
#[cfg(feature = "candle")]
pub mod generator;
mod golden;
mod library;
#[cfg(feature = "onnx")]
pub mod onnx;
pub mod scripted;

pub use error::BackendError;
pub use golden::{GoldenReport, check_golden};
pub use library::find_library;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::bundle::Bundle;
use crate::decide::Logits;
use crate::text::Batch;

/// How an engine spends its time, so that batches can be laid out to suit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Every text costs as much as the longest of its batch.
    Padded,
    /// Every text costs its own tokens.
    Ragged,
}

/// One engine, ready to compute.
pub trait Backend: Send {
    /// Logits for every text of the batch, in order. A text's logits do not depend on the texts
    /// beside it.
    ///
    /// # Errors
    /// [`BackendError`]; the backend stays usable afterwards.
    fn forward(&mut self, batch: &Batch) -> Result<Logits, BackendError>;

    /// How this engine's time grows with a batch.
    fn cost(&self) -> Cost;

    /// The engine's name in metrics and answers: `onnx` or `candle`.
    fn name(&self) -> &'static str;
}

/// The engines there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// ONNX Runtime on the bundle's graph.
    Onnx,
    /// candle, with the kernels that trained the model.
    Candle,
}

impl EngineKind {
    /// Every engine, whether or not this build has it.
    pub const ALL: [Self; 2] = [Self::Onnx, Self::Candle];

    /// The name used on the command line, in metrics and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Onnx => "onnx",
            Self::Candle => "candle",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EngineKind {
    type Err = BackendError;

    fn from_str(name: &str) -> Result<Self, BackendError> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| BackendError::Engine { found: name.to_owned() })
    }
}

/// How engines are opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// ONNX Runtime's shared library; see [`find_library`]. Only the onnx engine needs it.
    pub library: Option<PathBuf>,
    /// Threads inside one engine, at least one. Two engines of one thread answer more texts a
    /// second than one engine of two.
    pub intra_threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { library: None, intra_threads: 1 }
    }
}

/// Opens an engine on a bundle. Its golden answers are not checked yet: see [`check_golden`].
///
/// # Errors
/// [`BackendError::Library`] when the onnx engine's library is missing or unusable;
/// [`BackendError::Model`] when the engine cannot build the model, or this build lacks it.
#[cfg_attr(not(feature = "onnx"), expect(unused_variables, reason = "only the onnx engine has options"))]
pub fn open(kind: EngineKind, bundle: &Bundle, options: &Options) -> Result<Box<dyn Backend>, BackendError> {
    match kind {
        #[cfg(feature = "onnx")]
        EngineKind::Onnx => {
            let library = options.library.clone().ok_or_else(|| BackendError::library("libonnxruntime.so", "no path was given"))?;
            let options = onnx::OnnxOptions { library, intra_threads: options.intra_threads };
            Ok(Box::new(onnx::OnnxBackend::open(bundle, &options)?))
        }
        #[cfg(feature = "candle")]
        EngineKind::Candle if bundle.generation().is_some() => Ok(Box::new(generator::GeneratorBackend::open(bundle)?)),
        #[cfg(feature = "candle")]
        EngineKind::Candle => Ok(Box::new(candle::CandleBackend::open(bundle)?)),
        #[cfg(not(all(feature = "onnx", feature = "candle")))]
        absent => Err(BackendError::Model { engine: absent.name(), reason: "this build does not have it".to_owned() }),
    }
}
