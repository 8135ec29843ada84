//! Fitting calibrators and thresholds, on out-of-fold logits that the trainer brings.
//!
//! What ships comes from [`fit_all`], on every out-of-fold row. What is reported comes from
//! [`cross_fit`], where each fold's rows are calibrated and decided by what was fitted on the other
//! folds: nothing reported was tuned on the rows it is reported on. [`choose_policy`] picks between
//! threshold policies by cross-fitted decisions, and [`cross_fit_choosing`] reports that choice
//! honestly too, by choosing anew inside every fold.
//!
//! Nothing is printed: what could not be fitted comes back as a [`Warning`]. Multi-label only.

mod calibrators;
mod cross;
mod isotonic;
mod logistic;
mod objective;
mod thresholds;
mod warning;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use calibrators::calibrator;
pub use cross::{Candidates, Choice, CrossFitted, Fitted, choose_policy, cross_fit, cross_fit_choosing, fit_all};
pub use objective::Objective;
pub use thresholds::{DEFAULT_THRESHOLD, fit_thresholds};
pub use warning::{Doubt, Warning};

use super::probabilities::{sigmoid, softplus};

/// Which calibrator to fit, for each label its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalibratorKind {
    /// None.
    Identity,
    /// One temperature.
    Temperature,
    /// Platt's line.
    Sigmoid,
    /// Kull's beta map.
    Beta,
    /// Steps by pooling adjacent violators.
    Isotonic,
    /// For each label the one of the others with the lowest cross-fitted log-loss.
    Best,
}

/// How thresholds are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdPolicy {
    /// The same stated number for every label.
    Fixed(f64),
    /// One number for all labels, the best for macro-F1.
    GlobalF1,
    /// For each label the best for its F1, pulled towards the one number for all labels that is
    /// best for the Jaccard index over rows: `shrink * prior + (1 - shrink) * tuned`.
    ///
    /// So the pull does two things at once. It steadies the thresholds of rare labels, which rest
    /// on few rows; and it goes from the best decisions label by label to the best row by row.
    PerLabelF1 {
        /// The pull in `[0, 1]`: 0 keeps the tuned threshold, 1 takes the global one.
        shrink: f64,
    },
}

impl fmt::Display for ThresholdPolicy {
    /// As recipes name it, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(threshold) => write!(f, "fixed at {threshold}"),
            Self::GlobalF1 => f.write_str("global_f1"),
            Self::PerLabelF1 { shrink } => write!(f, "per_label_f1 with shrink {shrink}"),
        }
    }
}
