//! What can stop a training run.

use std::path::PathBuf;

use thiserror::Error;

use super::base::BaseError;
use super::data::DataError;
use super::recipe::RecipeError;
use super::schedule::ScheduleError;
use super::split::SplitError;
use super::tracking::TrackingError;
use crate::backend::BackendError;
use crate::bundle::{BundleError, WeightsError};
use crate::decide::DecideError;
use crate::export::{ExportError, VerifyError};
use crate::generate::GenerateError;
use crate::metrics::MetricsError;
use crate::model::ConfigError;
use crate::nn::NnError;
use crate::spec::SpecError;
use crate::text::TextError;

/// Why a run did not end with a bundle.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A data file.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The folds.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// The learning rate.
    #[error("{key}: {source}")]
    Schedule {
        /// The recipe's section.
        key: String,
        /// What is wrong with it.
        source: ScheduleError,
    },
    /// The base model's place.
    #[error("model.base: {0}")]
    Base(#[from] BaseError),
    /// A recipe and a base model that do not fit.
    #[error("{what}: expected at most {expected}, which is what the base model has room for, found {found}")]
    Fit {
        /// What was counted.
        what: String,
        /// The most there may be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The base model's configuration.
    #[error("{}: {source}", path.display())]
    Config {
        /// `config.json`.
        path: PathBuf,
        /// What is wrong with it.
        source: ConfigError,
    },
    /// The base model's tokenizer, or a text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The base model's weights, or a step.
    #[error("{what}: {source}")]
    Network {
        /// What was being done.
        what: String,
        /// What the network room said.
        source: NnError,
    },
    /// A file of the run folder or the base model.
    #[error("{}: cannot {action}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Read, write or the like.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the run folder that is not what this version wrote.
    #[error("{}: expected {expected}, found {found}", path.display())]
    RunFolder {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: String,
        /// What it holds.
        found: String,
    },
    /// An argument that does not go with the others, or that names nothing.
    #[error("{name}: expected {expected}, found {found}")]
    Argument {
        /// As typed.
        name: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Predictions that are not what they should be, found before they were put in their place.
    #[error("{}:{line}: expected {expected}, found {found}; nothing was written", path.display())]
    Submission {
        /// The file they were to be.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What it should hold.
        expected: String,
        /// What it holds.
        found: String,
    },
    /// Runs that were not measured alike.
    #[error("these cannot be ranked: {differs}; --unranked prints their figures beside each other")]
    NotComparable {
        /// What differs, and who has what.
        differs: String,
    },
    /// Parts of judged rows that do not belong together.
    #[error("judged rows: expected {expected} {what}, found {found}")]
    Scored {
        /// What was counted.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A plot that could not be drawn.
    #[error("plot {plot}: {reason}")]
    Plot {
        /// Its name or title.
        plot: String,
        /// What the drawing library said.
        reason: String,
    },
    /// Training ran away.
    #[error("{phase}, step {step}: the loss is {loss}; the batch holds {ids}; lower optimizer.lr, or look at these rows")]
    NotFinite {
        /// Which fit.
        phase: String,
        /// Optimiser step, from zero.
        step: u64,
        /// NaN or infinity.
        loss: f64,
        /// Ids of the rows in the batch.
        ids: String,
    },
    /// The loss in use is not the recipe's.
    #[error("{phase}: the loss in use is {found}, the recipe's gives {expected}; this is a bug")]
    Weighting {
        /// Which fit.
        phase: String,
        /// Computed plainly from the recipe.
        expected: f64,
        /// What the step computed.
        found: f64,
    },
    /// The places that figures go to.
    #[error(transparent)]
    Tracking(#[from] TrackingError),
    /// A further data set of which nothing may be learnt.
    #[error("{purpose}: no row of {set} is left, {dropped} have texts that stand in the run's own files")]
    NothingLeft {
        /// The set's name.
        set: String,
        /// What it is for.
        purpose: String,
        /// Rows left out.
        dropped: usize,
    },
    /// A base that was fitted on the run's own rows.
    #[error("model.base: {base} was fitted on the rows of {file}; nothing measured on them would be held out: expected another base")]
    KnownRows {
        /// Its name and id.
        base: String,
        /// The recipe's name of the file.
        file: &'static str,
    },
    /// A teacher's base model that reads other token ids than the student.
    #[error("distil.bases: {base} has another tokenizer than model.base; expected a byte-equal tokenizer.json")]
    TeacherTokenizer {
        /// As the recipe has it.
        base: String,
    },
    /// A tokenizer that cannot hide a token.
    #[error("stages.kind is masked_lm: expected a tokenizer with [MASK] or <mask>, found neither")]
    NoMask,
    /// A language model that could not answer.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// An adapter that became another model when it was merged into its base.
    #[error("the merged adapter: expected logits within {tolerance:e} of those of base and adapter, found a difference of {found:e}")]
    Merge {
        /// The most that was allowed.
        tolerance: f64,
        /// The largest absolute difference.
        found: f64,
    },
    /// Labels of a further data set.
    #[error(transparent)]
    Labels(#[from] SpecError),
    /// The caller asked to stop, as a kill would.
    #[error("{phase}: interrupted after step {step}; the same command continues from the last checkpoint")]
    Interrupted {
        /// Which fit.
        phase: String,
        /// Steps done.
        step: u64,
    },
    /// Logits or probabilities.
    #[error(transparent)]
    Decide(#[from] DecideError),
    /// Figures.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The weights to be shipped.
    #[error("weights: {0}")]
    Weights(#[from] WeightsError),
    /// The graph.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The engines are not equal.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// An engine.
    #[error(transparent)]
    Backend(#[from] BackendError),
}
