//! Where else a run's figures go, beside `metrics.jsonl`: event files for TensorBoard, an MLflow
//! server. Each sink is one file here, behind `Tracker`; the journal tells them what it is told.
//!
//! Tracking never decides anything: no figure, weight or hash of a run depends on it. A server that is
//! slow, gone or refuses is spoken of once, and training goes on without waiting.

mod client;
mod events;
mod mlflow;
mod outbox;
mod parameters;
mod secret;
mod tensorboard;

use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

pub use events::EventFile;
pub use mlflow::Pace;
pub use secret::Secret;

use super::TrainError;
use super::recipe::Recipe;
use mlflow::Mlflow;
use tensorboard::TensorBoard;

/// Figures of one step of one phase.
pub(super) struct Point<'a> {
    /// A fit, as the journal names it, or a set of rows that was measured.
    pub(super) phase: &'a str,
    /// From zero, within the phase.
    pub(super) step: u64,
    /// Since 1970.
    pub(super) time: Duration,
    pub(super) values: &'a [(String, f64)],
}

/// How a run ended, and what it leaves to be kept.
pub(super) enum Ending {
    /// With a report, in these files.
    Finished(Vec<PathBuf>),
    /// Asked to stop; it will be continued.
    Stopped,
    /// With an error.
    Failed,
}

/// A place that figures go to.
pub(super) trait Tracker {
    /// A phase begins, or continues after `done` steps: what was said of later ones is void.
    fn begin(&mut self, phase: &str, done: u64, time: Duration) -> Result<(), TrainError>;
    /// Takes figures; returns at once.
    fn record(&mut self, point: &Point<'_>) -> Result<(), TrainError>;
    /// The run is over. Returns within a bounded time.
    fn close(&mut self, ending: &Ending, time: Duration) -> Result<(), TrainError>;
    /// What a person should be told, each thing once.
    fn complaint(&mut self) -> Option<String>;
}

/// Why tracking could not begin. Nothing here says an address or a credential.
#[derive(Debug, Error)]
pub enum TrackingError {
    /// No server is named.
    #[error("tracking.mlflow is true: expected the server's address in MLFLOW_TRACKING_URI, found none")]
    NoServer,
    /// The address is none.
    #[error("MLFLOW_TRACKING_URI: expected http:// or https:// and a host, found another form")]
    Address,
    /// The address holds a name or a password.
    #[error("MLFLOW_TRACKING_URI: expected no @, found one; MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD are for credentials")]
    Userinfo,
    /// One without the other.
    #[error("MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD: expected both or neither, found one")]
    HalfOfAPair,
}

/// What the environment says of tracking, under the names that MLflow's own clients read.
#[derive(Debug, Clone, Default)]
pub struct TrackingEnvironment {
    /// `MLFLOW_TRACKING_URI`: the server's address.
    pub uri: Option<Secret>,
    /// `MLFLOW_TRACKING_USERNAME`, with a password.
    pub username: Option<Secret>,
    /// `MLFLOW_TRACKING_PASSWORD`, with a name.
    pub password: Option<Secret>,
    /// `MLFLOW_TRACKING_TOKEN`, used when there is no name.
    pub token: Option<Secret>,
    /// `MLFLOW_EXPERIMENT_NAME`; the recipe's `bundle.name` when absent.
    pub experiment: Option<String>,
    /// How fast figures are sent.
    pub pace: Pace,
}

impl TrackingEnvironment {
    /// Asks `variable` for each name; an empty value counts as none.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let secret = |name: &str| given(name).map(Secret::new);
        Self {
            uri: secret("MLFLOW_TRACKING_URI"),
            username: secret("MLFLOW_TRACKING_USERNAME"),
            password: secret("MLFLOW_TRACKING_PASSWORD"),
            token: secret("MLFLOW_TRACKING_TOKEN"),
            experiment: given("MLFLOW_EXPERIMENT_NAME"),
            pace: Pace::default(),
        }
    }
}

/// The sinks that the recipe's `[tracking]` asks for. `time` is since 1970.
pub(super) fn open(
    recipe: &Recipe,
    environment: &TrackingEnvironment,
    run: &Path,
    time: Duration,
) -> Result<Vec<Box<dyn Tracker>>, TrackingError> {
    let mut trackers: Vec<Box<dyn Tracker>> = Vec::new();
    if recipe.tracking.tensorboard {
        trackers.push(Box::new(TensorBoard::new(run)));
    }
    if recipe.tracking.mlflow {
        trackers.push(Box::new(Mlflow::start(recipe, environment, run, time)?));
    }
    Ok(trackers)
}
