//! A bundle measured on labelled text: figures with intervals, without thresholds, at its own, and
//! at 0.5.
//!
//! It refuses to pass figures on training rows off as held-out ones: when the data is what the
//! bundle was trained on, everything written says so first. Only the whole training set is known
//! again, by its fingerprint; a part of it is not.

mod write;

use std::path::Path;

use super::TrainError;
use super::data::{DataFormat, Dataset, LeftOut};
use super::measure::{self, Subject};
use super::outcome::{About, Kind, Outcome};
use super::scored::Said;
use crate::backend::Backend;
use crate::bundle::{Bundle, MeasuredSet};
use crate::decide::{Logits, Probabilities};
use crate::metrics::Resampling;
use crate::spec::Matrix;
use crate::text::{Batch, Encoding};

/// Texts a forward pass.
const TEXTS_A_BATCH: usize = 32;

/// A bundle's figures on one file.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// Id of the bundle.
    pub bundle: String,
    /// The engine that computed.
    pub engine: &'static str,
    /// Whether this very data set is the one that the bundle was trained on.
    pub trained_on: bool,
    /// Rows of the file that were not judged.
    pub left_out: Option<LeftOut>,
    /// How the intervals were drawn.
    pub resampling: Resampling,
    /// The bundle's thresholds, in label order.
    pub thresholds: Vec<f64>,
    /// The figures: `tuned` at the bundle's thresholds, `at_half` at 0.5.
    pub set: MeasuredSet,
    /// Every row, and what was said of it.
    pub outcome: Outcome,
}

/// A labelled file, as stated.
#[derive(Debug, Clone, Copy)]
pub struct LabelledFile<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// How it is laid out.
    pub format: DataFormat,
}

/// Measures `bundle`, computed by `engine`, on a file with the bundle's labels. `progress` hears how
/// many rows of how many were judged.
///
/// # Errors
/// [`TrainError`] for a file that cannot be read or an engine that fails.
pub fn evaluate(
    bundle: &Bundle,
    engine: &mut dyn Backend,
    file: LabelledFile<'_>,
    resampling: Resampling,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Evaluation, TrainError> {
    let data = Dataset::read(file.path, file.format, bundle.labels())?;
    let texts: Vec<&str> = data.examples().iter().map(|example| example.text.as_str()).collect();
    let logits = logits(engine, &bundle.text_encoder().encode_all(&texts)?, bundle.labels().len(), progress)?;
    let probabilities = bundle.decider().probabilities(&logits);
    let set = file.path.file_name().unwrap_or(file.path.as_os_str()).to_string_lossy();
    let subject = Subject {
        name: &set,
        note: &format!("{} {}, engine {}, data {}", bundle.name(), bundle.version(), engine.name(), data.fingerprint()),
        labels: bundle.labels(),
        probabilities: &probabilities,
        targets: data.targets(),
    };
    Ok(Evaluation {
        bundle: bundle.id().to_owned(),
        engine: engine.name(),
        trained_on: data.fingerprint() == bundle.card().provenance.data.sha256,
        left_out: data.left_out().cloned(),
        resampling,
        thresholds: bundle.decider().thresholds().values().to_vec(),
        set: measure::thresholded(&subject, bundle.decider().thresholds(), resampling)?,
        outcome: outcome(bundle, &set, &data, &logits, &probabilities)?,
    })
}

fn outcome(bundle: &Bundle, set: &str, data: &Dataset, logits: &Logits, probabilities: &Probabilities) -> Result<Outcome, TrainError> {
    let decisions = bundle.decider().thresholds().decide(probabilities)?;
    let said = Said { targets: data.targets(), decisions: &decisions, logits, probabilities };
    let model = format!("{} {}", bundle.name(), bundle.version());
    Outcome::new(About::new(Kind::Evaluation, set, data, (model, bundle.threshold_policy().to_owned())), data, said)
}

/// The logits of every text in the order given, computed in order of length.
pub(super) fn logits(
    engine: &mut dyn Backend,
    encodings: &[Encoding],
    labels: usize,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Logits, TrainError> {
    let mut order: Vec<usize> = (0..encodings.len()).collect();
    order.sort_by_key(|&row| encodings[row].ids().len());
    let mut values = Matrix::filled(encodings.len(), labels, 0.0);
    let mut done = 0;
    for members in order.chunks(TEXTS_A_BATCH) {
        let logits = engine.forward(&Batch::new(members.iter().map(|&row| &encodings[row]))?)?;
        values.place(members, &logits);
        done += members.len();
        progress(done, encodings.len());
    }
    Ok(Logits::new(labels, values.into_values())?)
}
