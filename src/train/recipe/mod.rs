//! A recipe is a whole run: one TOML file, read as typed, resolved once, below which nothing is
//! unsaid.
//!
//! Every key stands in [`Recipe`]; the file may leave out those with a default. An unknown key is
//! an error that names the nearest known one. Input paths that are relative are looked for from the
//! current folder first, then from the recipe's own; `bundle.out` is relative to the current folder.
//! The resolved recipe is echoed into the run folder, can be read back, and is hashed.

mod adapting;
mod file;
mod further;
mod learning;
mod overrides;
mod phases;
mod resolve;
mod structure;
mod thresholds;
mod writing;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::data::DataFormat;
use super::distil::DistilRecipe;
use super::objective::LossRecipe;
use super::schedule::{ScheduleKind, Warmup};
use super::sets::SetRecipe;
use super::stages::StageRecipe;
use crate::decide::{CalibratorKind, ThresholdPolicy};
use crate::nn::{LoraConfig, Storage};
use crate::spec::{LabelSet, Pooling, Precision};
use crate::text::Normalization;
use file::RecipeFile;
pub use phases::{PhaseRecipe, PhaseStart};
pub use structure::{FinalFit, FoldsRecipe, Most, Split};
pub use thresholds::ThresholdRule;
pub use writing::{Asked, GenerationRecipe};

/// Why a recipe was refused.
#[derive(Debug, Error)]
pub enum RecipeError {
    /// The file could not be read.
    #[error("{}: expected a readable recipe: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not TOML, or a value of the wrong type.
    #[error("{}: {reason}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What the parser said, with line and column where it knows them.
        reason: String,
    },
    /// An override that is no `section.key=value`.
    #[error("--set {text}: expected section.key=value")]
    Override {
        /// As typed.
        text: String,
    },
    /// A key that no recipe has.
    #[error("unknown recipe key {key}; did you mean {nearest}?")]
    UnknownKey {
        /// As typed.
        key: String,
        /// The nearest key there is.
        nearest: String,
    },
    /// A section that holds a plain value.
    #[error("{key}: expected a section of keys, found a value")]
    Section {
        /// The section's name.
        key: String,
    },
    /// A key without a default that was left out.
    #[error("{key} is missing: {expected}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What it says.
        expected: &'static str,
    },
    /// A value outside its range.
    #[error("{key} is {found}: expected {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
}

/// A whole run, resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// What is fine-tuned.
    pub model: ModelRecipe,
    /// What it is fine-tuned on.
    pub data: DataRecipe,
    /// How rows are held out.
    pub folds: FoldsRecipe,
    /// Which model ships.
    pub final_fit: FinalFit,
    /// `repeat.seeds`: training seeds, beside `train.seed`, under which the run is done again for the
    /// spread of its figures; none by default.
    pub repeat: Vec<u64>,
    /// The loss.
    pub loss: LossRecipe,
    /// `AdamW`.
    pub optimizer: OptimizerRecipe,
    /// The learning rate after warm-up.
    pub schedule: ScheduleKind,
    /// Length of the warm-up.
    pub warmup: Warmup,
    /// The loop.
    pub train: TrainRecipe,
    /// Phases after the first.
    pub phases: Vec<PhaseRecipe>,
    /// Fits before the run's own, in order.
    pub stages: Vec<StageRecipe>,
    /// Data sets whose labels are learnt along with the run's own, and not shipped.
    pub multitask: Vec<SetRecipe>,
    /// Soft labels; none when left out.
    pub distil: Option<DistilRecipe>,
    /// `[adapter]`: a low-rank adapter that learns in place of the base's weights; none when left out.
    pub adapter: Option<LoraConfig>,
    /// `[quantization]`: how the base is held that an adapter leaves frozen; `none` by default.
    pub storage: Storage,
    /// `[generation]`: a model that writes its labels; none when left out.
    pub generation: Option<GenerationRecipe>,
    /// Kind of the calibrators.
    pub calibration: CalibratorKind,
    /// How thresholds are chosen.
    pub thresholds: ThresholdRule,
    /// What is shipped.
    pub bundle: BundleRecipe,
    /// Where else figures go; no hash depends on it.
    pub tracking: TrackingRecipe,
}

