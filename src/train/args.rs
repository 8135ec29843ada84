//! The command line of `limbic-train`, as typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::data::DataFormat;
use crate::backend::EngineKind;

/// Trains, inspects and evaluates bundles.
#[derive(Debug, Parser)]
#[command(name = "limbic-train", version)]
pub struct TrainArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a recipe: cross-validate, calibrate, refit, write the bundle.
    Fit(FitArgs),
    /// Print a bundle's card.
    Inspect {
        /// The bundle's folder.
        bundle: PathBuf,
    },
    /// Measure a bundle on labelled text.
    Evaluate(EvaluateArgs),
}

/// `limbic-train fit`.
#[derive(Debug, Args)]
pub struct FitArgs {
    /// The recipe, a TOML file.
    pub recipe: PathBuf,
    /// Put another value into the recipe, for example `--set train.epochs=4`; may be given often.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The run's folder: checkpoints, folds, report. A stopped run continues from it. By default
    /// `runs/` and the model's name.
    #[arg(long)]
    pub run: Option<PathBuf>,
    /// Run so many times in all, under the recipe's training seed and those that follow it, for the
    /// mean and deviation of every figure; takes the place of the recipe's `repeat.seeds`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    pub repeats: Option<u64>,
    /// Where base models from a hub are kept.
    #[arg(long, env = "HF_HUB_CACHE", default_value = ".cache/hub")]
    pub hub_cache: PathBuf,
    /// The hub that base models come from.
    #[arg(long, env = "HF_ENDPOINT")]
    pub hub_endpoint: Option<String>,
    /// A token for private or gated base models.
    #[arg(long, env = "HF_TOKEN", hide_env_values = true)]
    pub hub_token: Option<String>,
    /// ONNX Runtime's shared library; by default the one that `scripts/setup` fetched.
    #[arg(long, env = "ORT_DYLIB_PATH")]
    pub ort_library: Option<PathBuf>,
}

/// `limbic-train evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// The bundle's folder.
    pub bundle: PathBuf,
    /// The labelled file.
    pub data: PathBuf,
    /// The file's format: ec_tsv, ec_csv, goemotions or jsonl.
    #[arg(long)]
    pub format: DataFormat,
    /// The engine to compute with: onnx or candle.
    #[arg(long, default_value = "candle")]
    pub engine: EngineKind,
    /// Resamples for the intervals.
    #[arg(long, default_value_t = 1000)]
    pub resamples: usize,
    /// Seed of the resamples.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// ONNX Runtime's shared library; by default the one that `scripts/setup` fetched.
    #[arg(long, env = "ORT_DYLIB_PATH")]
    pub ort_library: Option<PathBuf>,
}
