//! From a bundle's folder to a version that serves: opened, verified, warmed, its engine started.
//! Nothing of it can be asked before all of that went well.

use std::path::Path;
use std::sync::Arc;

use super::names::is_plain;
use super::served::Served;
use crate::backend::Backend;
use crate::serve::boot::ServeError;
use crate::serve::clock;
use crate::serve::config::Settings;
use crate::serve::engine::{BackendFactory, Crew, Engine, EnginePlan};
use crate::serve::model::ServedModel;
use crate::serve::telemetry::{Load, Telemetry};

/// A model with its backends, one for each worker, verified and warm.
pub struct Opened {
    /// What routes need of it.
    pub model: ServedModel,
    /// One for each worker.
    pub backends: Vec<Box<dyn Backend>>,
    /// Makes another, for a worker whose own one panicked.
    pub factory: BackendFactory,
}

/// Opens the bundle in a folder.
pub type Opener = Arc<dyn Fn(&Path) -> Result<Opened, ServeError> + Send + Sync>;

/// What every load needs, whatever is loaded.
pub(crate) struct Loader {
    pub(crate) opener: Opener,
    pub(crate) settings: Settings,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) crew: Crew,
}

impl Loader {
    /// Blocks for as long as opening takes: not for an async worker.
    ///
    /// # Errors
    /// [`ServeError`]; nothing is left running.
    pub(super) fn load(&self, folder: &Path) -> Result<Arc<Served>, ServeError> {
        let loaded = self.try_load(folder);
        self.telemetry.loaded(if loaded.is_ok() { Load::Loaded } else { Load::Refused });
        loaded
    }

    fn try_load(&self, folder: &Path) -> Result<Arc<Served>, ServeError> {
        let started = clock::now();
        let Opened { model, backends, factory } = (self.opener)(folder)?;
        for (member, word) in [("name", &model.name), ("version", &model.version)] {
            if !is_plain(word) {
                return Err(ServeError::Name { folder: folder.to_owned(), member, found: word.clone() });
            }
        }
        let plan = EnginePlan {
            queue: self.settings.queue,
            batch_tokens: self.settings.batch_tokens,
            cache_bytes: self.settings.cache_bytes,
            crew: self.crew.clone(),
            factory,
        };
        let engine = Engine::start(backends, plan, Arc::clone(&self.telemetry)).map_err(ServeError::Worker)?;
        let took = clock::now().saturating_duration_since(started);
        Ok(Arc::new(Served::new(model, engine, &self.telemetry, (folder, took))))
    }
}
