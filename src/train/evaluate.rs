//! A bundle measured on labelled text: figures with intervals, at its thresholds and at 0.5.

use std::path::Path;

use super::TrainError;
use super::data::{DataFormat, Dataset};
use super::measure::{self, Subject};
use super::report::push_set;
use crate::backend::Backend;
use crate::bundle::{Bundle, MeasuredSet};
use crate::decide::Logits;
use crate::metrics::Resampling;
use crate::text::{Batch, Encoding};

/// Texts a forward pass.
const TEXTS_A_BATCH: usize = 32;

/// Measures `bundle`, computed by `engine`, on a labelled file with the bundle's labels.
///
/// # Errors
/// [`TrainError`] for a file that cannot be read or an engine that fails.
pub fn evaluate(
    bundle: &Bundle,
    engine: &mut dyn Backend,
    path: &Path,
    format: DataFormat,
    resampling: Resampling,
) -> Result<MeasuredSet, TrainError> {
    let data = Dataset::read(path, format, bundle.labels())?;
    let texts: Vec<&str> = data.examples().iter().map(|example| example.text.as_str()).collect();
    let logits = logits(engine, &bundle.text_encoder().encode_all(&texts)?, bundle.labels().len())?;
    let probabilities = bundle.decider().probabilities(&logits);
    let subject = Subject {
        name: &path.file_name().unwrap_or(path.as_os_str()).to_string_lossy(),
        note: &format!("{} {}, engine {}, data {}", bundle.name(), bundle.version(), engine.name(), data.fingerprint()),
        labels: bundle.labels(),
        probabilities: &probabilities,
        targets: data.targets(),
    };
    measure::thresholded(&subject, bundle.decider().thresholds(), resampling)
}

/// The figures as a Markdown table.
#[must_use]
pub fn table(bundle: &Bundle, set: &MeasuredSet) -> String {
    let mut text = String::new();
    push_set(&mut text, set, bundle.labels());
    text
}

fn logits(engine: &mut dyn Backend, encodings: &[Encoding], labels: usize) -> Result<Logits, TrainError> {
    let mut order: Vec<usize> = (0..encodings.len()).collect();
    order.sort_by_key(|&row| encodings[row].ids().len());
    let mut values = vec![0.0; encodings.len() * labels];
    for members in order.chunks(TEXTS_A_BATCH) {
        let logits = engine.forward(&Batch::new(members.iter().map(|&row| &encodings[row]))?)?;
        for (place, &row) in members.iter().enumerate() {
            values[row * labels..(row + 1) * labels].copy_from_slice(logits.row(place));
        }
    }
    Ok(Logits::new(labels, values)?)
}