/// `[model]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRecipe {
    /// `base`: the path of a Hugging Face folder or of a bundle, or `hf://owner/name@revision`.
    pub base: String,
    /// `name` of the checkpoint; the last part of `base` by default. A bundle goes by its own name.
    pub name: String,
    /// `licence` of the checkpoint, an SPDX expression; `unknown` by default.
    pub licence: String,
    /// `pooling`: mean by default, and the last token where labels are written.
    pub pooling: Pooling,
    /// `max_length`: tokens, special ones included; 128 by default.
    pub max_length: usize,
}

/// `[data]`.
#[derive(Debug, Clone, PartialEq)]
pub struct DataRecipe {
    /// `description` for the bundle's card; the training file's name by default.
    pub description: String,
    /// `format` of both files.
    pub format: DataFormat,
    /// `train`: cross-validated, then refitted on whole.
    pub train: PathBuf,
    /// `dev`: evaluated and never tuned on; none when left out.
    pub dev: Option<PathBuf>,
    /// `labels` in the order they have everywhere.
    pub labels: LabelSet,
    /// `normalization`: none by default.
    pub normalization: Normalization,
    /// `rows`: only the first so many rows of the training file, for trials; all when left out.
    pub rows: Option<usize>,
}

/// `[optimizer]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimizerRecipe {
    /// `lr`: the peak learning rate.
    pub lr: f64,
    /// `head_lr`: the same for the head; `lr` by default.
    pub head_lr: f64,
    /// `layer_decay`: the learning rate of a layer, as a share of that of the layer above; 1 by
    /// default. The topmost layer has `lr`, the embeddings stand below the lowest.
    pub layer_decay: f64,
    /// `weight_decay`: decoupled; 0.01 by default.
    pub weight_decay: f64,
    /// `decay`: what it applies to.
    pub decay: DecayScope,
    /// `betas`: 0.9 and 0.999 by default.
    pub betas: [f64; 2],
    /// `eps`: 1e-8 by default.
    pub eps: f64,
    /// `clip`: global norm of the gradient; 1.0 by default, `inf` for none.
    pub clip: f64,
}

/// What weight decay applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecayScope {
    /// Matrices alone: no bias, no layer norm.
    Matrices,
    /// Every parameter.
    All,
}

/// `[train]` and `[early_stopping]`.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainRecipe {
    /// `epochs`: passes over the rows.
    pub epochs: usize,
    /// `batch`: texts a forward pass.
    pub batch: usize,
    /// `accumulation`: forward passes an optimiser step; 1 by default.
    pub accumulation: usize,
    /// `length_window`: batches among which rows are grouped by length; 1 for not at all, 8 by default.
    pub length_window: usize,
    /// `eval_every`: steps between evaluations on the held-out rows; 0, the default, for the end of each epoch.
    pub eval_every: u64,
    /// `checkpoint_every`: steps between checkpoints; 100 by default.
    pub checkpoint_every: u64,
    /// `select`: the score that early stopping, `restore = "best"` and the plateau look at.
    pub select: Selection,
    /// `restore`: which weights a fold ends with; the last by default.
    pub restore: Restore,
    /// `[early_stopping]`: off when left out.
    pub early_stopping: Option<EarlyStopping>,
    /// `seed` of fresh weights, order and dropout.
    pub seed: u64,
    /// `shards`: threads a batch is shared out to; results are equal for equal shards. 2 by default.
    pub shards: usize,
    /// `ema` or `swa`: an average of the weights over steps, which is then what is evaluated and
    /// shipped; none when left out.
    pub averaging: Averaging,
    /// `checkpointing`: of each layer only what goes in is remembered, and the rest computed again on
    /// the way back: less memory, more time, the same numbers; false by default.
    pub checkpointing: bool,
}

/// Which mean of the weights over steps is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Averaging {
    /// The last step's weights.
    None,
    /// `ema`: a mean that forgets with this decay.
    Exponential(f64),
    /// `swa`: the plain mean over this last share of the steps (Izmailov et al. 2018,
    /// arXiv:1803.05407, a model every step).
    Tail(f64),
}

/// The score that selection looks at, on the fold's held-out rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// Macro-F1 at 0.5, higher is better.
    MacroF1,
    /// The weighted loss, lower is better.
    Loss,
}

/// Which weights a fit ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restore {
    /// Those of the best evaluation. The fold's out-of-fold logits then come from weights that were
    /// chosen on the same rows, which flatters them a little; the report says so.
    Best,
    /// Those of the last step.
    Last,
}

