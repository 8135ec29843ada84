//! What could not be fitted, as a value that the caller reports.

use std::fmt;

use crate::spec::LabelSet;

/// Why a label was left as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// No row holds the label.
    NoPositives,
    /// Every row holds the label.
    NoNegatives,
    /// All rows have the same logit.
    Constant,
    /// Higher logits go with fewer rows that hold the label.
    Falling,
    /// No threshold reaches the target precision.
    OutOfReach,
}

impl fmt::Display for Doubt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoPositives => "no row holds it: left uncalibrated, and its own threshold would be 0.5",
            Self::NoNegatives => "every row holds it: left uncalibrated",
            Self::Constant => "all its logits are equal: left uncalibrated",
            Self::Falling => "its logits fall as it becomes more frequent: left uncalibrated",
            Self::OutOfReach => "no threshold reaches the policy's target: its threshold is 0.5",
        })
    }
}

/// A label that could not be fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Warning {
    /// The label's position.
    pub label: usize,
    /// The fold whose other folds it was fitted on; none for a fit on all rows.
    pub fold: Option<usize>,
    /// What stood against it.
    pub doubt: Doubt,
}

impl Warning {
    /// The warning in words, with the label's name.
    ///
    /// # Panics
    /// When the label is none of `labels`.
    #[must_use]
    pub fn told(&self, labels: &LabelSet) -> String {
        let name = &labels.names()[self.label];
        match self.fold {
            Some(fold) => format!("label {name:?}, fitted without fold {fold}: {}", self.doubt),
            None => format!("label {name:?}: {}", self.doubt),
        }
    }
}
