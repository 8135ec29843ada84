//! One version of a model with its engine running. A request holds it for as long as it needs it;
//! when it was swapped out and the last request is done, dropping it lets its workers go.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::shadow::Shadow;
use crate::decide::Prediction;
use crate::serve::clock;
use crate::serve::engine::Engine;
use crate::serve::model::ServedModel;
use crate::serve::telemetry::{LabelsInfo, ModelInfo, ScoredTexts, Telemetry};

/// See the module.
pub(crate) struct Served {
    pub(crate) model: Arc<ServedModel>,
    pub(crate) engine: Engine,
    scored: ScoredTexts,
    load: Duration,
    folder: PathBuf,
}

impl Served {
    pub(super) fn new(model: ServedModel, engine: Engine, telemetry: &Telemetry, (folder, load): (&Path, Duration)) -> Self {
        let scored = telemetry.scored(&model);
        Self { model: Arc::new(model), engine, scored, load, folder: folder.to_owned() }
    }

    /// The bundle's folder, as it was loaded from.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Counts one text by its scores, in the model's own labels.
    pub(crate) fn scored(&self, scores: &[f32]) {
        let decider = &self.model.decider;
        let Prediction { scores, labels } = decider.judge(scores, decider.thresholds());
        self.scored.count(&scores, &labels);
    }

    /// How its labels stand.
    pub(super) fn labels(&self) -> LabelsInfo {
        self.scored.info(&self.model, clock::now())
    }

    pub(crate) fn info(&self) -> ModelInfo {
        let ServedModel { name, version, digest, precision, .. } = &*self.model;
        ModelInfo {
            name: name.clone(),
            version: version.clone(),
            digest: digest.clone(),
            backend: self.engine.name(),
            precision,
            load: self.load,
        }
    }

    /// Newer than another version of its name: made later, of equal times the one of the larger
    /// digest, so that a restart decides the same.
    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        (self.model.created, &self.model.digest) > (other.model.created, &other.model.digest)
    }
}

/// The version that answers one request, from its first look to its last.
#[derive(Clone)]
pub(crate) struct Chosen {
    pub(crate) served: Arc<Served>,
    pub(crate) shadow: Option<Arc<Shadow>>,
}

impl Deref for Chosen {
    type Target = Served;

    fn deref(&self) -> &Served {
        &self.served
    }
}
