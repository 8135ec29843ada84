//! A run: steps in a row, each of which takes values and returns values.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::base::HubOptions;
use super::cross::{Encoded, Ground};
use super::data::Dataset;
use super::distil::{DistilRecipe, Teacher};
use super::fit::FitRecord;
use super::groups::{Groups, normal_form};
use super::identity::Identity;
use super::journal::{Journal, Progress};
use super::make::{Made, Model, Seen, make};
use super::recipe::{Recipe, locate};
use super::repeat::repeat;
use super::report::{self, Origin, RunReport, Split};
use super::ship::{self, Cargo};
use super::split::Folds;
use super::stages::{Further, StageGround};
use super::start::{Start, start, teachers};
use super::teacher::RunTeacher;
use super::tracking::{self, Ending, TrackingEnvironment};
use super::{TrainError, files};
use crate::bundle::{Bundle, Figures, FurtherData, MeasuredSet};
use crate::decide::Decider;
use crate::export::ParityReport;

/// The recipe of a run, or of a fold, as it was resolved.
pub(super) const RECIPE: &str = "recipe.toml";
/// What is kept with a tracked run.
const REPORTS: [&str; 3] = ["report.json", "report.md", "report.html"];

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
    run_as(recipe, around, &|_, _, _| Ok(()), out)
}

/// Asked before the first fold is fitted: whether the run may go on.
pub(super) type Demand = dyn Fn(&Ground<'_>, &Folds, &mut Journal<'_>) -> Result<(), TrainError>;

/// The same, when `demand` lets it.
pub(super) fn run_as(recipe: &Recipe, around: &Surroundings<'_>, demand: &Demand, out: &mut dyn Write) -> Result<RunReport, TrainError> {
    told((around.run, &REPORTS), recipe, around, out, |journal| steps(recipe, around, demand, journal))
}

/// Does `work` under the recipe, which it leaves in the folder `home`, and tells of it there and to whatever
/// tracks the run. When all went well `reports` stand in the folder.
pub(super) fn told<T>(
    (home, reports): (&Path, &[&str]),
    recipe: &Recipe,
    around: &Surroundings<'_>,
    out: &mut dyn Write,
    work: impl FnOnce(&mut Journal<'_>) -> Result<T, TrainError>,
) -> Result<T, TrainError> {
    files::folder(home)?;
    files::write(&home.join(RECIPE), recipe.echo().as_bytes())?;
    let trackers = tracking::open(recipe, &around.tracking, home, (around.clock)())?;
    let mut journal = Journal::open(home, out, around.progress, around.clock)?.tracked_by(trackers);
    let outcome = work(&mut journal);
    journal.close(&match &outcome {
        Ok(_) => Ending::Finished(reports.iter().map(|name| home.join(name)).collect()),
        Err(TrainError::Interrupted { .. }) => Ending::Stopped,
        Err(_) => Ending::Failed,
    })?;
    outcome
}

fn steps(recipe: &Recipe, around: &Surroundings<'_>, demand: &Demand, journal: &mut Journal<'_>) -> Result<RunReport, TrainError> {
    let mut run = Run::begin(recipe, around, around.run, journal)?;
    demand(&run.ground(around), &run.folds, journal)?;
    let staged = run.stages(around, around.run, journal)?;
    let ground = run.ground(around);
    let dev = run.inputs.dev.as_ref();
    let made = make(&ground, &run.folds, &run.groups, dev, journal)?;
    let (repeats, more) = repeat(&ground, (&run.folds, &run.groups), dev, &made, journal)?;
    let Made { model, mut seen, .. } = made;
    seen.fits = [staged, seen.fits, more].concat();
    seen.warnings.extend(run.inputs.warnings());
    let (bundle, parity) = ship(&ground, model, &seen, around, journal.now())?;
    let report = RunReport { repeats, ..reported(&ground, dev, seen, &bundle, &parity) };
    publish(&report, &target(recipe, around), around.run, journal)?;
    Ok(report)
}

/// What stands before anything is fitted.
pub(super) struct Run<'a> {
    recipe: &'a Recipe,
    inputs: Inputs<'a>,
    identity: Identity,
    /// The rows that take part.
    train: Encoded,
    groups: Groups,
    pub(super) folds: Folds,
    /// Data beside the run's own that weights have learnt from.
    further: Vec<FurtherData>,
}

impl<'a> Run<'a> {
    /// Reads everything, takes `home` for this run, and splits.
    pub(super) fn begin(recipe: &'a Recipe, around: &Surroundings<'_>, home: &Path, journal: &mut Journal<'_>) -> Result<Self, TrainError> {
        let inputs = Inputs::read(recipe, around, journal)?;
        let identity = inputs.identity(recipe);
        identity.own(home)?;
        let (train, groups, folds) = split(recipe, home, &inputs.train, journal)?;
        let further = inputs.learnt();
        Ok(Self { recipe, inputs, identity, train, groups, folds, further })
    }

    /// Runs the stages, in `home`.
    pub(super) fn stages(
        &mut self,
        around: &Surroundings<'_>,
        home: &Path,
        journal: &mut Journal<'_>,
    ) -> Result<Vec<FitRecord>, TrainError> {
        let stages = StageGround { recipe: self.recipe, run: home, interrupt: around.interrupt };
        self.inputs.further.run_stages(&stages, &mut self.inputs.start, journal)
    }

