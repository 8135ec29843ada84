//! `limbic-train`: parse, look at the surroundings, call one function, say what went wrong.
//!
//! The edge of the trainer: clock, environment, standard streams and the exit status live here.

use std::io::{IsTerminal, Write, stderr, stdin, stdout};
use std::path::Path;
use std::process::{Command as Process, ExitCode};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Parser;
use limbic::backend;
use limbic::bundle::{self, Bundle};
use limbic::train::args::{AssembleArgs, Command, FitArgs, SourceArgs, TrainArgs};
use limbic::train::base::HubOptions;
use limbic::train::command::{self, Edge};
use limbic::train::recipe::Recipe;
use limbic::train::tracking::TrackingEnvironment;
use limbic::train::{self, Progress, Surroundings, TrainError};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let outcome = match TrainArgs::parse().command {
        Command::Fit(args) => fit(args),
        Command::Assemble(args) => assemble(args),
        Command::Inspect { bundle } => inspect(&bundle),
        Command::Evaluate(args) => command(|edge| command::evaluate(&args, edge)),
        Command::Compare(args) => command(|edge| command::compare(&args, edge)),
        Command::Predict(args) => command(|edge| command::predict(&args, edge)),
        Command::Report { run } => report(&run),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(stderr(), "limbic-train: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn fit(args: FitArgs) -> Result<()> {
    let mut recipe = Recipe::load(&args.recipe, &args.set)?;
    if let Some(times) = args.repeats {
        recipe = recipe.repeated(times);
    }
    recipe.tracking.tensorboard |= args.tensorboard;
    recipe.tracking.mlflow |= args.mlflow;
    let run = args.run.unwrap_or_else(|| Path::new("runs").join(&recipe.bundle.name));
    around(&run, args.recipe.parent().unwrap_or(Path::new(".")), args.sources, |around| match args.fold {
        Some(fold) => train::fit_fold(&recipe, fold, around, &mut stdout().lock()),
        None => train::run(&recipe, around, &mut stdout().lock()).map(drop),
    })
}

fn assemble(args: AssembleArgs) -> Result<()> {
    let folder = args.recipe_folder.unwrap_or_else(|| args.run.clone());
    around(&args.run, &folder, args.sources, |around| train::assemble(around, &mut stdout().lock()).map(drop))
}

/// Looks at the surroundings and does `what` in them.
fn around(
    run: &Path,
    recipe_folder: &Path,
    sources: SourceArgs,
    what: impl FnOnce(&Surroundings<'_>) -> Result<(), TrainError>,
) -> Result<()> {
    let current = std::env::current_dir().context("the current folder")?;
    let library = backend::find_library(sources.ort_library.as_deref(), std::slice::from_ref(&current))?;
    let around = Surroundings {
        current: &current,
        recipe_folder,
        run: &current.join(run),
        hub: HubOptions { cache: sources.hub_cache, endpoint: sources.hub_endpoint, token: sources.hub_token },
        onnxruntime: &library,
        git: commit(),
        tracking: TrackingEnvironment::read(variable),
        clock: &since_1970,
        progress: if stderr().is_terminal() { Progress::Bar } else { Progress::Lines },
        interrupt: &|_, _| false,
    };
    Ok(what(&around)?)
}

fn inspect(path: &Path) -> Result<()> {
    let card = bundle::render(&Bundle::open(path)?);
    stdout().write_all(card.as_bytes()).context("standard output")
}

fn report(run: &Path) -> Result<()> {
    let page = train::draw_run(run)?;
    writeln!(stdout(), "report in {}", page.display()).context("standard output")
}

/// Runs a command that lives below the edge, on the standard streams.
fn command(run: impl FnOnce(&mut Edge<'_>) -> Result<(), TrainError>) -> Result<()> {
    let current = std::env::current_dir().context("the current folder")?;
    let (mut input, mut out, mut err) = (stdin().lock(), stdout().lock(), stderr().lock());
    Ok(run(&mut Edge { current: &current, input: &mut input, out: &mut out, err: &mut err })?)
}

/// The commit of the working tree, with a mark when it holds changes; none outside a repository.
fn commit() -> Option<String> {
    let output = Process::new("git").args(["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the binary: the environment is read here")]
    let value = std::env::var(name);
    value.ok()
}

fn since_1970() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "this is the binary: the one clock")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}
