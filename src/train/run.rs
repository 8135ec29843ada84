//! A run: steps in a row, each of which takes values and returns values.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::base::HubOptions;
use super::cross::{Encoded, Ground};
use super::data::Dataset;
use super::distil::{DistilRecipe, Teacher};
use super::groups::{Groups, normal_form};
use super::identity::Identity;
use super::journal::{Journal, Progress};
use super::make::make;
use super::recipe::{Recipe, locate};
use super::repeat::repeat;
use super::report::{self, Origin, RunReport, Split};
use super::ship::{self, Cargo};
use super::split::Folds;
use super::stages::{Further, StageGround};
use super::start::{Start, start};
use super::teacher::RunTeacher;
use super::tracking::{self, Ending, TrackingEnvironment};
use super::{TrainError, files};
use crate::bundle::{Figures, MeasuredSet};
use crate::decide::Decider;

/// What is kept with a tracked run.
const REPORTS: [&str; 2] = ["report.json", "report.md"];

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
    /// What the environment says of tracking.
    pub tracking: TrackingEnvironment,
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
    files::folder(around.run)?;
    files::write(&around.run.join("recipe.toml"), recipe.echo().as_bytes())?;
    let trackers = tracking::open(recipe, &around.tracking, around.run, (around.clock)())?;
    let mut journal = Journal::open(around.run, out, around.progress, around.clock)?.tracked_by(trackers);
    let outcome = steps(recipe, around, &mut journal);
    journal.close(&match &outcome {
        Ok(_) => Ending::Finished(REPORTS.iter().map(|name| around.run.join(name)).collect()),
        Err(TrainError::Interrupted { .. }) => Ending::Stopped,
        Err(_) => Ending::Failed,
    })?;
    outcome
}

