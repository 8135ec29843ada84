//! The learning rate at every step, as `transformers.get_scheduler` and
//! `torch.optim.lr_scheduler.ReduceLROnPlateau` give it.
//!
//! Warm-up rises from zero over the first steps of every kind, the plateau among them; a warm-up
//! that the run is too short for is refused, not dropped.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How the rate moves after warm-up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScheduleKind {
    /// Stays.
    Constant,
    /// Falls in a line to zero at the last step.
    Linear,
    /// Falls to zero along half a cosine.
    Cosine,
    /// Multiplied by `factor` whenever the selection metric has not improved for more than
    /// `patience` evaluations.
    Plateau {
        /// In (0, 1).
        factor: f64,
        /// Evaluations without improvement that are borne.
        patience: usize,
    },
}

/// Length of the warm-up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Warmup {
    /// This share of all steps, in [0, 1).
    Ratio(f64),
    /// This many steps.
    Steps(u64),
}

/// Why a schedule was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ScheduleError {
    /// A warm-up that would take it all.
    #[error("warmup takes {warmup} steps: expected fewer than the {total} steps of the schedule")]
    TooLong {
        /// Steps of warm-up asked for.
        warmup: u64,
        /// Steps of the schedule.
        total: u64,
    },
    /// A warm-up that lies behind.
    #[error(
        "warmup takes {warmup} steps, and the phase resumes a schedule after {done}, so that it would have no effect: expected none, or start = \"weights\""
    )]
    Spent {
        /// Steps of warm-up asked for.
        warmup: u64,
        /// Steps done.
        done: u64,
    },
}

/// The rates of one run of `total` steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    kind: ScheduleKind,
    peak: f64,
    warmup: u64,
    total: u64,
    plateau: Plateau,
}

/// What the plateau remembers between evaluations. Part of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    factor: f64,
    best: Option<f64>,
    bad: usize,
}

impl Schedule {
    /// Rates that peak at `peak`, over `total` optimiser steps.
    ///
    /// # Errors
    /// [`ScheduleError`] when warm-up would take the whole run.
    pub fn new(kind: ScheduleKind, warmup: Warmup, peak: f64, total: u64) -> Result<Self, ScheduleError> {
        let warmup = match warmup {
            Warmup::Ratio(ratio) => (ratio * total as f64).ceil() as u64,
            Warmup::Steps(steps) => steps,
        };
        if warmup >= total.max(1) {
            return Err(ScheduleError::TooLong { warmup, total });
        }
        Ok(Self { kind, peak, warmup, total, plateau: Plateau { factor: 1.0, best: None, bad: 0 } })
    }

    /// Steps of warm-up.
    #[must_use]
    pub fn warmup(&self) -> u64 {
        self.warmup
    }

    /// The rate of `step`, counted from zero.
    #[must_use]
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * step as f64 / self.warmup as f64;
        }
        let progress = ((step - self.warmup) as f64 / (self.total - self.warmup) as f64).min(1.0);
        self.peak
            * match self.kind {
                ScheduleKind::Constant => 1.0,
                ScheduleKind::Linear => 1.0 - progress,
                ScheduleKind::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
                ScheduleKind::Plateau { .. } => self.plateau.factor,
            }
    }

    /// Tells the plateau an evaluation's score, where higher is better. Other kinds, and a plateau
    /// that is still warming up, take no notice.
    pub fn evaluated(&mut self, step: u64, score: f64) {
        let ScheduleKind::Plateau { factor, patience } = self.kind else { return };
        if step < self.warmup {
            return;
        }
        let plateau = &mut self.plateau;
        if plateau.best.is_none_or(|best| score > best) {
            plateau.best = Some(score);
            plateau.bad = 0;
        } else {
            plateau.bad += 1;
        }
        if plateau.bad > patience {
            plateau.factor *= factor;
            plateau.bad = 0;
        }
    }

    /// Takes up the plateau of the schedule before, where only the length is another. A new peak or
    /// kind begins with a plateau of its own.
    pub fn go_on_from(&mut self, before: &Self) {
        if self.kind == before.kind && self.peak == before.peak {
            self.plateau = before.plateau;
        }
    }

    /// What a checkpoint must keep.
    #[must_use]
    pub fn state(&self) -> Plateau {
        self.plateau
    }

    /// Continues from a checkpoint.
    pub fn restore(&mut self, state: Plateau) {
        self.plateau = state;
    }
}
