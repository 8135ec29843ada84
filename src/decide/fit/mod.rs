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
mod cuts;
mod isotonic;
mod logistic;
mod objective;
mod policy;
mod thresholds;
mod warning;

use serde::{Deserialize, Serialize};

pub use calibrators::calibrator;
pub use cross::{Choice, CrossFitted, Fitted, choose_policy, cross_fit, cross_fit_choosing, fit_all};
pub use objective::Objective;
pub use policy::{Candidates, ThresholdPolicy};
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
    /// For each label the plainest of the others whose cross-fitted log-loss is the lowest, or
    /// within one standard error of it (Breiman et al. 1984, "Classification and regression trees").
    Auto,
}
