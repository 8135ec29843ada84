//! What a fit minimises: the recipe's loss with the weights that its rows give, and the same again
//! in plain double precision, which the fast loss is held against while it trains.

use super::answers::Answers;
use super::weights::{LossWeights, Weighting};
use crate::nn::{BinaryCrossEntropy, Focus, NnError};

/// `[loss]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossRecipe {
    /// `kind`, with its powers and margin.
    pub kind: LossKind,
    /// `weighting`, with its cap and power.
    pub weighting: Weighting,
    /// `smoothing` of the labels, in `[0, 1)`; 0 by default.
    pub smoothing: f64,
    /// `r_drop`: weight of R-Drop's divergence; 0, the default, is one pass a text instead of two.
    pub r_drop: f64,
}

/// `loss.kind`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LossKind {
    /// Binary cross-entropy.
    CrossEntropy,
    /// Focal loss (Lin et al. 2017).
    Focal {
        /// `gamma`; 2 by default.
        gamma: f64,
    },
    /// Asymmetric loss (Ridnik et al. 2021).
    Asymmetric {
        /// `gamma_positive`; 0 by default.
        positive: f64,
        /// `gamma_negative`; 4 by default.
        negative: f64,
        /// `margin`; 0.05 by default.
        margin: f64,
    },
}

/// The loss of one fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// Weights counted on the rows trained on.
    pub weights: LossWeights,
    recipe: LossRecipe,
}

impl Objective {
    /// The recipe's loss, weighted as these answers, which are trained on, ask for.
    #[must_use]
    pub fn new(recipe: LossRecipe, trained: &Answers) -> Self {
        Self { weights: LossWeights::count(recipe.weighting, trained), recipe }
    }

    /// The same with each label's answers weighted once more.
    ///
    /// # Panics
    /// When there is not a factor a label.
    #[must_use]
    pub fn scaled(mut self, factors: &[f32]) -> Self {
        assert_eq!(self.weights.label.len(), factors.len(), "a factor a label; anything else, this is a bug");
        self.weights.label.iter_mut().zip(factors).for_each(|(weight, factor)| *weight *= factor);
        self
    }

    /// The loss that steps use.
    ///
    /// # Errors
    /// [`NnError::Setting`] for a power or margin out of range.
    pub fn fast(&self) -> Result<BinaryCrossEntropy, NnError> {
        let focus = match self.recipe.kind {
            LossKind::CrossEntropy => Focus::NONE,
            LossKind::Focal { gamma } => Focus { positive: gamma, negative: gamma, margin: 0.0 },
            LossKind::Asymmetric { positive, negative, margin } => Focus { positive, negative, margin },
        };
        let loss = BinaryCrossEntropy::new(self.weights.label.len()).with_label_weights(self.weights.label.clone())?;
        loss.with_positive_weights(self.weights.positive.clone())?
            .with_focus(focus)?
            .with_smoothing(self.recipe.smoothing)?
            .with_consistency(self.recipe.r_drop)
    }

    /// The mean over rows, plainly.
    ///
    /// # Panics
    /// When logits and answers are not of one shape.
    #[must_use]
    pub fn mean(&self, logits: &[f32], answers: &Answers) -> f64 {
        let rows = logits.chunks_exact(answers.labels()).enumerate();
        rows.map(|(row, logits)| self.row(logits, answers.row(row))).sum::<f64>() / answers.rows().max(1) as f64
    }

    /// The loss of one row as a step has it, plainly: of one pass, or of two and their divergence.
    #[must_use]
    pub fn passes(&self, logits: &[f32], answers: &[f32]) -> f64 {
        let passes: Vec<&[f32]> = logits.chunks_exact(answers.len()).collect();
        let loss = passes.iter().map(|logits| self.row(logits, answers)).sum::<f64>() / passes.len() as f64;
        let &[one, other] = &passes[..] else { return loss };
        let p = |z: f32| 1.0 / (1.0 + (-f64::from(z)).exp());
        let divergence = |p: f64, q: f64| p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln();
        let (mut sum, mut answered) = (0.0, 0);
        for (&z, &w) in one.iter().zip(other).zip(answers).filter(|(_, y)| !y.is_nan()).map(|(logits, _)| logits) {
            sum += (divergence(p(z), p(w)) + divergence(p(w), p(z))) / 2.0;
            answered += 1;
        }
        loss + self.recipe.r_drop * sum / f64::from(answered.max(1))
    }

    /// The loss of one row under one pass, plainly: the mean over the labels it answers.
    #[must_use]
    pub fn row(&self, logits: &[f32], answers: &[f32]) -> f64 {
        let (mut sum, mut answered) = (0.0, 0);
        for (label, (&z, &y)) in logits.iter().zip(answers).enumerate().filter(|(_, (_, y))| !y.is_nan()) {
            let (yes, no) = self.costs(f64::from(z));
            let y = f64::from(y) * (1.0 - self.recipe.smoothing) + self.recipe.smoothing / 2.0;
            sum += f64::from(self.weights.label[label]) * (f64::from(self.weights.positive[label]) * y * yes + (1.0 - y) * no);
            answered += 1;
        }
        sum / f64::from(answered.max(1))
    }

    /// What a yes and a no cost at a logit, as the papers write it.
    fn costs(&self, z: f64) -> (f64, f64) {
        let softplus = |z: f64| z.max(0.0) + (-z.abs()).exp().ln_1p();
        let p = 1.0 / (1.0 + (-z).exp());
        match self.recipe.kind {
            LossKind::CrossEntropy => (softplus(-z), softplus(z)),
            LossKind::Focal { gamma } => ((1.0 - p).powf(gamma) * softplus(-z), p.powf(gamma) * softplus(z)),
            LossKind::Asymmetric { positive, negative, margin } => {
                let shifted = (p - margin).max(0.0);
                let log_no = if margin > 0.0 { (1.0 - shifted).ln() } else { -softplus(z) };
                ((1.0 - p).powf(positive) * softplus(-z), shifted.powf(negative) * -log_no)
            }
        }
    }
}
