//! What a run says while it goes: a line of JSON a step in `metrics.jsonl`, a bar on a terminal,
//! plain lines elsewhere; and the same figures to whatever tracks the run.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tracking::{Ending, Point, Tracker};
use super::{TrainError, files};

const METRICS: &str = "metrics.jsonl";
/// Plain lines say where a fit stands this many times.
const LINES_A_FIT: u64 = 20;

/// Where progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A moving bar on standard error.
    Bar,
    /// Lines of text.
    Lines,
}

/// The journal of one run.
pub(super) struct Journal<'a> {
    out: &'a mut dyn Write,
    progress: Progress,
    clock: &'a dyn Fn() -> Duration,
    path: PathBuf,
    file: File,
    bar: Option<ProgressBar>,
    trackers: Vec<Box<dyn Tracker>>,
}

/// One optimiser step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepLine {
    /// Which fit: `fold-0` and so on, or `refit`.
    pub phase: String,
    /// From zero.
    pub step: u64,
    /// From zero.
    pub epoch: u64,
    /// The weighted loss of the batch.
    pub loss: f64,
    /// The learning rate of the step.
    pub lr: f64,
    /// Global norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Tokens in the batch.
    pub tokens: usize,
    /// Tokens a second, forward, backward and update.
    pub tokens_per_second: f64,
}

impl<'a> Journal<'a> {
    /// Opens `metrics.jsonl` in the run folder for appending.
    ///
    /// # Errors
    /// [`TrainError::File`].
    pub(super) fn open(
        run: &Path,
        out: &'a mut dyn Write,
        progress: Progress,
        clock: &'a dyn Fn() -> Duration,
    ) -> Result<Self, TrainError> {
        let path = run.join(METRICS);
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(files::failed(&path, "open"))?;
        Ok(Self { out, progress, clock, path, file, bar: None, trackers: Vec::new() })
    }

    /// From now on `trackers` hear what is written.
    #[must_use]
    pub(super) fn tracked_by(mut self, trackers: Vec<Box<dyn Tracker>>) -> Self {
        self.trackers = trackers;
        self
    }

    /// Time since some fixed moment.
    #[must_use]
    pub(super) fn now(&self) -> Duration {
        (self.clock)()
    }

    /// Says one line to a person. A closed output does not stop a run.
    pub(super) fn say(&mut self, text: &str) {
        let out = &mut *self.out;
        let mut write = || {
            let _ = writeln!(out, "{text}");
            let _ = out.flush();
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// A fit of `total` steps begins after `done` of them. Lines that a killed run wrote for later
    /// steps are taken out again.
    ///
    /// # Errors
    /// [`TrainError::File`].
    pub(super) fn begin(&mut self, phase: &str, done: u64, total: u64) -> Result<(), TrainError> {
        self.forget(phase, done)?;
        let time = self.now();
        self.tell(|tracker| tracker.begin(phase, done, time))?;
        if self.progress == Progress::Bar {
            let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {eta} {msg}");
            let bar = ProgressBar::new(total).with_position(done).with_prefix(phase.to_owned());
            self.bar = Some(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())));
        }
        Ok(())
    }

    /// One step was done.
    ///
    /// # Errors
    /// [`TrainError::File`].
    pub(super) fn step(&mut self, line: &StepLine, total: u64) -> Result<(), TrainError> {
        self.write(&serde_json::to_value(line).expect("a line is plain values; anything else, this is a bug"))?;
        let text = format!("loss {:.4}  lr {:.2e}  {:.0} tokens/s", line.loss, line.lr, line.tokens_per_second);
        if let Some(bar) = &self.bar {
            bar.set_position(line.step + 1);
            bar.set_message(text);
        } else if (line.step + 1).is_multiple_of((total / LINES_A_FIT).max(1)) {
            self.say(&format!("{} step {}/{total}  {text}", line.phase, line.step + 1));
        }
        Ok(())
    }

    /// The fit is over.
    pub(super) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Appends one object. Its numbers go to the trackers, when it is of a `step` of a `phase`.
    ///
    /// # Errors
    /// [`TrainError::File`].
    pub(super) fn write(&mut self, line: &Value) -> Result<(), TrainError> {
        writeln!(self.file, "{line}").map_err(files::failed(&self.path, "write"))?;
        let (Some(phase), Some(step), Some(members)) = (line["phase"].as_str(), line["step"].as_u64(), line.as_object()) else {
            return Ok(());
        };
        let named = members.iter().filter(|(name, _)| *name != "step");
        let values: Vec<(String, f64)> = named.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect();
        self.track(phase, step, &values)
    }

    /// Figures that the trackers alone are told.
    ///
    /// # Errors
    /// [`TrainError::File`].
    pub(super) fn track(&mut self, phase: &str, step: u64, values: &[(String, f64)]) -> Result<(), TrainError> {
        let point = Point { phase, step, time: self.now(), values };
        self.tell(|tracker| tracker.record(&point))
    }

    /// Takes in what another process wrote of its fits, in place of what stands here of the same ones.
    ///
    /// # Errors
    /// [`TrainError::File`].
    pub(super) fn take_in(&mut self, folder: &Path) -> Result<(), TrainError> {
        let text = files::read(&folder.join(METRICS))?;
        let text = String::from_utf8_lossy(&text);
        let phase = |line: &str| serde_json::from_str(line).ok().and_then(|line: Value| Some(line["phase"].as_str()?.to_owned()));
        let phases: BTreeSet<String> = text.lines().filter_map(phase).collect();
        phases.iter().try_for_each(|phase| self.forget(phase, 0))?;
        self.file.write_all(text.as_bytes()).map_err(files::failed(&self.path, "write"))
    }

    /// The run is over.
    ///
    /// # Errors
    /// [`TrainError::File`].
    pub(super) fn close(&mut self, ending: &Ending) -> Result<(), TrainError> {
        self.end();
        let time = self.now();
        self.tell(|tracker| tracker.close(ending, time))
    }

    fn tell(&mut self, what: impl Fn(&mut dyn Tracker) -> Result<(), TrainError>) -> Result<(), TrainError> {
        let mut complaints = Vec::new();
        for tracker in &mut self.trackers {
            what(tracker.as_mut())?;
            complaints.extend(std::iter::from_fn(|| tracker.complaint()));
        }
        complaints.iter().for_each(|text| self.say(&format!("warning: {text}")));
        Ok(())
    }

    fn forget(&mut self, phase: &str, done: u64) -> Result<(), TrainError> {
        let text = fs::read_to_string(&self.path).map_err(files::failed(&self.path, "read"))?;
        let stays = |line: &&str| {
            let parsed: Option<Value> = serde_json::from_str(line).ok();
            parsed.is_some_and(|line| line["phase"] != phase || line["step"].as_u64().is_none_or(|step| step < done))
        };
        let kept: String = text.lines().filter(stays).map(|line| format!("{line}\n")).collect();
        if kept != text {
            files::write(&self.path, kept.as_bytes())?;
            self.file = OpenOptions::new().append(true).open(&self.path).map_err(files::failed(&self.path, "open"))?;
        }
        Ok(())
    }
}
