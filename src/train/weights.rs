//! How much each label's answers count in the loss: the three schemes of the experiments.
//!
//! - `none`: every answer counts one.
//! - A, `class_weight`: `w_c = N / (C n_c)`, scaled to sum to one, on positive and negative answers
//!   alike. It weighs labels against each other and leaves the imbalance inside a label alone.
//! - B, `pos_weight`: positive answers of label `c` count `(negatives / max(positives, 1))^power`,
//!   at most `cap`.
//!
//! Counted on the rows trained on, never on held-out ones, and among those on the rows that answer
//! the label.

use super::answers::Answers;

/// The scheme a recipe asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Weighting {
    /// Every answer counts one.
    None,
    /// Scheme A: labels against each other.
    ClassWeight,
    /// Scheme B: positives against negatives within a label.
    PosWeight {
        /// No weight is larger; positive.
        cap: f64,
        /// 1 for the plain ratio, 0.5 for its square root; in (0, 1].
        power: f64,
    },
}

/// The weights of one fit, one a label: the loss of an answer is
/// `label * (positive * y * -ln s(z) + (1 - y) * -ln(1 - s(z)))`.
#[derive(Debug, Clone, PartialEq)]
pub struct LossWeights {
    /// Factor on both kinds of answers.
    pub label: Vec<f32>,
    /// Factor on positive answers.
    pub positive: Vec<f32>,
}

impl LossWeights {
    /// Counts the rows trained on.
    #[must_use]
    pub fn count(weighting: Weighting, trained: &Answers) -> Self {
        let labels = trained.labels();
        let counts: Vec<(f64, f64)> = (0..labels).map(|label| trained.count(label)).collect();
        let ones = vec![1.0; labels];
        match weighting {
            Weighting::None => Self { label: ones.clone(), positive: ones },
            Weighting::ClassWeight => {
                let raw: Vec<f64> = counts.iter().map(|(yes, rows)| rows / (labels as f64 * yes.max(1.0))).collect();
                let sum: f64 = raw.iter().sum();
                Self { label: raw.iter().map(|weight| (weight / sum) as f32).collect(), positive: ones }
            }
            Weighting::PosWeight { cap, power } => {
                let weight = |&(yes, rows): &(f64, f64)| ((rows - yes) / yes.max(1.0)).powf(power).min(cap) as f32;
                Self { label: ones, positive: counts.iter().map(weight).collect() }
            }
        }
    }
}
