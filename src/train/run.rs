//! A run: ten steps in a row, each of which takes values and returns values.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::base::HubOptions;
use super::cross::{Encoded, Ground, fit_folds, pack, packed_logits, refit};
use super::data::{Dataset, Example};
use super::groups::{Groups, normal_form};
use super::journal::{Journal, Progress};
use super::measure::{self, Subject};
use super::oof::calibrate;
use super::recipe::{Recipe, locate};
use super::report::{Drift, RunReport};
use super::ship::{self, Cargo};
use super::split::Folds;
use super::start::{Start, start};
use super::{TrainError, files};
use crate::bundle::MeasuredSet;
use crate::decide::{Decider, Logits, Probabilities};
use crate::metrics::{Report, Resampling};
use crate::nn::Snapshot;
use crate::spec::{Precision, Targets, Task};

const OUT_OF_FOLD: &str = "Every row judged by the model that did not see it, and by calibrators and thresholds fitted on the other \
                           folds. The models saw fewer rows than the one that ships.";
const HELD_OUT: &str = "Rows of the held-out file, judged by the model that ships. Nothing was fitted or chosen on them.";
const UNCALIBRATED: &str = "The same rows and model, the plain sigmoid of the logits: no calibrator, no threshold.";

/// What a run takes from outside: folders, a clock, the engine's library.
pub struct Surroundings<'a> {
    /// The current folder.
    pub current: &'a Path,
    /// The recipe's folder.
    pub recipe_folder: &'a Path,
    /// The run folder; created when absent, continued when a run of the same recipe stands there.
    pub run: &'a Path,
    /// Where base models from a hub come from.
    pub hub: HubOptions,
    /// ONNX Runtime's shared library.
    pub onnxruntime: &'a Path,
    /// Commit of the trainer, when known.
    pub git: Option<String>,
    /// Time since 1970.
    pub clock: &'a dyn Fn() -> Duration,
    /// How progress is shown.
    pub progress: Progress,
    /// Asked after every step of every fit, by its name and steps done: whether to stop as a kill
    /// would, saving nothing.
    pub interrupt: &'a dyn Fn(&str, u64) -> bool,
}

/// Runs the recipe: folds, calibrators, thresholds, refit, bundle, report. A run that was stopped
/// continues from its folder.
///
/// # Errors
/// [`TrainError`] at the first thing that goes wrong; what was finished stays in the run folder.
pub fn run(recipe: &Recipe, around: &Surroundings<'_>, out: &mut dyn Write) -> Result<RunReport, TrainError> {
    let resampling = Resampling { seed: recipe.train.seed, ..Resampling::default() };
    files::folder(around.run)?;
    files::write(&around.run.join("recipe.toml"), recipe.echo().as_bytes())?;
    let mut journal = Journal::open(around.run, out, around.progress, around.clock)?;

    let start = start(recipe, around.current, around.recipe_folder, &around.hub)?;
    let train = encoded(recipe, &start, &place(around, &recipe.data.train), recipe.data.rows)?;
    let dev = match &recipe.data.dev {
        Some(path) => Some(encoded(recipe, &start, &place(around, path), None)?),
        None => None,
    };
    own(around.run, &Identity::of(recipe, &start, &train, &dev))?;
    let folds = folds(recipe, around.run, &train, &mut journal)?;

    let ground = Ground { recipe, start: &start, train: &train, run: around.run, interrupt: around.interrupt };
    let out_of_fold = fit_folds(&ground, &folds, &mut journal)?;
    let targets = train.data.targets();
    let calibration = calibrate(recipe, &out_of_fold.logits, targets, &folds)?;
    let subject = Subject {
        name: "out_of_fold",
        note: OUT_OF_FOLD,
        labels: &recipe.data.labels,
        probabilities: &calibration.honest.probabilities,
        targets,
    };
    let mut warnings: Vec<String> = dev.iter().flat_map(|dev| shared_texts(&train, dev)).collect();
    let mut sets = vec![measure::decided(&subject, &calibration.honest.decisions, resampling)?];

    let (weights, refitted) = refit(&ground, &out_of_fold.records, &mut journal)?;
    let packed = pack(&weights, recipe.bundle.precision)?;
    let mut drift = None;
    if let Some(dev) = &dev {
        let logits = packed_logits(&ground, &packed, &dev.rows().encodings)?;
        let [mut held_out, uncalibrated] = measure_held_out(recipe, &calibration.decider, &logits, dev.data.targets(), resampling)?;
        let measured = measure_drift(&ground, &calibration.decider, &weights, &logits, dev)?;
        held_out.tuned.overall.extend(measured.figures());
        sets.extend([held_out, uncalibrated]);
        drift = Some(measured);
    }

    let cargo = Cargo {
        weights: packed,
        decider: calibration.decider.clone(),
        metrics: sets.clone(),
        golden: &place(around, &recipe.bundle.golden),
        git: around.git.clone(),
        created: journal.now().as_secs(),
    };
    let target = around.current.join(&recipe.bundle.out);
    let (staged, parity) = ship::stage(&ground, cargo, &target, around.onnxruntime)?;
    let bundle = staged.commit()?;
    let fits: Vec<_> = out_of_fold.records.into_iter().chain([refitted]).collect();
    warnings.extend(calibration.warnings);
    let noticed = fits.iter().flat_map(|fit| fit.warnings.iter().map(move |warning| format!("{}: {warning}", fit.phase)));
    let report = RunReport {
        model: format!("{} {}", bundle.name(), bundle.version()),
        bundle: bundle.id().to_owned(),
        recipe: recipe.hash(),
        data: train.data.fingerprint().to_owned(),
        labels: recipe.data.labels.clone(),
        warnings: noticed.chain(warnings).collect(),
        fits,
        sets,
        drift,
        engines_differ_by: parity.max_abs_logit_difference,
        decisions: decisions(&calibration.decider),
    };
    files::write_json(&around.run.join("report.json"), &report.json())?;
    files::write(&around.run.join("report.md"), report.markdown().as_bytes())?;
    journal.say(&report.markdown());
    journal.say(&format!("bundle in {}", target.display()));
    Ok(report)
}

