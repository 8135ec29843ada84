//! From a configuration to something that can serve: open, verify, warm. Every failure is one
//! error that says what and where, before a request could meet it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::config::Settings;
use super::engine::{BackendFactory, Engine, EnginePlan};
use super::model::ServedModel;
use super::telemetry::{ModelInfo, Telemetry};
use crate::backend::Backend;

/// Why the server did not start, or did not stop cleanly.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The socket could not be served on.
    #[error("the server cannot listen")]
    Listen(#[source] io::Error),
    /// The system refused an engine thread.
    #[error("an engine worker could not be started")]
    Worker(#[source] io::Error),
    /// The drain ended with work left.
    #[error("stopped with work left: all requests answered: {answered}, all workers gone: {joined}")]
    Unfinished {
        /// Whether every admitted request had its answer.
        answered: bool,
        /// Whether every engine thread had ended.
        joined: bool,
    },
}

/// A model with its engine running, ready for [`run`](super::run).
pub struct Service {
    pub(super) model: Arc<ServedModel>,
    pub(super) engine: Engine,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) settings: Settings,
}

impl Service {
    /// Puts a model and its backends together, one worker for each. `load` is how long it took to
    /// get them.
    ///
    /// # Errors
    /// [`ServeError::Worker`].
    pub fn new(
        model: ServedModel,
        backends: Vec<Box<dyn Backend>>,
        factory: BackendFactory,
        settings: Settings,
        load: Duration,
    ) -> Result<Self, ServeError> {
        let info = ModelInfo {
            name: &model.name,
            version: &model.version,
            digest: &model.digest,
            backend: backends.first().map_or("none", |backend| backend.name()),
            precision: model.precision,
        };
        let telemetry = Arc::new(Telemetry::new(info, model.decider.labels(), load));
        let plan = EnginePlan { queue: settings.queue, batch_tokens: settings.batch_tokens, factory };
        let engine = Engine::start(backends, plan, Arc::clone(&telemetry)).map_err(ServeError::Worker)?;
        Ok(Self { model: Arc::new(model), engine, telemetry, settings })
    }
}
