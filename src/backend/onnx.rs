//! ONNX Runtime on a bundle's graph, loaded from a shared library when the process asks for it.
//!
//! The graph's weights are served from the bundle's image in memory. A session belongs to one
//! worker: `run` takes it exclusively. Padding exists only here: rows are laid out
//! `[batch, longest]` with a mask, and a text's logits do not depend on it.
//!
//! Settings that were measured: one thread a session without spinning; no fusion of skip
//! connection and layer normalisation, whose kernel is slower than the plain nodes on CPU; no
//! memory pattern, because every batch has its own shape.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::TensorRef;

use super::{Backend, BackendError, Cost};
use crate::bundle::{Bundle, GRAPH_INPUTS, GRAPH_OUTPUT, weights_location};
use crate::decide::Logits;
use crate::text::Batch;

const ENGINE: &str = "onnx";

/// How a session is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxOptions {
    /// ONNX Runtime's shared library, 1.24 or later. A process loads one, once.
    pub library: PathBuf,
    /// Threads inside the session, at least one.
    pub intra_threads: usize,
}

/// One session.
pub struct OnnxBackend {
    session: Session,
    labels: usize,
    ids: Vec<i64>,
    mask: Vec<i64>,
    /// Whether padding stands before the texts, and not behind them.
    left: bool,
}

impl OnnxBackend {
    /// Loads the library, unless it is loaded, and builds a session of the bundle's graph.
    ///
    /// # Errors
    /// [`BackendError::Library`] when the library cannot be loaded or another one is;
    /// [`BackendError::Model`] when the bundle has no graph or the runtime refuses it.
    pub fn open(bundle: &Bundle, options: &OnnxOptions) -> Result<Self, BackendError> {
        let graph = bundle.graph().ok_or_else(|| refused("the bundle has no graph"))?;
        let environment = environment(&options.library)?;
        let session = builder(&environment, bundle, options).and_then(|mut builder| builder.commit_from_memory(graph)).map_err(refused)?;
        Ok(Self { session, labels: bundle.labels().len(), ids: Vec::new(), mask: Vec::new(), left: false })
    }

    /// Pads on the left from now on: the graph of a decoder answers as it does on the right, that of
    /// an encoder counts positions from the first column and does not.
    #[must_use]
    pub fn with_padding_left(mut self) -> Self {
        self.left = true;
        self
    }

    /// Lays the batch out as `[texts, longest]`, padding with id 0 under a mask of 0.
    fn lay_out(&mut self, batch: &Batch) -> [usize; 2] {
        let shape = [batch.texts(), batch.longest()];
        for buffer in [&mut self.ids, &mut self.mask] {
            buffer.clear();
            buffer.resize(shape[0] * shape[1], 0);
        }
        let padded = self.ids.chunks_exact_mut(shape[1]).zip(self.mask.chunks_exact_mut(shape[1]));
        for (row, (ids, mask)) in batch.rows().zip(padded) {
            let first = if self.left { shape[1] - row.len() } else { 0 };
            ids[first..].iter_mut().zip(row).for_each(|(to, &id)| *to = i64::from(id));
            mask[first..first + row.len()].fill(1);
        }
        shape
    }

    fn run(&mut self, shape: [usize; 2]) -> Result<Vec<f32>, ort::Error> {
        let ids = TensorRef::from_array_view((shape, &*self.ids))?;
        let mask = TensorRef::from_array_view((shape, &*self.mask))?;
        let outputs = self.session.run(ort::inputs![GRAPH_INPUTS[0] => ids, GRAPH_INPUTS[1] => mask])?;
        let output = outputs.get(GRAPH_OUTPUT).ok_or_else(|| ort::Error::new(format!("the graph has no output {GRAPH_OUTPUT}")))?;
        let (found, values) = output.try_extract_tensor::<f32>()?;
        let expected = [shape[0], self.labels];
        if found.iter().map(|&size| usize::try_from(size).unwrap_or(0)).ne(expected) {
            return Err(ort::Error::new(format!("expected logits of shape {expected:?}, found {found:?}")));
        }
        Ok(values.to_vec())
    }
}

impl Backend for OnnxBackend {
    fn forward(&mut self, batch: &Batch) -> Result<Logits, BackendError> {
        let shape = self.lay_out(batch);
        let failed = |error: ort::Error| BackendError::Forward { engine: ENGINE, texts: batch.texts(), reason: error.to_string() };
        Ok(Logits::new(self.labels, self.run(shape).map_err(failed)?)?)
    }

    fn cost(&self) -> Cost {
        Cost::Padded
    }

    fn name(&self) -> &'static str {
        ENGINE
    }
}

fn refused(reason: impl ToString) -> BackendError {
    BackendError::Model { engine: ENGINE, reason: reason.to_string() }
}

fn builder(environment: &Environment, bundle: &Bundle, options: &OnnxOptions) -> Result<SessionBuilder, ort::Error> {
    let builder = Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_disabled_optimizers("SkipLayerNormFusion")?
        .with_intra_threads(options.intra_threads.max(1))?
        .with_intra_op_spinning(false)?
        .with_inter_threads(1)?
        .with_memory_pattern(false)?
        .with_log_level(LogLevel::Fatal)?
        .with_external_initializer_file_in_memory(weights_location(bundle.precision()), bundle.weights_fp32())?;
    Ok(builder)
}

/// The one environment of the process, with the library it came from.
static ENVIRONMENT: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// Loads the library at the first call; later calls must name the same one.
fn environment(library: &Path) -> Result<Environment, BackendError> {
    let refused = |reason: String| BackendError::library(library.display(), reason);
    let resolved = library.canonicalize().map_err(|error| refused(error.to_string()))?;
    // A panic while loading leaves nothing half made: the slot is filled last.
    let mut slot = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((loaded, environment)) = &*slot {
        if *loaded == resolved {
            return Ok(environment.clone());
        }
        return Err(refused(format!("this process already uses {}", loaded.display())));
    }
    let builder = ort::init_from(&resolved).map_err(|error| refused(error.to_string()))?;
    let environment = builder.with_name("limbic").with_telemetry(false).build().map_err(|error| refused(error.to_string()))?;
    // What the runtime reports as an error comes back as one; printing it too would bypass the log.
    environment.set_log_level(LogLevel::Fatal);
    *slot = Some((resolved, environment.clone()));
    Ok(environment)
}