/// When to stop before the last epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EarlyStopping {
    /// Evaluations without improvement that are borne.
    pub patience: usize,
    /// A gain up to this is no improvement.
    pub min_delta: f64,
}

/// `[bundle]`.
#[derive(Debug, Clone, PartialEq)]
pub struct BundleRecipe {
    /// `name` of the model.
    pub name: String,
    /// `version` of the model.
    pub version: String,
    /// `out`: the folder that the bundle becomes; replaced when a bundle stands there.
    pub out: PathBuf,
    /// `golden`: texts of one's own, one a line, whose answers the bundle must give again wherever it
    /// is opened.
    pub golden: PathBuf,
    /// `precision` of the stored weights.
    pub precision: Precision,
    /// `adapter`: whether the bundle holds the adapter by itself too; false by default.
    pub adapter: bool,
}

/// `[tracking]`: sinks beside `metrics.jsonl`, none by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrackingRecipe {
    /// `tensorboard`: event files in the run folder.
    pub tensorboard: bool,
    /// `mlflow`: the server that the environment names.
    pub mlflow: bool,
}

impl Recipe {
    /// Reads the file, applies `section.key=value` overrides in order, and resolves.
    ///
    /// # Errors
    /// [`RecipeError`] at the first thing that is wrong.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        let text = std::fs::read_to_string(path).map_err(|source| RecipeError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text, overrides)
    }

    /// The same from the file's text; `path` is for errors.
    ///
    /// # Errors
    /// [`RecipeError`] at the first thing that is wrong.
    pub fn parse(path: &Path, text: &str, overrides: &[String]) -> Result<Self, RecipeError> {
        let malformed = |reason: String| RecipeError::Toml { path: path.to_owned(), reason };
        let mut table: toml::Table = toml::from_str(text).map_err(|error| malformed(error.to_string()))?;
        for text in overrides {
            overrides::apply(&mut table, text)?;
        }
        overrides::check_keys(&table)?;
        let file: RecipeFile = RecipeFile::deserialize(table).map_err(|error| malformed(error.to_string()))?;
        resolve::recipe(file)
    }

    /// The recipe done `times` times in all, under `train.seed` and the seeds that follow it.
    #[must_use]
    pub fn repeated(mut self, times: u64) -> Self {
        self.repeat = (1..times).map(|more| self.train.seed.saturating_add(more)).collect();
        self
    }

    /// The resolved recipe as TOML that reads back to the same recipe.
    #[must_use]
    pub fn echo(&self) -> String {
        toml::to_string(&resolve::file(self)).expect("a recipe is plain values; anything else, this is a bug")
    }

    /// The same recipe, tracked nowhere: what a bundle states and hashes stand for.
    #[must_use]
    pub fn untracked(&self) -> Self {
        Self { tracking: TrackingRecipe::default(), ..self.clone() }
    }

    /// `sha256:` of the echo, untracked.
    #[must_use]
    pub fn hash(&self) -> String {
        digest(&self.untracked().echo())
    }

    /// `sha256:` of what decides the folds' logits: the recipe without calibration, thresholds,
    /// `final.include_dev`, repeats and the bundle's name, version, place and adapter. Finished folds can be used again
    /// while it stays.
    #[must_use]
    pub fn fitting_hash(&self) -> String {
        let mut fitting = self.untracked();
        fitting.calibration = CalibratorKind::Identity;
        fitting.thresholds = ThresholdRule::Policy(ThresholdPolicy::Fixed(0.5));
        fitting.repeat = Vec::new();
        if fitting.final_fit == FinalFit::RefitWithDev {
            fitting.final_fit = FinalFit::Refit;
        }
        let unsaid = || "-".to_owned();
        fitting.bundle = BundleRecipe {
            name: unsaid(),
            version: unsaid(),
            out: unsaid().into(),
            golden: unsaid().into(),
            precision: self.bundle.precision,
            adapter: false,
        };
        digest(&fitting.echo())
    }
}

/// Where an input path of a recipe leads: itself when absolute, else from `current`, else from the
/// recipe's folder; when it is in neither, from `current`, so that the error names that.
#[must_use]
pub fn locate(path: &Path, current: &Path, recipe_folder: &Path) -> PathBuf {
    let (near, far) = (current.join(path), recipe_folder.join(path));
    if near.exists() || !far.exists() { near } else { far }
}

fn digest(text: &str) -> String {
    format!("sha256:{:x}", Sha256::digest(text.as_bytes()))
}
