//! From a configuration to something that can serve: open, verify, warm. Every failure is one
//! error that says what and where, before a request could meet it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use super::access::{Access, AccessError};
use super::config::{EngineConfig, ModelsConfig, SafetyConfig, ServeConfig, Settings};
use super::cors::Cors;
use super::engine::{BackendFactory, Crew};
use super::model::ServedModel;
use super::registry::{Loader, ModelsFolder, Opened, Opener, Registry, Sources, Watch};
use super::telemetry::traces::{Traces, TracesError};
use super::telemetry::{ModelInfo, Telemetry};
use super::tls::{Tls, TlsError};
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
    /// Its name or version cannot be asked for.
    #[error("{}: {member} {found:?}: expected 1 to 128 of A-Z a-z 0-9 . _ - without a dot in front", folder.display())]
    Name {
        /// The bundle's folder.
        folder: PathBuf,
        /// `name` or `version`.
        member: &'static str,
        /// As the bundle says.
        found: String,
    },
    /// The folder of models cannot be listed.
    #[error("the folder of models cannot be listed")]
    Folder(#[source] io::Error),
    /// Nothing to serve.
    #[error("the folder of models holds no bundle: expected at least one folder with a bundle.json")]
    NoModel,
    /// It is not clear which model answers a request that names none.
    #[error("{}", default_is_unclear(asked.as_deref(), known))]
    Default {
        /// The name given.
        asked: Option<String>,
        /// The names there are.
        known: String,
    },
    /// The keys do not fit together.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The certificate or its key cannot be used.
    #[error("TLS cannot be served")]
    Tls(#[from] TlsError),
    /// The socket could not be served on.
    #[error("the server cannot listen")]
    Listen(#[source] io::Error),
    /// Traces cannot be told.
    #[error("traces cannot be told")]
    Traces(#[from] TracesError),
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

/// The models with their engines running, ready for [`run`](super::run).
pub struct Service {
    pub(super) registry: Arc<Registry>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) settings: Settings,
    pub(super) safety: Safety,
    /// Ends with the service.
    _watch: Option<Watch>,
}

impl Service {
    /// Opens every bundle that the configuration names: each is verified on its golden answers, gets
    /// one session a worker, and is warmed.
    ///
    /// # Errors
    /// [`ServeError`] naming what is missing or wrong.
    pub fn open(config: &ServeConfig) -> Result<Self, ServeError> {
        // Before minutes are spent on models.
        let safety = Safety::new(&config.safety, &config.settings, config.admin.is_some())?;
        let traces = config.traces.as_ref().map(Traces::start).transpose()?;
        let telemetry = traces.into_iter().fold(Telemetry::new(), Telemetry::traced);
        Ok(Self { safety, ..Self::start_telling(opener(&config.engine), &config.models, config.settings, telemetry)? })
    }

    /// The same with any way to open a bundle, and open to everybody until [`Service::guarded`].
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn start(opener: Opener, models: &ModelsConfig, settings: Settings) -> Result<Self, ServeError> {
        Self::start_telling(opener, models, settings, Telemetry::new())
    }

    /// The same with what it is to tell of itself, and where.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn start_telling(opener: Opener, models: &ModelsConfig, settings: Settings, telemetry: Telemetry) -> Result<Self, ServeError> {
        let telemetry = Arc::new(telemetry);
        let loader = Loader { opener, settings, telemetry: Arc::clone(&telemetry), crew: Crew::default() };
        let folder = models.folder.as_deref().map(ModelsFolder::open).transpose().map_err(ServeError::Folder)?;
        let sources = Sources { bundle: models.bundle.clone(), folder, default: models.default.clone() };
        let registry = Arc::new(Registry::start(loader, sources)?);
        let watch = models.watch.map(|every| Watch::start(Arc::clone(&registry), every)).transpose().map_err(ServeError::Worker)?;
        Ok(Self { registry, telemetry, settings, safety: Safety::default(), _watch: watch })
    }

    /// The same behind keys, TLS and a list of origins. `admin` says whether it will have the operator's
    /// port.
    ///
    /// # Errors
    /// [`ServeError::Access`] or [`ServeError::Tls`].
    pub fn guarded(self, config: &SafetyConfig, admin: bool) -> Result<Self, ServeError> {
        Ok(Self { safety: Safety::new(config, &self.settings, admin)?, ..self })
    }

    /// One line a version: model, version, digest, engine, precision; the default first.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        let default = self.registry.default().served.info();
        let others = self.registry.sample().models.into_iter().filter(|model| *model != default);
        let line = |ModelInfo { name, version, digest, backend, precision, .. }: &ModelInfo| {
            format!("model {name} version {version} digest {digest} engine {backend} precision {precision}")
        };
        std::iter::once(&default).chain(&others.collect::<Vec<_>>()).map(line).collect()
    }
}

/// What stands between the sockets and the routes.
#[derive(Default)]
pub(super) struct Safety {
    pub(super) access: Access,
    pub(super) cors: Cors,
    pub(super) tls: Option<Tls>,
}

impl Safety {
    fn new(config: &SafetyConfig, settings: &Settings, admin: bool) -> Result<Self, ServeError> {
        let access = Access::new(&config.access, settings.limits.texts.get(), admin)?;
        let tls = config.tls.as_ref().map(Tls::start).transpose()?;
        Ok(Self { access, cors: Cors::new(config.origins.clone()), tls })
    }
}

/// Opens bundles for one kind of engine: proves the first session on the golden answers, and opens
/// one session a worker.
fn opener(engine: &EngineConfig) -> Opener {
    let EngineConfig { kind, options, workers } = engine.clone();
    Arc::new(move |folder| {
        let bundle = Arc::new(Bundle::open(folder)?);
        let model = ServedModel::of(&bundle);
        let (owned, options) = (Arc::clone(&bundle), options.clone());
        let factory: BackendFactory = Arc::new(move || backend::open(kind, &owned, &options));
        let mut backends = Vec::new();
        for _ in 0..workers.get() {
            let mut backend = factory()?;
            if backends.is_empty() {
                let report = backend::check_golden(&mut *backend, &bundle)?;
                let difference = report.max_abs_logit_difference;
                tracing::info!(model = model.name, version = model.version, texts = report.texts, difference, "the golden answers hold");
            }
            warm(&mut *backend, model.encoder.max_length())?;
            backends.push(backend);
        }
        Ok(Opened { model, backends, factory })
    })
}

fn default_is_unclear(asked: Option<&str>, known: &str) -> String {
    match asked {
        Some(name) => format!("--default-model {name:?}: expected one of {known}"),
        None => format!("several models and no default: name one of {known} with --default-model"),
    }
}

fn warm(backend: &mut dyn Backend, max_length: usize) -> Result<(), ServeError> {
    for length in WARM_LENGTHS {
        let encoding = Encoding::new(vec![WARM_ID; length.min(max_length)], false)?;
        backend.forward(&Batch::new([&encoding, &encoding])?)?;
    }
    Ok(())
}
