//! A folder of bundles that are none: what is in them follows from the folder's name, `NAME-VERSION`,
//! and a version is known by its scores.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use limbic::backend::BackendError;
use limbic::backend::scripted::logit;
use limbic::decide::{Calibrator, Decider, Logits, Thresholds};
use limbic::serve::model::ServedModel;
use limbic::serve::registry::Opener;
use limbic::serve::{ModelsConfig, ServeError, Service, Settings};
use limbic::spec::{Activation, LabelSet};
use serde_json::{Value, json};

use super::harness::{LABELS, Plan, Reply, Running, model};

/// The folder, and how often a bundle in it was opened.
pub struct Zoo {
    folder: tempfile::TempDir,
    opened: Arc<AtomicUsize>,
}

impl Zoo {
    /// With bundles of these names.
    pub fn of(names: &[&str]) -> Self {
        let zoo = Self { folder: tempfile::tempdir().unwrap(), opened: Arc::default() };
        names.iter().for_each(|name| zoo.add(name));
        zoo
    }

    pub fn add(&self, name: &str) {
        fs::create_dir(self.folder.path().join(name)).unwrap();
        fs::write(self.folder.path().join(name).join("bundle.json"), name).unwrap();
    }

    pub fn remove(&self, name: &str) {
        fs::remove_dir_all(self.folder.path().join(name)).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// Counts what an opener opens.
    pub fn counted(&self, opener: Opener) -> Opener {
        let opened = Arc::clone(&self.opened);
        Arc::new(move |folder| {
            opened.fetch_add(1, Ordering::SeqCst);
            opener(folder)
        })
    }

    /// A server of all of them, with an admin port.
    pub fn serve(&self, plan: Plan, default: &str) -> Running {
        self.serve_by(self.counted(plan.opener(animal)), default, None)
    }

    pub fn serve_by(&self, opener: Opener, default: &str, watch: Option<Duration>) -> Running {
        let models = ModelsConfig { bundle: None, folder: Some(self.path().into()), default: Some(default.to_owned()), watch };
        Running::start_with_admin(Service::start(opener, &models, Settings::default()).unwrap())
    }
}

/// The model of a folder. One that is called `broken-...` cannot be opened.
pub fn animal(folder: &Path) -> Result<ServedModel, ServeError> {
    let name = folder.file_name().unwrap().to_str().unwrap();
    let (name, version) = name.rsplit_once('-').unwrap();
    if name == "broken" {
        let reason = "its golden answers are others".to_owned();
        return Err(ServeError::Engine(BackendError::Model { engine: "scripted", reason }));
    }
    Ok(versioned(name, version))
}

/// A model whose scores tell its version, which is a number.
fn versioned(name: &str, version: &str) -> ServedModel {
    let number: f64 = version.parse().unwrap();
    let calibrators = vec![Calibrator::Sigmoid { a: 1.0 + number / 8.0, b: 0.0 }; LABELS.len()];
    let thresholds = Thresholds::new(vec![0.5; LABELS.len()]).unwrap();
    let decider = Decider::new(LabelSet::new(LABELS).unwrap(), Activation::Sigmoid, calibrators, thresholds).unwrap();
    ServedModel {
        name: name.to_owned(),
        version: version.to_owned(),
        digest: format!("sha256:{version:0>8}"),
        created: 1_700_000_000 + number as u64,
        card: json!({"id": name, "version": version}),
        decider,
        ..model()
    }
}

/// The version that an answer to `text` names, which must be the one that its scores tell.
#[track_caller]
pub fn version_of(reply: &Reply, text: &str) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    let answer = reply.json();
    let version = answer["model"]["version"].as_str().unwrap().to_owned();
    let expected = versioned(answer["model"]["name"].as_str().unwrap(), &version);
    assert_eq!(answer["model"]["digest"], expected.digest);
    let ids = expected.encoder.encode(text).unwrap();
    let row = (0..LABELS.len()).map(|label| logit(ids.ids(), label)).collect();
    let scores = expected.decider.probabilities(&Logits::new(LABELS.len(), row).unwrap());
    let found = LABELS.map(|label| answer["results"][0]["scores"][label].as_f64().unwrap() as f32);
    assert_eq!(found, scores.row(0), "version {version} answers with another's scores");
    version
}

/// Asks for a model by name.
pub fn ask(server: &Running, model: &str, text: &str) -> Reply {
    server.post("/v1/emotions", &json!({"input": text, "model": model}))
}

/// What `GET /admin/models` says: every version as `name@version`, a current one marked by a star.
pub fn standing(server: &Running) -> Vec<String> {
    let models = server.get_admin("/admin/models").expect(200).json();
    let version = |version: &Value| {
        let star = if version["current"] == true { "*" } else { "" };
        format!("{}@{}{star}", version["model"].as_str().unwrap(), version["version"].as_str().unwrap())
    };
    models["models"].as_array().unwrap().iter().flat_map(|line| line["versions"].as_array().unwrap()).map(version).collect()
}
