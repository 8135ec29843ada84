//! Losses on logits, with their gradients in closed form.

mod binary;
mod focus;
mod token;

pub use binary::BinaryCrossEntropy;
pub use focus::Focus;
pub use token::TokenCrossEntropy;

use super::NnError;

/// What a loss asks a network about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Each text: a row of logits a text, [`Loss::labels`] targets.
    Texts,
    /// Some tokens of each text: a text has a target a token, NaN for one that is not asked about,
    /// and a row of logits for each that is.
    Tokens,
}

/// A loss that is the mean over rows of a loss of one row.
///
/// Everything a new loss has to know stands in [`Loss::row`]; normalising over a mini-batch,
/// sharding and backward are [`Stepper`](super::Stepper)'s.
pub trait Loss: Sync {
    /// Logits a row.
    fn labels(&self) -> usize;

    /// What a row of logits belongs to; a text by default.
    fn asked(&self) -> Asked {
        Asked::Texts
    }

    /// How often a text goes through the network, each time with other dropout; once by default.
    fn passes(&self) -> usize {
        1
    }

    /// The loss of one row, in double precision, and its gradient on the row's logits, written to
    /// `gradient`. Targets are [`Loss::labels`] numbers in `[0, 1]`, or the one target of a token;
    /// logits and gradient hold [`Loss::labels`] numbers for each of [`Loss::passes`], end to end.
    fn row(&self, logits: &[f32], targets: &[f32], gradient: &mut [f32]) -> f64;
}

/// Cross-entropy of a softmax over the row: exactly one label holds (or targets that sum to one).
#[derive(Debug, Clone, PartialEq)]
pub struct CrossEntropy {
    weights: Vec<f32>,
}

impl CrossEntropy {
    /// All weights one.
    #[must_use]
    pub fn new(labels: usize) -> Self {
        Self { weights: vec![1.0; labels] }
    }

    /// Weighs every label's share of the loss. The mean stays that over rows: unlike torch, the
    /// sum of weights met is not divided out, since it would depend on the mini-batch.
    ///
    /// # Errors
    /// [`NnError::Setting`] unless there is one finite, non-negative weight a label.
    pub fn with_label_weights(self, weights: Vec<f32>) -> Result<Self, NnError> {
        let weights = checked("label weights", self.labels(), weights)?;
        Ok(Self { weights })
    }
}

impl Loss for CrossEntropy {
    fn labels(&self) -> usize {
        self.weights.len()
    }

    fn row(&self, logits: &[f32], targets: &[f32], gradient: &mut [f32]) -> f64 {
        let highest = logits.iter().fold(f64::NEG_INFINITY, |highest, &z| highest.max(f64::from(z)));
        let sum: f64 = logits.iter().map(|&z| (f64::from(z) - highest).exp()).sum();
        let log_sum = highest + sum.ln();
        let weighted = |label: usize| f64::from(self.weights[label]) * f64::from(targets[label]);
        let mass: f64 = (0..self.labels()).map(weighted).sum();
        let mut loss = 0.0;
        for (label, gradient) in gradient.iter_mut().enumerate() {
            let log_share = f64::from(logits[label]) - log_sum;
            loss -= weighted(label) * log_share;
            *gradient = (mass * log_share.exp() - weighted(label)) as f32;
        }
        loss
    }
}

