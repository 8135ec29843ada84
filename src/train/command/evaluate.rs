//! `limbic-train evaluate`.

use super::{Counter, Edge, engine, pages};
use crate::bundle::Bundle;
use crate::metrics::Resampling;
use crate::train::TrainError;
use crate::train::args::EvaluateArgs;
use crate::train::evaluate::{LabelledFile, evaluate as measure};

/// Measures a bundle on a labelled file; prints the tables, and writes a report when asked to.
///
/// # Errors
/// [`TrainError`] at the first thing that goes wrong.
pub fn evaluate(args: &EvaluateArgs, edge: &mut Edge<'_>) -> Result<(), TrainError> {
    let bundle = Bundle::open(&args.bundle)?;
    let mut engine = engine(&args.engine, &bundle, edge.current)?;
    let resampling = Resampling { resamples: args.resampling.resamples, seed: args.resampling.seed, ..Resampling::default() };
    let file = LabelledFile { path: &args.data, format: args.format };
    let mut counter = Counter::new();
    let mut progress = |done, total| counter.reached(done, Some(total), edge.err);
    let evaluation = measure(&bundle, engine.as_mut(), file, resampling, &mut progress)?;
    if let Some(warning) = evaluation.warning() {
        edge.tell(&format!("warning: {warning}"));
    }
    if let Some(folder) = &args.report {
        evaluation.write(folder)?;
        pages::evaluation(&bundle, &evaluation, folder)?;
    }
    edge.print(&evaluation.markdown())
}
