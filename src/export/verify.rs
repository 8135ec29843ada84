//! The proof that two engines are one model: the same logits, for every batch a text may be in.

use std::path::Path;

use thiserror::Error;

use crate::backend::{self, Backend, BackendError, EngineKind, Options};
use crate::bundle::{Bundle, GoldenSet};
use crate::text::{Batch, Encoding, TextError};

/// Why a bundle's engines could not be trusted to be one model.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The bundle holds no graph to verify.
    #[error("expected a bundle with an onnx graph, found none")]
    NoGraph,
    /// An engine failed while its answers were compared.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The texts to compare on cannot be laid out.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Two answers differ by more than the bundle allows.
    #[error("the {engine} engine: expected logits within {tolerance:e} of {of}, found a difference of {found:e}")]
    Parity {
        /// The engine at fault.
        engine: EngineKind,
        /// What it was compared with.
        of: &'static str,
        /// The most that was allowed.
        tolerance: f64,
        /// The largest absolute difference.
        found: f64,
    },
}

/// How far one engine was from the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EngineParity {
    /// The engine.
    pub engine: EngineKind,
    /// Largest absolute difference of a logit from the golden one, over all batch shapes.
    pub max_abs_logit_difference: f64,
    /// Largest absolute difference of a logit between a text alone and the text in a batch.
    pub max_batch_difference: f64,
}

/// What [`verify`] measured. Every figure is within the tolerance.
#[derive(Debug, Clone, PartialEq)]
pub struct ParityReport {
    /// Texts compared.
    pub texts: usize,
    /// The tolerance that the bundle states.
    pub tolerance: f64,
    /// Each engine.
    pub engines: Vec<EngineParity>,
    /// Largest absolute difference of a logit between the engines.
    pub max_abs_logit_difference: f64,
}

/// Runs both engines over the bundle's golden texts, each alone, in pairs of unlike lengths and
/// all together, and compares every logit with the golden one and with the other engine's.
///
/// `library` is ONNX Runtime's shared library.
///
/// # Errors
/// [`VerifyError::Parity`] when a difference exceeds the bundle's tolerance;
/// [`VerifyError::NoGraph`] and the engines' own errors.
pub fn verify(bundle: &Bundle, library: &Path) -> Result<ParityReport, VerifyError> {
    if bundle.graph().is_none() {
        return Err(VerifyError::NoGraph);
    }
    let golden = bundle.golden();
    let options = Options { library: Some(library.to_owned()), ..Options::default() };
    let mut answers = Vec::new();
    let mut engines = Vec::new();
    for kind in [EngineKind::Candle, EngineKind::Onnx] {
        let mut backend = backend::open(kind, bundle, &options)?;
        let shapes = answer_in_every_shape(backend.as_mut(), golden)?;
        let from_golden = shapes.iter().map(|logits| difference(logits, golden.logits.values())).fold(0.0, f64::max);
        within(kind, "the golden answers", bundle.tolerance(), from_golden)?;
        let between_shapes = shapes.iter().map(|logits| difference(logits, &shapes[0])).fold(0.0, f64::max);
        within(kind, "the same text alone", bundle.tolerance(), between_shapes)?;
        engines.push(EngineParity { engine: kind, max_abs_logit_difference: from_golden, max_batch_difference: between_shapes });
        answers.extend(shapes.into_iter().next());
    }
    let between = difference(&answers[0], &answers[1]);
    within(EngineKind::Onnx, "the candle engine's", bundle.tolerance(), between)?;
    Ok(ParityReport { texts: golden.texts.len(), tolerance: bundle.tolerance(), engines, max_abs_logit_difference: between })
}

/// All golden logits, three times: texts alone, in pairs, and in one batch.
fn answer_in_every_shape(backend: &mut dyn Backend, golden: &GoldenSet) -> Result<Vec<Vec<f32>>, VerifyError> {
    let encodings = golden.ids.iter().map(|ids| Encoding::new(ids.clone(), false)).collect::<Result<Vec<_>, _>>()?;
    [1, 2, encodings.len()].into_iter().map(|size| answer(backend, &encodings, size)).collect()
}

/// Logits in the order of `encodings`, computed `size` texts at a time.
///
/// Batches take every n-th text, so that a batch mixes lengths whatever the order.
fn answer(backend: &mut dyn Backend, encodings: &[Encoding], size: usize) -> Result<Vec<f32>, VerifyError> {
    let batches = encodings.len().div_ceil(size);
    let mut rows = vec![Vec::new(); encodings.len()];
    for first in 0..batches {
        let members: Vec<usize> = (first..encodings.len()).step_by(batches).collect();
        let batch = Batch::new(members.iter().map(|&index| &encodings[index]))?;
        let logits = backend.forward(&batch)?;
        for (row, index) in members.into_iter().enumerate() {
            rows[index] = logits.row(row).to_vec();
        }
    }
    Ok(rows.concat())
}

fn difference(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
}

fn within(engine: EngineKind, of: &'static str, tolerance: f64, found: f64) -> Result<(), VerifyError> {
    if found <= tolerance { Ok(()) } else { Err(VerifyError::Parity { engine, of, tolerance, found }) }
}
