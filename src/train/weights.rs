//! How much each label's answers count in the loss: the three schemes of the experiments.
//!
//! - `none`: every answer counts one.
//! - A, `class_weight`: `w_c = N / (C n_c)`, scaled to sum to one, on positive and negative answers
//!   alike. It weighs labels against each other and leaves the imbalance inside a label alone.
//! - B, `pos_weight`: positive answers of label `c` count `(negatives / max(positives, 1))^power`,
//!   at most `cap`.
//!
//! Counted on the rows trained on, never on held-out ones.

use crate::spec::Targets;

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
    pub fn count(weighting: Weighting, trained: &Targets) -> Self {
        let (rows, labels) = (trained.rows(), trained.labels());
        let positives: Vec<usize> = (0..labels).map(|label| trained.positives(label)).collect();
        let ones = vec![1.0; labels];
        match weighting {
            Weighting::None => Self { label: ones.clone(), positive: ones },
            Weighting::ClassWeight => {
                let raw: Vec<f64> = positives.iter().map(|&count| rows as f64 / (labels * count.max(1)) as f64).collect();
                let sum: f64 = raw.iter().sum();
                Self { label: raw.iter().map(|weight| (weight / sum) as f32).collect(), positive: ones }
            }
            Weighting::PosWeight { cap, power } => {
                let weight = |&count: &usize| (((rows - count) as f64 / count.max(1) as f64).powf(power)).min(cap) as f32;
                Self { label: ones, positive: positives.iter().map(weight).collect() }
            }
        }
    }

    /// The weighted binary cross-entropy of logits, mean over all answers, in plain double
    /// precision. The reference that the fast loss is held against while it trains.
    #[must_use]
    pub fn loss(&self, logits: &[f32], targets: &Targets) -> f64 {
        let labels = self.label.len();
        let answers = |row: usize| -> Vec<f32> { targets.row(row).iter().map(|&held| if held { 1.0 } else { 0.0 }).collect() };
        let rows = logits.chunks_exact(labels).enumerate();
        rows.map(|(row, logits)| self.row(logits, &answers(row))).sum::<f64>() / targets.rows().max(1) as f64
    }

    /// The same for one row, mean over its labels, with answers in `[0, 1]`.
    #[must_use]
    pub fn row(&self, logits: &[f32], answers: &[f32]) -> f64 {
        let softplus = |z: f64| z.max(0.0) + (-z.abs()).exp().ln_1p();
        let answer = |(label, (&z, &y)): (usize, (&f32, &f32))| {
            let (z, y) = (f64::from(z), f64::from(y));
            let cost = f64::from(self.positive[label]) * y * softplus(-z) + (1.0 - y) * softplus(z);
            f64::from(self.label[label]) * cost
        };
        logits.iter().zip(answers).enumerate().map(answer).sum::<f64>() / logits.len().max(1) as f64
    }
}
