//! TensorBoard: a folder a phase under `tensorboard/` of the run folder, so that folds lie over one
//! another in its charts. `tensorboard --logdir RUN/tensorboard` shows them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::events::EventFile;
use super::{Ending, Point, Tracker};
use crate::train::{TrainError, files};

/// Writes event files.
pub(super) struct TensorBoard {
    folder: PathBuf,
    open: BTreeMap<String, EventFile>,
}

impl TensorBoard {
    pub(super) fn new(run: &Path) -> Self {
        Self { folder: run.join("tensorboard"), open: BTreeMap::new() }
    }

    /// A new file of the phase's folder. Readers take files in the order of their names.
    fn create(&self, phase: &str, time: Duration) -> Result<EventFile, TrainError> {
        let folder = self.folder.join(phase);
        files::folder(&folder)?;
        let seconds = time.as_secs();
        let name = |number: u32| folder.join(format!("events.out.tfevents.{seconds:010}.{number:04}"));
        let free = (0..).map(name).find(|path| !path.exists()).expect("a folder holds fewer files than numbers; this is a bug");
        EventFile::create(&free, time)
    }
}

impl Tracker for TensorBoard {
    fn begin(&mut self, phase: &str, done: u64, time: Duration) -> Result<(), TrainError> {
        let mut file = self.create(phase, time)?;
        file.start(done, time)?;
        self.open.insert(phase.to_owned(), file);
        Ok(())
    }

    fn record(&mut self, point: &Point<'_>) -> Result<(), TrainError> {
        if !self.open.contains_key(point.phase) {
            self.begin(point.phase, point.step, point.time)?;
        }
        match self.open.get_mut(point.phase) {
            Some(file) => file.scalars(point.step, point.time, point.values),
            None => Ok(()),
        }
    }

    fn close(&mut self, _: &Ending, _: Duration) -> Result<(), TrainError> {
        self.open.clear();
        Ok(())
    }

    fn complaint(&mut self) -> Option<String> {
        None
    }
}
