//! The last steps of a run: golden answers, the graph, the staged bundle, the proof that its engines
//! agree.

use std::path::Path;

use super::cross::{Ground, packed_logits};
use super::data::Dataset;
use super::network::Teller;
use super::oof::PolicyReport;
use super::recipe::{FinalFit, Recipe};
use super::{TrainError, files};
use crate::backend::{self, EngineKind, Options};
use crate::bundle::{
    AdapterFiles, Bundle, BundleParts, BundleWriter, DataFingerprint, GoldenSet, MeasuredSet, PackedWeights, Provenance, ScoreReference,
    StagedBundle, weights_location,
};
use crate::decide::Decider;
use crate::export::{self, ParityReport};
use crate::spec::Task;
use crate::text::Encoding;

/// Engines may differ by this much on a logit.
const TOLERANCE: f64 = 1e-4;

/// What a bundle is made of, beside the run's ground.
pub(super) struct Cargo<'a> {
    pub(super) weights: PackedWeights,
    pub(super) adapter: Option<AdapterFiles>,
    pub(super) decider: Decider,
    /// The rows that the weights were fitted on.
    pub(super) trained: &'a Dataset,
    pub(super) policy: &'a PolicyReport,
    pub(super) metrics: Vec<MeasuredSet>,
    pub(super) scores: ScoreReference,
    /// Golden texts, one a line.
    pub(super) golden: &'a Path,
    pub(super) git: Option<String>,
    /// Seconds since 1970.
    pub(super) created: u64,
}

/// Stages the bundle beside its place and proves that both engines give its golden answers.
pub(super) fn stage(
    ground: &Ground<'_>,
    cargo: Cargo<'_>,
    target: &Path,
    library: &Path,
) -> Result<(StagedBundle, ParityReport), TrainError> {
    let golden = golden(ground, &cargo)?;
    let (graph, generation) = match &ground.start.network {
        Teller::Head(network) => (Some(export::onnx(network, cargo.weights.layout(), weights_location(cargo.weights.storage()))?), None),
        Teller::Writer(writer) => (None, Some(writer.generation.clone())),
    };
    let recipe = ground.recipe;
    let parts = BundleParts {
        name: recipe.bundle.name.clone(),
        version: recipe.bundle.version.clone(),
        created: cargo.created,
        task: Task::MultiLabel,
        architecture: ground.start.config.architecture(),
        pooling: recipe.model.pooling,
        max_length: recipe.model.max_length,
        normalization: recipe.data.normalization,
        config_json: ground.start.config_json.clone(),
        tokenizer_json: ground.start.tokenizer_json.clone(),
        weights: cargo.weights,
        graph,
        decider: cargo.decider,
        threshold_policy: policy(recipe, cargo.policy),
        tolerance: TOLERANCE,
        golden,
        provenance: provenance(ground, cargo.trained, cargo.git),
        metrics: cargo.metrics,
        scores: Some(cargo.scores),
        generation,
        adapter: cargo.adapter,
    };
    let staged = BundleWriter::stage(target, &parts)?;
    let parity = if staged.bundle().graph().is_some() { export::verify(staged.bundle(), library)? } else { alone(staged.bundle())? };
    Ok((staged, parity))
}

/// The proof for a bundle without a graph, which one engine serves.
fn alone(bundle: &Bundle) -> Result<ParityReport, TrainError> {
    let mut engine = backend::open(EngineKind::Candle, bundle, &Options::default())?;
    let golden = backend::check_golden(engine.as_mut(), bundle)?;
    Ok(ParityReport { texts: golden.texts, tolerance: bundle.tolerance(), engines: Vec::new(), max_abs_logit_difference: 0.0 })
}

fn golden(ground: &Ground<'_>, cargo: &Cargo<'_>) -> Result<GoldenSet, TrainError> {
    let file = String::from_utf8_lossy(&files::read(cargo.golden)?).into_owned();
    let texts: Vec<String> = file.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if texts.is_empty() {
        let (expected, found) = ("at least one text, one a line".to_owned(), "none".to_owned());
        return Err(TrainError::RunFolder { path: cargo.golden.to_owned(), expected, found });
    }
    let encodings = ground.start.encoder.encode_all(&texts)?;
    let logits = packed_logits(ground, &cargo.weights, &encodings.iter().collect::<Vec<&Encoding>>())?;
    let probabilities = cargo.decider.probabilities(&logits);
    Ok(GoldenSet { texts, ids: encodings.iter().map(|encoding| encoding.ids().to_vec()).collect(), logits, probabilities })
}

fn policy(recipe: &Recipe, report: &PolicyReport) -> String {
    let dev = if recipe.final_fit == FinalFit::RefitWithDev { " and of the held-out file" } else { "" };
    let chosen = report
        .choice
        .as_ref()
        .map_or(String::new(), |choice| format!(", chosen among {} for cross-fitted {}", choice.candidates.len(), choice.objective));
    format!("{}{chosen}, fitted on calibrated out-of-fold probabilities of {}{dev}", report.policy, recipe.folds.split)
}

/// Which model ships, fitted on so many rows, for a report.
pub(super) fn told(recipe: &Recipe, rows: usize) -> String {
    match recipe.final_fit {
        FinalFit::Refit => format!("fitted on the training file, {rows} rows"),
        FinalFit::RefitWithDev => format!("fitted on the training and the held-out file together, {rows} rows"),
        FinalFit::Fold => format!("that of {}, fitted on {rows} rows", recipe.folds.split),
    }
}

fn provenance(ground: &Ground<'_>, trained: &Dataset, git: Option<String>) -> Provenance {
    let recipe = ground.recipe;
    let dev = if recipe.final_fit == FinalFit::RefitWithDev { ", with the held-out file" } else { "" };
    Provenance {
        base: ground.start.base.clone(),
        recipe_sha256: recipe.hash(),
        recipe: recipe.untracked().echo(),
        data: DataFingerprint {
            description: format!("{}{dev}", recipe.data.description),
            rows: trained.examples().len(),
            sha256: trained.fingerprint().to_owned(),
        },
        further: ground.further.to_vec(),
        git,
        seeds: vec![recipe.folds.seed, recipe.train.seed],
        limbic: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
