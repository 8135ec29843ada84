//! How thresholds are chosen: the policies, and the grid of them that a run may choose from.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Objective;
use crate::decide::DecideError;

/// How thresholds are chosen.
///
/// `shrink` pulls a label's threshold towards the one number for all labels that is best for the
/// Jaccard index over rows: `shrink * prior + (1 - shrink) * tuned`. So it does two things at
/// once. It steadies the thresholds of rare labels, which rest on few rows; and it goes from the
/// best decisions label by label to the best row by row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdPolicy {
    /// The same stated number for every label.
    Fixed(f64),
    /// One number for all labels, the best for macro-F1.
    GlobalF1,
    /// For each label the best for its F1.
    PerLabelF1 {
        /// The pull in `[0, 1]`: 0 keeps the tuned threshold, 1 takes the prior.
        shrink: f64,
    },
    /// For each label the best for its F1 as the calibrated probabilities themselves expect it: for
    /// a threshold `t`, `2 sum(p >= t) p / (count(p >= t) + sum p)`. It varies far less than
    /// [`ThresholdPolicy::PerLabelF1`] where few rows hold the label, and is as good as the
    /// calibration is.
    ExpectedF1 {
        /// As above.
        shrink: f64,
    },
    /// For each label the lowest whose precision reaches this target in `(0, 1]`.
    TargetPrecision(f64),
    /// For each label the highest whose recall reaches this target in `(0, 1]`.
    TargetRecall(f64),
}

impl ThresholdPolicy {
    /// # Errors
    /// [`DecideError::Parameter`] for a number outside its range.
    pub(super) fn check(self) -> Result<(), DecideError> {
        let within = |what, value, holds, expected| if holds { Ok(()) } else { Err(DecideError::Parameter { what, value, expected }) };
        match self {
            Self::GlobalF1 => Ok(()),
            Self::Fixed(value) => within("threshold", value, (0.0..=1.0).contains(&value), "a number in [0, 1]"),
            Self::PerLabelF1 { shrink } | Self::ExpectedF1 { shrink } => {
                within("shrink", shrink, (0.0..=1.0).contains(&shrink), "a number in [0, 1]")
            }
            Self::TargetPrecision(target) => within("target precision", target, target > 0.0 && target <= 1.0, "a number in (0, 1]"),
            Self::TargetRecall(target) => within("target recall", target, target > 0.0 && target <= 1.0, "a number in (0, 1]"),
        }
    }
}

impl fmt::Display for ThresholdPolicy {
    /// As recipes name it, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(threshold) => write!(f, "fixed at {threshold}"),
            Self::GlobalF1 => f.write_str("global_f1"),
            Self::PerLabelF1 { shrink } => write!(f, "per_label_f1 with shrink {shrink}"),
            Self::ExpectedF1 { shrink } => write!(f, "expected_f1 with shrink {shrink}"),
            Self::TargetPrecision(target) => write!(f, "target_precision {target}"),
            Self::TargetRecall(target) => write!(f, "target_recall {target}"),
        }
    }
}

/// Threshold policies to choose from.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidates {
    /// At least one, the safest first: it wins ties.
    pub policies: Vec<ThresholdPolicy>,
    /// What the cross-fitted decisions are judged by.
    pub objective: Objective,
}

impl Candidates {
    /// The grid that recipes choose from, those that tune the fewest numbers first: one number for
    /// all labels, then [`ThresholdPolicy::ExpectedF1`], then [`ThresholdPolicy::PerLabelF1`], both
    /// with the pull 0.75, 0.5, 0.25 and 0. (With the pull 1 both are the prior, which is there once.)
    #[must_use]
    pub fn grid(objective: Objective) -> Self {
        const PULLS: [f64; 4] = [0.75, 0.5, 0.25, 0.0];
        let global = [ThresholdPolicy::PerLabelF1 { shrink: 1.0 }, ThresholdPolicy::GlobalF1];
        let expected = PULLS.map(|shrink| ThresholdPolicy::ExpectedF1 { shrink });
        let tuned = PULLS.map(|shrink| ThresholdPolicy::PerLabelF1 { shrink });
        Self { policies: global.into_iter().chain(expected).chain(tuned).collect(), objective }
    }
}
