//! Fitting calibrators and thresholds on out-of-fold logits.

use serde::{Deserialize, Serialize};

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
    /// For each label the best for its F1, pulled towards the global one.
    PerLabelF1 {
        /// The pull in `[0, 1]`: 0 keeps the tuned threshold, 1 takes the global one.
        shrink: f64,
    },
}