fn steps(recipe: &Recipe, around: &Surroundings<'_>, journal: &mut Journal<'_>) -> Result<RunReport, TrainError> {
    let mut start = start(recipe, around.current, around.recipe_folder, &around.hub)?;
    let train = encoded(recipe, &start, &place(around, &recipe.data.train), recipe.data.rows)?;
    let dev = recipe.data.dev.as_ref().map(|path| encoded(recipe, &start, &place(around, path), None)).transpose()?;
    start.refuse_known(&train, dev.as_ref())?;
    let further = Further::read(recipe, &start.encoder, &|path| place(around, path), &forms([Some(&train), dev.as_ref()]), journal)?;
    let teacher = teacher(recipe, around, &train)?;
    let identity = Identity::of(recipe, &start, &train, dev.as_ref());
    identity.taught_by(teacher.as_ref()).beside(&further).own(around.run)?;
    let (train, groups, folds) = split(recipe, around.run, &train, journal)?;

    let stages = StageGround { recipe, run: around.run, interrupt: around.interrupt };
    let staged = further.run_stages(&stages, &mut start, journal)?;
    let learnt = [&start.learnt[..], &further.cards()].concat();
    let ground = Ground {
        recipe,
        start: &start,
        train: &train,
        along: further.along.as_ref(),
        further: &learnt,
        teacher: teacher.as_ref(),
        run: around.run,
        under: "",
        interrupt: around.interrupt,
    };
    let mut made = make(&ground, &folds, &groups, dev.as_ref(), journal)?;
    let (repeats, more) = repeat(&ground, (&folds, &groups), dev.as_ref(), &made, journal)?;
    made.fits.extend(more);
    made.fits.splice(0..0, staged);
    made.warnings.extend(ground.teacher.map(RunTeacher::warning));
    let read = [("training", Some(&train)), ("held-out", dev.as_ref())];
    made.warnings.extend(read.iter().filter_map(|(name, set)| Some(format!("{name} file: {}", set.as_ref()?.data.left_out()?))));

    let decisions = decisions(&made.decider);
    let cargo = Cargo {
        weights: made.weights,
        decider: made.decider,
        policy: &made.policy,
        trained: &made.trained,
        metrics: made.sets.clone(),
        golden: &place(around, &recipe.bundle.golden),
        git: around.git.clone(),
        created: journal.now().as_secs(),
    };
    let target = around.current.join(&recipe.bundle.out);
    let (staged, parity) = ship::stage(&ground, cargo, &target, around.onnxruntime)?;
    let bundle = staged.commit()?;
    let noticed = made.fits.iter().flat_map(|fit| fit.warnings.iter().map(move |warning| format!("{}: {warning}", fit.phase)));
    let report = RunReport {
        model: format!("{} {}", bundle.name(), bundle.version()),
        bundle: bundle.id().to_owned(),
        recipe: recipe.hash(),
        data: train.data.fingerprint().to_owned(),
        split: recipe.folds.split.to_string(),
        shipped: ship::told(recipe, &made.trained),
        origin: Origin::of(&bundle),
        splits: [("training", Some(&train)), ("held out", dev.as_ref())]
            .into_iter()
            .filter_map(|(name, rows)| Some(Split::of(name, rows?.data.targets())))
            .collect(),
        labels: recipe.data.labels.clone(),
        warnings: noticed.chain(made.warnings).collect(),
        fits: made.fits,
        sets: made.sets,
        repeats,
        drift: made.drift,
        engines_differ_by: parity.max_abs_logit_difference,
        decisions,
        policy: made.policy,
    };
    files::write_json(&around.run.join("report.json"), &report.json())?;
    files::write(&around.run.join("report.md"), report.markdown().as_bytes())?;
    let page = report::draw_run(around.run)?;
    for set in &report.sets {
        journal.track(&set.name, 0, &figures(set))?;
    }
    journal.say(&report.markdown());
    journal.say(&format!("bundle in {}", target.display()));
    journal.say(&format!("report in {}", page.display()));
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

/// The run that the recipe names as a teacher, where it names one.
fn teacher(recipe: &Recipe, around: &Surroundings<'_>, train: &Encoded) -> Result<Option<RunTeacher>, TrainError> {
    match &recipe.distil {
        Some(DistilRecipe { teacher: Teacher::Run(folder), calibrated, .. }) => {
            RunTeacher::read(&place(around, folder), recipe, train, *calibrated).map(Some)
        }
        _ => Ok(None),
    }
}

/// Finds near duplicates and splits; gives the rows that take part, their groups and folds.
fn split(recipe: &Recipe, run: &Path, all: &Encoded, journal: &mut Journal<'_>) -> Result<(Encoded, Groups, Folds), TrainError> {
    let groups = Groups::find(all.data.examples().iter().map(|example| example.text.as_str()));
    let shared = groups.members().iter().filter(|members| members.len() > 1);
    let (count, rows) = shared.fold((0, 0), |(count, rows), members| (count + 1, rows + members.len()));
    journal.say(&format!(
        "{} rows, {} labels; {count} groups of near duplicates hold {rows} rows and are kept together",
        all.encodings.len(),
        recipe.data.labels.len()
    ));
    let folds = Folds::new(all.data.targets(), &groups, &recipe.folds)?;
    let rows = folds.at_most(recipe.folds.most);
    let (train, groups, folds) = (all.select(&rows), groups.select(&rows), folds.select(&rows));
    let held_out: usize = folds.fitted().map(|fold| folds.held_out(fold).len()).sum();
    journal.say(&format!("{}: {} rows take part, {held_out} of them are held out", recipe.folds.split, rows.len()));
    files::write_json(&run.join("folds.json"), &folds)?;
    Ok((train, groups, folds))
}

/// A set's figures over all labels, by name.
fn figures(set: &MeasuredSet) -> Vec<(String, f64)> {
    let named = |prefix: &str, figures: &Figures| -> Vec<(String, f64)> {
        figures.overall.iter().map(|(name, figure)| (format!("{prefix}{name}"), figure.value)).collect()
    };
    [named("", &set.tuned), named("at_half/", &set.at_half)].concat()
}

/// Normal forms of the texts of these files.
fn forms(files: [Option<&Encoded>; 2]) -> HashSet<String> {
    let examples = files.into_iter().flatten().flat_map(|file| file.data.examples());
    examples.map(|example| normal_form(&example.text)).collect()
}

fn decisions(decider: &Decider) -> Vec<(String, f64)> {
    let kinds = decider.calibrators().iter().map(|calibrator| calibrator.kind().to_owned());
    kinds.zip(decider.thresholds().values().iter().copied()).collect()
}
