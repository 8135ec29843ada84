//! `[[phases]]`: training that goes on after the first phase, which `[train]`, `[optimizer]` and
//! `[schedule]` state.

use serde::{Deserialize, Serialize};

use super::file::{PhaseFile, ScheduleFile};
use super::resolve::{Resolved, need, schedule, schedule_file, value, warmup, within};
use crate::train::schedule::{ScheduleKind, Warmup};

/// A further phase of every fit of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhaseRecipe {
    /// `start`: what it takes from the phase before.
    pub start: PhaseStart,
    /// `epochs`: further passes over the rows.
    pub epochs: usize,
    /// `lr`: the peak learning rate; that of the phase before when left out.
    pub lr: f64,
    /// `schedule`, `factor` and `patience`; those of the phase before when left out.
    pub schedule: ScheduleKind,
    /// `warmup`: none when left out.
    pub warmup: Warmup,
}

/// What a phase takes from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PhaseStart {
    /// The weights alone, the best so far under `train.restore = "best"`: a fresh optimiser, and a
    /// schedule laid out over this phase.
    Weights,
    /// Everything: the weights of the last step and the optimiser's moments. The schedule, at this
    /// phase's rate, is laid out anew over the steps before and of this phase, and entered where it
    /// then stands.
    Resume,
}

/// Each phase takes what it leaves out from the one before; `lr` and `kind` are the first's.
pub(super) fn phases(files: &[PhaseFile], mut lr: f64, mut kind: ScheduleKind) -> Resolved<Vec<PhaseRecipe>> {
    let phase = |file: &PhaseFile| {
        let start = need("phases.start", "weights, or resume", file.start)?;
        let epochs = need("phases.epochs", "further passes over the rows", file.epochs)?;
        lr = within("phases.lr", file.lr.unwrap_or(lr), "a number in (0, 1]", |&lr| lr > 0.0 && lr <= 1.0)?;
        if file.schedule.is_some() {
            let file = ScheduleFile { kind: file.schedule, warmup: None, factor: file.factor, patience: file.patience };
            kind = schedule(&file)?;
        } else if file.factor.is_some() || file.patience.is_some() {
            return Err(value("phases.factor and phases.patience", "no value unless phases.schedule is plateau", "set"));
        }
        let epochs = within("phases.epochs", epochs, "at least 1", |&epochs| epochs >= 1)?;
        Ok(PhaseRecipe { start, epochs, lr, schedule: kind, warmup: warmup("phases.warmup", file.warmup)? })
    };
    files.iter().map(phase).collect()
}

pub(super) fn phases_file(phases: &[PhaseRecipe]) -> Vec<PhaseFile> {
    let file = |phase: &PhaseRecipe| {
        let ScheduleFile { kind, warmup, factor, patience } = schedule_file(phase.schedule, phase.warmup);
        PhaseFile { start: Some(phase.start), epochs: Some(phase.epochs), lr: Some(phase.lr), schedule: kind, warmup, factor, patience }
    };
    phases.iter().map(file).collect()
}
