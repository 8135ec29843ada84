//! Whose a run folder is: what decides the logits of its fits.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::cross::Encoded;
use super::recipe::Recipe;
use super::stages::Further;
use super::start::Start;
use super::teacher::RunTeacher;
use super::{TrainError, files};

/// What a folder says of whose it is.
const FILE: &str = "identity.json";

/// What decides the logits of a run's fits; a folder belongs to one such thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    fitting: String,
    base: String,
    train: String,
    dev: Option<String>,
    /// Logits of the run that teaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    teacher: Option<String>,
    /// Revisions of what teachers begin with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bases: Vec<String>,
    /// Fingerprints of data beside the run's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    further: Vec<String>,
}

impl Identity {
    pub(super) fn of(recipe: &Recipe, start: &Start, train: &Encoded, dev: Option<&Encoded>) -> Self {
        Self {
            fitting: recipe.fitting_hash(),
            base: start.base.revision.clone(),
            train: train.data.fingerprint().to_owned(),
            dev: dev.map(|dev| dev.data.fingerprint().to_owned()),
            teacher: None,
            bases: Vec::new(),
            further: Vec::new(),
        }
    }

    /// The same with a run as a teacher, where there is one.
    pub(super) fn taught_by(self, teacher: Option<&RunTeacher>) -> Self {
        Self { teacher: teacher.map(|teacher| teacher.fingerprint.clone()), ..self }
    }

    /// The same with what teachers begin with.
    pub(super) fn taught_from(self, bases: &[Start]) -> Self {
        Self { bases: bases.iter().map(|start| start.base.revision.clone()).collect(), ..self }
    }

    /// The same with data beside the run's own.
    pub(super) fn beside(self, further: &Further<'_>) -> Self {
        Self { further: further.cards().into_iter().map(|set| set.sha256).collect(), ..self }
    }

    /// Takes the folder for this run, or refuses one that belongs to another.
    pub(super) fn own(&self, folder: &Path) -> Result<(), TrainError> {
        let path = folder.join(FILE);
        match files::read_json::<Self>(&path)? {
            None => files::write_json(&path, self),
            Some(found) => self.check(path, &found),
        }
    }

    /// Refuses a folder that does not say that it belongs to this run.
    pub(super) fn expect(&self, folder: &Path) -> Result<(), TrainError> {
        let path = folder.join(FILE);
        match files::read_json::<Self>(&path)? {
            Some(found) => self.check(path, &found),
            None => Err(TrainError::RunFolder { path, expected: Self::told("a file"), found: "none".to_owned() }),
        }
    }

    fn check(&self, path: PathBuf, found: &Self) -> Result<(), TrainError> {
        if self == found {
            return Ok(());
        }
        let (mut expected, mut other) = (Vec::new(), Vec::new());
        for ((name, ours), (_, theirs)) in self.members().into_iter().zip(found.members()).filter(|((_, ours), (_, theirs))| ours != theirs)
        {
            expected.push(format!("{name} {ours}"));
            other.push(format!("{name} {theirs}"));
        }
        Err(TrainError::RunFolder { path, expected: Self::told(&expected.join(", ")), found: other.join(", ") })
    }

    fn told(what: &str) -> String {
        format!("the run of this recipe, base model and data, {what}; name another folder with --run")
    }

    fn members(&self) -> [(&'static str, String); 6] {
        let one = |hash: &Option<String>| hash.clone().unwrap_or_else(|| "none".to_owned());
        [
            ("recipe", self.fitting.clone()),
            ("base", self.base.clone()),
            ("training file", self.train.clone()),
            ("held-out file", one(&self.dev)),
            ("teacher", [one(&self.teacher), self.bases.join(" ")].join(" ")),
            ("further data", self.further.join(" ")),
        ]
    }
}
