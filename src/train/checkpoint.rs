//! A fit's place on disk: enough to go on as if it had never stopped.
//!
//! Tensors of a checkpoint lie in a folder named after their step; `position.json` names the
//! folder and is renamed into place last. So a kill at any moment leaves one whole checkpoint, the
//! new one or the one before.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::schedule::Plateau;
use super::{TrainError, files};

/// What a fit remembers beside its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Position {
    /// Optimiser steps done.
    pub(super) step: u64,
    /// The phase, from zero.
    pub(super) phase: usize,
    /// Steps done when it began.
    pub(super) begun: u64,
    /// How each phase after the first began.
    pub(super) phases: Vec<String>,
    /// Evaluations so far, oldest first.
    pub(super) evaluations: Vec<Evaluation>,
    /// Step and score of the best evaluation.
    pub(super) best: Option<Best>,
    /// Evaluations since the last that counts as an improvement.
    pub(super) without_gain: usize,
    /// Whether early stopping has ended the phase.
    pub(super) stopped: bool,
    /// The schedule's memory.
    pub(super) plateau: Plateau,
    /// What was noticed.
    pub(super) warnings: Vec<String>,
}

/// The best evaluation so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Optimiser steps done then.
    pub step: u64,
    /// The selection score, higher is better.
    pub score: f64,
}

/// One look at the held-out rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Optimiser steps done.
    pub step: u64,
    /// The weighted loss, dropout off.
    pub loss: f64,
    /// Macro-F1 at 0.5, uncalibrated.
    pub macro_f1: f64,
}

/// A file of tensors: its name and its bytes.
pub(super) type Part = (&'static str, Vec<u8>);

/// The checkpoints of one fit, at most one at a time.
pub(super) struct Checkpoints {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pointer {
    folder: String,
    position: Position,
}

impl Checkpoints {
    /// Below the fit's folder.
    pub(super) fn new(fit: &Path) -> Self {
        Self { folder: fit.join("checkpoint") }
    }

    /// Writes a checkpoint and removes the one before.
    pub(super) fn save(&self, position: &Position, parts: &[Part]) -> Result<(), TrainError> {
        let name = format!("step-{}", position.step);
        let folder = self.folder.join(&name);
        files::folder(&folder)?;
        for (file, bytes) in parts {
            files::write(&folder.join(file), bytes)?;
        }
        files::write_json(&self.pointer(), &Pointer { folder: name.clone(), position: position.clone() })?;
        let entries = fs::read_dir(&self.folder).map_err(files::failed(&self.folder, "list"))?;
        for entry in entries.flatten().filter(|entry| entry.path().is_dir() && entry.file_name() != name.as_str()) {
            fs::remove_dir_all(entry.path()).map_err(files::failed(&entry.path(), "remove"))?;
        }
        Ok(())
    }

    /// The last whole checkpoint, if there is one: its position and the folder of its tensors.
    pub(super) fn load(&self) -> Result<Option<(Position, PathBuf)>, TrainError> {
        let pointer: Option<Pointer> = files::read_json(&self.pointer())?;
        Ok(pointer.map(|pointer| (pointer.position, self.folder.join(pointer.folder))))
    }

    /// Removes everything: the fit is done and its outcome written.
    pub(super) fn clear(&self) -> Result<(), TrainError> {
        if self.folder.exists() { fs::remove_dir_all(&self.folder).map_err(files::failed(&self.folder, "remove")) } else { Ok(()) }
    }

    fn pointer(&self) -> PathBuf {
        self.folder.join("position.json")
    }
}