    /// What the fits share.
    pub(super) fn ground<'b>(&'b self, around: &'b Surroundings<'_>) -> Ground<'b> {
        Ground {
            recipe: self.recipe,
            start: &self.inputs.start,
            train: &self.train,
            along: self.inputs.further.along.as_ref(),
            further: &self.further,
            bases: &self.inputs.bases,
            teacher: self.inputs.teacher.as_ref(),
            run: around.run,
            identity: &self.identity,
            under: "",
            interrupt: around.interrupt,
        }
    }
}

/// What a run reads before it fits anything.
struct Inputs<'a> {
    start: Start,
    train: Encoded,
    dev: Option<Encoded>,
    further: Further<'a>,
    /// What teachers begin with.
    bases: Vec<Start>,
    teacher: Option<RunTeacher>,
}

impl<'a> Inputs<'a> {
    fn read(recipe: &'a Recipe, around: &Surroundings<'_>, journal: &mut Journal<'_>) -> Result<Self, TrainError> {
        let start = start(recipe, around.current, around.recipe_folder, &around.hub)?;
        let train = encoded(recipe, &start, &place(around, &recipe.data.train), recipe.data.rows)?;
        let dev = recipe.data.dev.as_ref().map(|path| encoded(recipe, &start, &place(around, path), None)).transpose()?;
        let bases = teachers(recipe, &start, (around.current, around.recipe_folder), &around.hub)?;
        bases.iter().chain([&start]).try_for_each(|start| start.refuse_known(&train, dev.as_ref()))?;
        let own = forms([Some(&train), dev.as_ref()]);
        let further = Further::read(recipe, &start.encoder, &|path| place(around, path), &own, journal)?;
        let teacher = teacher(recipe, around, &train)?;
        Ok(Self { start, train, dev, further, bases, teacher })
    }

    fn identity(&self, recipe: &Recipe) -> Identity {
        let own = Identity::of(recipe, &self.start, &self.train, self.dev.as_ref());
        own.taught_by(self.teacher.as_ref()).taught_from(&self.bases).beside(&self.further)
    }

    /// Data beside the run's own that weights have learnt from.
    fn learnt(&self) -> Vec<FurtherData> {
        let taught = self.bases.iter().flat_map(|start| &start.learnt);
        let taught = taught.map(|set| FurtherData { purpose: format!("teacher, {}", set.purpose), ..set.clone() });
        self.start.learnt.iter().cloned().chain(taught).chain(self.further.cards()).collect()
    }

    /// What a report must say of them.
    fn warnings(&self) -> Vec<String> {
        let files = [("training", Some(&self.train)), ("held-out", self.dev.as_ref())];
        let left_out = files.iter().filter_map(|(name, set)| Some(format!("{name} file: {}", set.as_ref()?.data.left_out()?)));
        self.teacher.iter().map(RunTeacher::warning).chain(left_out).collect()
    }
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

/// Stages the bundle, verifies it, and puts it in its place.
fn ship(
    ground: &Ground<'_>,
    model: Model,
    seen: &Seen,
    around: &Surroundings<'_>,
    now: Duration,
) -> Result<(Bundle, ParityReport), TrainError> {
    let recipe = ground.recipe;
    let golden = place(around, &recipe.bundle.golden);
    let cargo = Cargo {
        weights: model.weights,
        adapter: model.adapter,
        decider: model.decider,
        scores: model.scores,
        policy: &seen.policy,
        trained: &model.trained,
        metrics: seen.sets.clone(),
        golden: &golden,
        git: around.git.clone(),
        created: now.as_secs(),
    };
    let (staged, parity) = ship::stage(ground, cargo, &target(recipe, around), around.onnxruntime)?;
    Ok((staged.commit()?, parity))
}

/// Where the bundle goes.
fn target(recipe: &Recipe, around: &Surroundings<'_>) -> PathBuf {
    around.current.join(&recipe.bundle.out)
}

/// Everything that is known of the run, but for repeats.
fn reported(ground: &Ground<'_>, dev: Option<&Encoded>, seen: Seen, bundle: &Bundle, parity: &ParityReport) -> RunReport {
    let recipe = ground.recipe;
    let noticed = seen.fits.iter().flat_map(|fit| fit.warnings.iter().map(move |warning| format!("{}: {warning}", fit.phase)));
    let files = [("training", Some(ground.train)), ("held out", dev)];
    RunReport {
        model: format!("{} {}", bundle.name(), bundle.version()),
        bundle: bundle.id().to_owned(),
        recipe: recipe.hash(),
        data: ground.train.data.fingerprint().to_owned(),
        split: recipe.folds.split.to_string(),
        shipped: ship::told(recipe, bundle.card().provenance.data.rows),
        origin: Origin::of(bundle),
        splits: files.into_iter().filter_map(|(name, rows)| Some(Split::of(name, rows?.data.targets()))).collect(),
        labels: recipe.data.labels.clone(),
        warnings: noticed.chain(seen.warnings).collect(),
        fits: seen.fits,
        sets: seen.sets,
        repeats: None,
        drift: seen.drift,
        engines_differ_by: parity.max_abs_logit_difference,
        decisions: decisions(bundle.decider()),
        policy: seen.policy,
    }
}

/// Writes the report, draws its page, and tells figures to whoever follows the run.
fn publish(report: &RunReport, bundle: &Path, run: &Path, journal: &mut Journal<'_>) -> Result<(), TrainError> {
    files::write_json(&run.join("report.json"), &report.json())?;
    files::write(&run.join("report.md"), report.markdown().as_bytes())?;
    let page = report::draw_run(run)?;
    for set in &report.sets {
        journal.track(&set.name, 0, &figures(set))?;
    }
    journal.say(&report.markdown());
    journal.say(&format!("bundle in {}", bundle.display()));
    journal.say(&format!("report in {}", page.display()));
    Ok(())
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