fn checked(what: &'static str, labels: usize, weights: Vec<f32>) -> Result<Vec<f32>, NnError> {
    if weights.len() != labels || weights.iter().any(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        return Err(NnError::Setting { what, expected: "one finite number of at least 0 for every label", found: format!("{weights:?}") });
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares a loss's gradient with its own slope, and its value with `expected`.
    fn check(loss: &impl Loss, logits: &[f32], targets: &[f32], expected: f64) {
        let mut gradient = vec![0.0; logits.len()];
        let value = loss.row(logits, targets, &mut gradient);
        assert!((value - expected).abs() <= 1e-6 * expected.abs().max(1e-3), "{value}, expected {expected}");
        for label in 0..logits.len() {
            let at = |distance: f32| {
                let mut moved = logits.to_vec();
                moved[label] += distance;
                loss.row(&moved, targets, &mut vec![0.0; logits.len()])
            };
            let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
            assert!((slope - f64::from(gradient[label])).abs() < 1e-4, "label {label}: {slope} but {}", gradient[label]);
        }
    }

    #[test]
    fn losses_are_those_of_torch_and_their_gradients_are_slopes() {
        // torch.nn.functional.binary_cross_entropy_with_logits, then with weight and pos_weight.
        let (logits, targets) = ([0.5, -1.0, 2.0], [1.0, 0.0, 0.25]);
        check(&BinaryCrossEntropy::new(3), &logits, &targets, 0.804_755_561);
        let weighted = BinaryCrossEntropy::new(3).with_label_weights(vec![0.5, 2.0, 1.0]).expect("weights");
        let weighted = weighted.with_positive_weights(vec![3.0, 1.0, 2.0]).expect("weights");
        check(&weighted, &logits, &targets, 0.998_766_288);
        // torch.nn.functional.cross_entropy.
        check(&CrossEntropy::new(3), &logits, &[0.0, 0.0, 1.0], 0.241_311_297);
    }

    #[test]
    fn an_absent_target_changes_nothing() {
        for focus in [Focus::NONE, Focus { positive: 1.0, negative: 4.0, margin: 0.05 }] {
            let of = |positives: &[f32]| {
                let loss = BinaryCrossEntropy::new(positives.len()).with_positive_weights(positives.to_vec());
                loss.and_then(|loss| loss.with_focus(focus)).expect("weights and a focus")
            };
            let (loss, without) = (of(&[2.0, 7.0, 3.0]), of(&[2.0, 3.0]));
            let (mut all, mut some) = ([f32::NAN; 2], [f32::NAN; 3]);
            let expected = without.row(&[0.5, 2.0], &[1.0, 0.25], &mut all);
            // Whatever the logit of the absent label is, even no number.
            for logit in [-1.0, 1e30, f32::NAN] {
                assert_eq!(loss.row(&[0.5, logit, 2.0], &[1.0, f32::NAN, 0.25], &mut some), expected);
                assert_eq!(some, [all[0], 0.0, all[1]]);
            }
            assert_eq!(loss.row(&[0.5, 1.0, 2.0], &[f32::NAN; 3], &mut some), 0.0);
            assert_eq!(some, [0.0; 3]);
        }
    }

    #[test]
    fn far_logits_give_finite_losses() {
        for focus in [Focus { positive: 2.0, negative: 2.0, margin: 0.0 }, Focus { positive: 0.5, negative: 0.5, margin: 0.1 }] {
            let loss = BinaryCrossEntropy::new(1).with_focus(focus).expect("a focus");
            for (z, y) in [(-1e30_f32, 0.0), (-1e4, 1.0), (-40.0, 0.3), (1e4, 0.0), (1e30, 1.0), (1e30, 0.0)] {
                let mut gradient = [f32::NAN];
                assert!(loss.row(&[z], &[y], &mut gradient).is_finite() && gradient[0].is_finite(), "{focus:?}, {z} for {y}");
            }
        }
        for z in [-1e30_f32, -1e4, 1e4, 1e30] {
            for y in [0.0, 1.0] {
                let mut gradient = [f32::NAN];
                let loss = BinaryCrossEntropy::new(1).row(&[z], &[y], &mut gradient);
                let right = (z > 0.0) == (y > 0.0);
                assert_eq!((loss == 0.0, gradient[0].abs()), (right, if right { 0.0 } else { 1.0 }), "{z} for {y}");
                assert!(loss.is_finite());
            }
            let mut gradient = [f32::NAN; 2];
            assert!(CrossEntropy::new(2).row(&[z, 0.0], &[1.0, 0.0], &mut gradient).is_finite());
            assert!(gradient.iter().all(|gradient| gradient.is_finite()));
        }
    }

    #[test]
    fn weights_that_are_no_weights_are_refused() {
        let loss = || BinaryCrossEntropy::new(2);
        for weights in [vec![1.0], vec![1.0, -1.0], vec![1.0, f32::NAN]] {
            assert!(loss().with_label_weights(weights.clone()).is_err());
            assert!(loss().with_positive_weights(weights.clone()).is_err());
            assert!(CrossEntropy::new(2).with_label_weights(weights).is_err());
        }
        for focus in
            [Focus { positive: -1.0, ..Focus::NONE }, Focus { negative: f64::NAN, ..Focus::NONE }, Focus { margin: 1.0, ..Focus::NONE }]
        {
            assert!(loss().with_focus(focus).is_err());
        }
        assert!(loss().with_smoothing(1.0).is_err() && loss().with_smoothing(-0.1).is_err());
    }
}
