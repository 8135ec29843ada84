//! The check at the door: an engine must give a bundle's golden answers again.

use super::{Backend, BackendError};
use crate::bundle::Bundle;
use crate::text::{Batch, Encoding};

/// Texts a batch of the check: enough to exercise padding, few enough to be quick.
const TEXTS_A_BATCH: usize = 8;

/// What [`check_golden`] found; within the bundle's tolerance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GoldenReport {
    /// Texts compared.
    pub texts: usize,
    /// Largest absolute difference of a logit from the golden one.
    pub max_abs_logit_difference: f64,
}

/// Runs the bundle's golden texts and compares every logit.
///
/// # Errors
/// [`BackendError::Golden`] naming the first logit that differs by more than the bundle's
/// tolerance; the engine's own errors.
pub fn check_golden(backend: &mut dyn Backend, bundle: &Bundle) -> Result<GoldenReport, BackendError> {
    let engine = backend.name();
    let golden = bundle.golden();
    let refused = |error: crate::text::TextError| BackendError::Model { engine, reason: format!("golden texts: {error}") };
    let mut largest = 0.0_f64;
    for (index, ids) in golden.ids.chunks(TEXTS_A_BATCH).enumerate() {
        let encodings: Vec<Encoding> =
            ids.iter().map(|ids| Encoding::new(ids.clone(), false)).collect::<Result<_, _>>().map_err(refused)?;
        let logits = backend.forward(&Batch::new(&encodings).map_err(refused)?)?;
        for row in 0..encodings.len() {
            let text = index * TEXTS_A_BATCH + row;
            for (label, (&expected, &found)) in golden.logits.row(text).iter().zip(logits.row(row)).enumerate() {
                let difference = f64::from((expected - found).abs());
                largest = largest.max(difference);
                if difference > bundle.tolerance() {
                    let label = bundle.labels().names()[label].clone();
                    return Err(BackendError::Golden { engine, text, label, expected, found, tolerance: bundle.tolerance() });
                }
            }
        }
    }
    Ok(GoldenReport { texts: golden.texts.len(), max_abs_logit_difference: largest })
}
