//! From a configuration to something that can serve: open, verify, warm. Every failure is one
//! error that says what and where, before a request could meet it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::clock;
use super::config::{ServeConfig, Settings};
use super::engine::{BackendFactory, Engine, EnginePlan};
use super::model::ServedModel;
use super::telemetry::{ModelInfo, Telemetry};
use crate::backend::{self, Backend, BackendError};
use crate::bundle::{Bundle, BundleError};
use crate::text::{Batch, Encoding, TextError};

/// Lengths in tokens that a new session is warmed with: engines lay out memory at first sight of
/// a shape.
const WARM_LENGTHS: [usize; 4] = [8, 16, 32, 64];
/// An id that every vocabulary has.
const WARM_ID: u32 = 0;

/// Why the server did not start, or did not stop cleanly.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The bundle is missing, damaged, or not what this version reads.
    #[error("the bundle cannot be opened")]
    Bundle(#[from] BundleError),
    /// The engine cannot be had, or does not give the bundle's golden answers.
    #[error("the engine cannot serve the bundle")]
    Engine(#[from] BackendError),
    /// The texts that warm the engine could not be laid out.
    #[error("the engine cannot be warmed")]
    Warm(#[from] TextError),
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
    /// Opens the bundle, proves the engine on its golden answers, opens one session a worker and
    /// warms each.
    ///
    /// # Errors
    /// [`ServeError`] naming what is missing or wrong.
    pub fn open(config: &ServeConfig) -> Result<Self, ServeError> {
        let started = clock::now();
        let bundle = Arc::new(Bundle::open(&config.bundle)?);
        let model = ServedModel::of(&bundle);
        let (kind, options) = (config.engine.kind, config.engine.options.clone());
        let owned = Arc::clone(&bundle);
        let factory: BackendFactory = Arc::new(move || backend::open(kind, &owned, &options));
        let mut backends = Vec::new();
        for _ in 0..config.engine.workers.get() {
            let mut backend = factory()?;
            if backends.is_empty() {
                let report = backend::check_golden(&mut *backend, &bundle)?;
                tracing::info!(texts = report.texts, difference = report.max_abs_logit_difference, "the golden answers hold");
            }
            warm(&mut *backend, model.encoder.max_length())?;
            backends.push(backend);
        }
        let load = clock::now().saturating_duration_since(started);
        Self::new(model, backends, factory, config.settings, load)
    }

    /// One line about what is served: model, version, digest, engine, precision.
    #[must_use]
    pub fn summary(&self) -> String {
        let ServedModel { name, version, digest, precision, .. } = &*self.model;
        format!("model {name} version {version} digest {digest} engine {} precision {precision}", self.engine.name())
    }

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

fn warm(backend: &mut dyn Backend, max_length: usize) -> Result<(), ServeError> {
    for length in WARM_LENGTHS {
        let encoding = Encoding::new(vec![WARM_ID; length.min(max_length)], false)?;
        backend.forward(&Batch::new([&encoding, &encoding])?)?;
    }
    Ok(())
}
