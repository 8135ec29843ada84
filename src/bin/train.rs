//! `limbic-train`: parse, look at the surroundings, call one function, say what went wrong.
//!
//! The edge of the trainer: clock, environment, standard streams and the exit status live here.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Parser;
use limbic::backend::{self, EngineKind, Options};
use limbic::bundle::{self, Bundle};
use limbic::train::args::{Command, EvaluateArgs, FitArgs, TrainArgs};
use limbic::train::base::HubOptions;
use limbic::train::recipe::Recipe;
use limbic::train::{self, Progress, Resampling, Surroundings};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let outcome = match TrainArgs::parse().command {
        Command::Fit(args) => fit(args),
        Command::Inspect { bundle } => inspect(&bundle),
        Command::Evaluate(args) => evaluate(&args),
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
    let recipe = Recipe::load(&args.recipe, &args.set)?;
    let recipe = match args.repeats {
        Some(times) => recipe.repeated(times),
        None => recipe,
    };
    let current = std::env::current_dir().context("the current folder")?;
    let library = backend::find_library(args.ort_library.as_deref(), std::slice::from_ref(&current))?;
    let run = args.run.unwrap_or_else(|| Path::new("runs").join(&recipe.bundle.name));
    let around = Surroundings {
        current: &current,
        recipe_folder: args.recipe.parent().unwrap_or(&current),
        run: &current.join(run),
        hub: HubOptions { cache: args.hub_cache, endpoint: args.hub_endpoint, token: args.hub_token },
        onnxruntime: &library,
        git: commit(),
        clock: &since_1970,
        progress: if stderr().is_terminal() { Progress::Bar } else { Progress::Lines },
        interrupt: &|_, _| false,
    };
    train::run(&recipe, &around, &mut stdout().lock())?;
    Ok(())
}

fn inspect(path: &Path) -> Result<()> {
    let card = bundle::render(&Bundle::open(path)?);
    stdout().write_all(card.as_bytes()).context("standard output")
}

fn evaluate(args: &EvaluateArgs) -> Result<()> {
    let bundle = Bundle::open(&args.bundle)?;
    let library = match args.engine {
        EngineKind::Onnx => Some(library(args.ort_library.as_deref())?),
        EngineKind::Candle => None,
    };
    let mut engine = backend::open(args.engine, &bundle, &Options { library, ..Options::default() })?;
    let resampling = Resampling { resamples: args.resamples, seed: args.seed, ..Resampling::default() };
    let set = train::evaluate(&bundle, engine.as_mut(), &args.data, args.format, resampling)?;
    stdout().write_all(train::table(&bundle, &set).as_bytes()).context("standard output")
}

fn library(named: Option<&Path>) -> Result<PathBuf> {
    let current = std::env::current_dir().context("the current folder")?;
    Ok(backend::find_library(named, &[current])?)
}

/// The commit of the working tree, with a mark when it holds changes; none outside a repository.
fn commit() -> Option<String> {
    let output = Process::new("git").args(["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn since_1970() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "this is the binary: the one clock")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}