fn place(around: &Surroundings<'_>, path: &Path) -> PathBuf {
    locate(path, around.current, around.recipe_folder)
}

fn encoded(recipe: &Recipe, start: &Start, path: &Path, rows: Option<usize>) -> Result<Encoded, TrainError> {
    let data = Dataset::read(path, recipe.data.format, &recipe.data.labels)?;
    let data = match rows {
        Some(rows) => data.select(&(0..rows.min(data.examples().len())).collect::<Vec<_>>()),
        None => data,
    };
    let texts: Vec<&str> = data.examples().iter().map(|example| example.text.as_str()).collect();
    let encodings = start.encoder.encode_all(&texts)?;
    Ok(Encoded { data, encodings })
}

/// What decides the logits of a run's folds; a folder belongs to one such thing.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    fitting: String,
    base: String,
    train: String,
    dev: Option<String>,
}

impl Identity {
    fn of(recipe: &Recipe, start: &Start, train: &Encoded, dev: &Option<Encoded>) -> Self {
        Self {
            fitting: recipe.fitting_hash(),
            base: start.revision.clone(),
            train: train.data.fingerprint().to_owned(),
            dev: dev.as_ref().map(|dev| dev.data.fingerprint().to_owned()),
        }
    }
}

/// Takes the folder for this run, or refuses one that belongs to another.
fn own(run: &Path, identity: &Identity) -> Result<(), TrainError> {
    let path = run.join("identity.json");
    match files::read_json::<Identity>(&path)? {
        None => files::write_json(&path, identity),
        Some(found) if found == *identity => Ok(()),
        Some(found) => Err(TrainError::RunFolder {
            path,
            expected: format!("the run of this recipe, base model and data, {identity:?}; name another folder with --run"),
            found: format!("{found:?}"),
        }),
    }
}

fn folds(recipe: &Recipe, run: &Path, train: &Encoded, journal: &mut Journal<'_>) -> Result<Folds, TrainError> {
    let groups = Groups::find(train.data.examples().iter().map(|example| example.text.as_str()));
    let shared = groups.members().iter().filter(|members| members.len() > 1);
    let (count, rows) = shared.fold((0, 0), |(count, rows), members| (count + 1, rows + members.len()));
    journal.say(&format!(
        "{} rows, {} labels; {count} groups of near duplicates hold {rows} rows and are kept together",
        train.encodings.len(),
        recipe.data.labels.len()
    ));
    let folds = Folds::stratify(train.data.targets(), &groups, recipe.folds, recipe.folds_seed)?;
    files::write_json(&run.join("folds.json"), &folds)?;
    Ok(folds)
}

/// Says how many held-out texts stand in the training file too, which flatters figures on them.
fn shared_texts(train: &Encoded, dev: &Encoded) -> Option<String> {
    let form = |example: &Example| normal_form(&example.text);
    let known: HashSet<String> = train.data.examples().iter().map(form).collect();
    let shared = dev.data.examples().iter().filter(|example| known.contains(&form(example))).count();
    (shared > 0).then(|| format!("{shared} of {} held-out texts stand in the training file too", dev.encodings.len()))
}

fn measure_held_out(
    recipe: &Recipe,
    decider: &Decider,
    logits: &Logits,
    targets: &Targets,
    resampling: Resampling,
) -> Result<[MeasuredSet; 2], TrainError> {
    let labels = &recipe.data.labels;
    let (calibrated, plain) = (decider.probabilities(logits), Probabilities::of(logits, Task::MultiLabel.activation()));
    let subject = Subject { name: "held_out", note: HELD_OUT, labels, probabilities: &calibrated, targets };
    let uncalibrated = Subject { name: "held_out_uncalibrated", note: UNCALIBRATED, labels, probabilities: &plain, targets };
    Ok([measure::thresholded(&subject, decider.thresholds(), resampling)?, measure::at_half(&uncalibrated, resampling)?])
}

/// Compares the stored precision with full precision on the held-out rows.
fn measure_drift(ground: &Ground<'_>, decider: &Decider, weights: &Snapshot, stored: &Logits, dev: &Encoded) -> Result<Drift, TrainError> {
    let full = packed_logits(ground, &pack(weights, Precision::Fp32)?, &dev.rows().encodings)?;
    let largest = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    let (one, other) = (decider.probabilities(stored), decider.probabilities(&full));
    let macro_f1 = |probabilities: &Probabilities| -> Result<f64, TrainError> {
        Ok(Report::measure(probabilities, dev.data.targets(), decider.thresholds())?.summary.macro_f1)
    };
    Ok(Drift {
        macro_f1: macro_f1(&one)? - macro_f1(&other)?,
        max_probability: largest(one.values(), other.values()),
        max_logit: largest(stored.values(), full.values()),
    })
}

fn decisions(decider: &Decider) -> Vec<(String, f64)> {
    let kinds = decider.calibrators().iter().map(|calibrator| calibrator.kind().to_owned());
    kinds.zip(decider.thresholds().values().iter().copied()).collect()
}
