//! The command line of `limbic-train`, as typed.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};

use super::data::DataFormat;
use super::outcome::Kind;
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
    /// Join the folds that `fit --fold` fitted one by one: calibrate, refit, write the bundle.
    Assemble(AssembleArgs),
    /// Print a bundle's card.
    Inspect {
        /// The bundle's folder.
        bundle: PathBuf,
    },
    /// Measure a bundle on labelled text.
    Evaluate(EvaluateArgs),
    /// Compare finished runs, or evaluations, on the rows they share.
    Compare(CompareArgs),
    /// Label texts, and write a submission.
    Predict(PredictArgs),
    /// Draw a finished run's report again.
    Report {
        /// The run's folder.
        run: PathBuf,
    },
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
    /// Fit this fold alone, counted from zero, leave its outcome in the run's folder, and stop: the unit
    /// of a run on many machines, which `assemble` joins. Kubernetes sets the variable in the pods of
    /// an Indexed Job.
    #[arg(long, value_name = "K", env = "JOB_COMPLETION_INDEX")]
    pub fold: Option<usize>,
    /// Also write event files for TensorBoard, into the run's folder; as `--set tracking.tensorboard=true`.
    #[arg(long)]
    pub tensorboard: bool,
    /// Also send figures to the MLflow server that MLFLOW_TRACKING_URI names; as `--set
    /// tracking.mlflow=true`. Credentials are read from the environment alone.
    #[arg(long)]
    pub mlflow: bool,
    /// Where files come from.
    #[command(flatten)]
    pub sources: SourceArgs,
}

/// `limbic-train assemble`.
#[derive(Debug, Args)]
pub struct AssembleArgs {
    /// The run's folder, with the folders of all its folds.
    pub run: PathBuf,
    /// Where the recipe stood: its relative paths are looked for from the current folder, then from here.
    #[arg(long, value_name = "DIR")]
    pub recipe_folder: Option<PathBuf>,
    /// Where files come from.
    #[command(flatten)]
    pub sources: SourceArgs,
}

/// Where base models and the engine's library come from.
#[derive(Debug, Args)]
pub struct SourceArgs {
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
    /// The file's format: ec_tsv, ec_csv, goemotions, xed, xed_neutral, brighter_csv or jsonl.
    #[arg(long)]
    pub format: DataFormat,
    /// Write the figures into this folder too: JSON, Markdown, a CSV of the labels, every row, and a page with plots.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// What computes.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// How intervals are drawn.
    #[command(flatten)]
    pub resampling: ResamplingArgs,
}

/// `limbic-train compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Folders of finished runs, or of `evaluate --report`.
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Which rows of the runs: out_of_fold or held_out.
    #[arg(long, default_value = "out_of_fold")]
    pub rows: RunRows,
    /// The figure that ranks them.
    #[arg(long, value_name = "FIGURE", default_value = "macro_f1")]
    pub by: String,
    /// Print the figures beside each other where they cannot be ranked.
    #[arg(long)]
    pub unranked: bool,
    /// Write the comparison into this folder too: JSON, Markdown, and a page with plots.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// How intervals are drawn.
    #[command(flatten)]
    pub resampling: ResamplingArgs,
}

/// `limbic-train predict`.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// The bundle's folder.
    pub bundle: PathBuf,
    /// The file of ids and texts; `-` for standard input.
    pub input: PathBuf,
    /// The file to write; one that stands there is replaced once the new one is whole.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// The input's format: csv (with --id-column and --text-column), ec_tsv, ec_csv, goemotions,
    /// xed, xed_neutral, brighter_csv or jsonl. Labels are not needed: `NONE`, or none at all in jsonl.
    #[arg(long)]
    pub format: PredictFormat,
    /// The column of ids, for csv.
    #[arg(long, value_name = "NAME")]
    pub id_column: Option<String>,
    /// The column of texts, for csv.
    #[arg(long, value_name = "NAME")]
    pub text_column: Option<String>,
    /// Write calibrated probabilities: instead of 0 and 1, or beside the labels with --jsonl.
    #[arg(long)]
    pub scores: bool,
    /// Write JSON, one object a line.
    #[arg(long)]
    pub jsonl: bool,
    /// A sample submission that the file must match in header, ids and their order.
    #[arg(long, value_name = "FILE")]
    pub sample: Option<PathBuf>,
    /// What computes.
    #[command(flatten)]
    pub engine: EngineArgs,
}

/// What computes.
#[derive(Debug, Args)]
pub struct EngineArgs {
    /// The engine to compute with: onnx or candle.
    #[arg(long, default_value = "candle")]
    pub engine: EngineKind,
    /// ONNX Runtime's shared library; by default the one that `scripts/setup` fetched.
    #[arg(long, env = "ORT_DYLIB_PATH")]
    pub ort_library: Option<PathBuf>,
}

/// How intervals are drawn.
#[derive(Debug, Clone, Copy, Args)]
pub struct ResamplingArgs {
    /// Resamples for the intervals.
    #[arg(long, default_value_t = 1000)]
    pub resamples: usize,
    /// Seed of the resamples.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
}

/// Which rows of a run are compared.
#[derive(Debug, Clone, Copy)]
pub struct RunRows(pub Kind);

impl FromStr for RunRows {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let kinds = [Kind::OutOfFold, Kind::HeldOut];
        let known = kinds.into_iter().find(|kind| kind.name() == name);
        known.map(Self).ok_or_else(|| format!("expected out_of_fold or held_out, found {name}"))
    }
}

/// Layouts that `predict` reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PredictFormat {
    /// Two named columns among others.
    Csv,
    /// A format of labelled data, whose labels are passed over.
    Labelled(DataFormat),
}

impl FromStr for PredictFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == "csv" {
            Ok(Self::Csv)
        } else {
            name.parse().map(Self::Labelled).map_err(|error: String| error.replacen("expected ", "expected csv, ", 1))
        }
    }
}
