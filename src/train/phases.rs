//! The phases of a fit, laid out in steps: which schedule is in force when, and where it stands.
//!
//! The first phase is the recipe's `[train]`, `[optimizer]` and `[schedule]`; `[[phases]]` follow. A
//! phase that starts from weights has a schedule of its own. One that resumes has a schedule laid
//! out over all steps since the last fresh start, and goes on where that stands. Steps are those
//! planned: a phase that early stopping cut short changes no later rate. A warm-up that the steps
//! before have passed already is refused, since it could have no effect.

use super::TrainError;
use super::recipe::{PhaseStart, Recipe};
use super::schedule::{Schedule, ScheduleError, ScheduleKind, Warmup};

/// One phase of a fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// What it takes from the phase before; nothing is before the first.
    pub start: Option<PhaseStart>,
    /// Optimiser steps planned.
    pub steps: u64,
    /// Its first epoch, counted over all phases.
    pub epoch: u64,
    /// Where in its schedule it begins.
    pub offset: u64,
    /// At its beginning.
    pub schedule: Schedule,
    peak: f64,
}

/// What a recipe says of one phase.
struct Said {
    start: Option<PhaseStart>,
    epochs: usize,
    lr: f64,
    kind: ScheduleKind,
    warmup: Warmup,
}

/// Lays the recipe's phases out, at least one.
///
/// # Errors
/// [`TrainError::Schedule`] for a warm-up that would take a whole schedule, or none of it.
pub fn lay_out(recipe: &Recipe, steps_an_epoch: u64) -> Result<Vec<Phase>, TrainError> {
    let first = Said { start: None, epochs: recipe.train.epochs, lr: recipe.optimizer.lr, kind: recipe.schedule, warmup: recipe.warmup };
    let further = recipe.phases.iter().map(|phase| Said {
        start: Some(phase.start),
        epochs: phase.epochs,
        lr: phase.lr,
        kind: phase.schedule,
        warmup: phase.warmup,
    });
    let mut phases: Vec<Phase> = Vec::new();
    for (number, said) in std::iter::once(first).chain(further).enumerate() {
        let key = if number == 0 { "schedule".to_owned() } else { format!("phases[{}]", number - 1) };
        let phase = phase(&said, phases.last(), steps_an_epoch).map_err(|source| TrainError::Schedule { key, source })?;
        phases.push(phase);
    }
    Ok(phases)
}

fn phase(said: &Said, before: Option<&Phase>, steps_an_epoch: u64) -> Result<Phase, ScheduleError> {
    let offset = match (said.start, before) {
        (Some(PhaseStart::Resume), Some(before)) => before.offset + before.steps,
        _ => 0,
    };
    let steps = steps_an_epoch * said.epochs as u64;
    let schedule = Schedule::new(said.kind, said.warmup, said.lr, offset + steps)?;
    if offset > 0 && schedule.warmup() > 0 && schedule.warmup() <= offset {
        return Err(ScheduleError::Spent { warmup: schedule.warmup(), done: offset });
    }
    let epoch = before.map_or(0, |before| before.epoch + before.steps / steps_an_epoch);
    Ok(Phase { start: said.start, steps, epoch, offset, schedule, peak: said.lr })
}

impl Phase {
    /// What happens when this phase begins at `step`, for a person.
    #[must_use]
    pub fn told(&self, number: usize, step: u64) -> String {
        let how = match self.start {
            Some(PhaseStart::Resume) => "resumes: the optimiser's moments go on",
            Some(PhaseStart::Weights) | None => "starts from the weights alone: fresh optimiser, fresh schedule",
        };
        format!("phase {number} begins after step {step} and {how}; learning rate {}", self.peak)
    }
}
