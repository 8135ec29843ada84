//! A matrix of probabilities, one row a text, and the two activations that make a plain one.

use std::ops::Deref;

use super::{DecideError, Logits};
use crate::spec::{Activation, Matrix};

/// Probabilities of a batch. Every value lies in `[0, 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Probabilities(Matrix<f32>);

impl Probabilities {
    /// Takes row-major `values`.
    ///
    /// # Errors
    /// [`DecideError::Shape`] when the length is no multiple of `labels`, or `labels` is zero;
    /// [`DecideError::Parameter`] for the first value that is no number in `[0, 1]`.
    pub fn new(labels: usize, values: Vec<f32>) -> Result<Self, DecideError> {
        let matrix = DecideError::rows("probabilities a row", labels, values)?;
        if let Some(value) = matrix.values().iter().find(|value| !(0.0..=1.0).contains(*value)) {
            return Err(DecideError::Parameter { what: "probability", value: f64::from(*value), expected: "a number in [0, 1]" });
        }
        Ok(Self(matrix))
    }

    /// The plain activation of a batch of logits, uncalibrated.
    #[must_use]
    pub fn of(logits: &Logits, activation: Activation) -> Self {
        let values = match activation {
            Activation::Sigmoid => logits.values().iter().map(|logit| sigmoid(f64::from(*logit)) as f32).collect(),
            Activation::Softmax => Self::softmax(logits, 1.0),
        };
        Self::new(logits.labels(), values).expect("an activation gives probabilities; anything else, this is a bug")
    }

    pub(super) fn softmax(logits: &Logits, temperature: f64) -> Vec<f32> {
        logits.each_row().flat_map(|row| softmax(row, temperature)).map(|value| value as f32).collect()
    }

    /// The given rows, in the order given.
    ///
    /// # Panics
    /// When an index is out of range.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        Self(self.0.select(rows))
    }
}

/// For reading: rows, columns, values.
impl Deref for Probabilities {
    type Target = Matrix<f32>;

    fn deref(&self) -> &Matrix<f32> {
        &self.0
    }
}

/// The logistic function `1 / (1 + exp(-logit))`, without overflow for any finite logit.
pub(super) fn sigmoid(logit: f64) -> f64 {
    if logit >= 0.0 {
        1.0 / (1.0 + (-logit).exp())
    } else {
        let power = logit.exp();
        power / (1.0 + power)
    }
}

/// `ln(1 + exp(x))`, without overflow: `-ln sigmoid(-x)`.
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Softmax of one row divided by `temperature`, the largest logit taken out first.
pub(super) fn softmax(row: &[f32], temperature: f64) -> Vec<f64> {
    let scaled = || row.iter().map(|logit| f64::from(*logit) / temperature);
    let largest = scaled().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scaled().map(|logit| (logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_stand_far_out() {
        for logit in [1e4, -1e4, 745.2, -745.2, 0.0, f64::from(f32::MAX), f64::from(f32::MIN)] {
            let (here, there) = (sigmoid(logit), sigmoid(-logit));
            assert!((0.0..=1.0).contains(&here) && (here + there - 1.0).abs() < 1e-15, "of {logit}: {here} and {there}");
            assert!((softplus(logit) - softplus(-logit) - logit).abs() <= logit.abs() * 1e-15, "of {logit}");
        }
        for row in [vec![1e4, -1e4, 0.0], vec![-1e4; 3], vec![f32::MAX, f32::MIN, 1.0]] {
            let sum: f64 = softmax(&row, 1.0).iter().sum();
            assert!((sum - 1.0).abs() < 1e-15, "{row:?} sums to {sum}");
        }
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        for value in [f32::NAN, -1e-9, 1.000_001, f32::INFINITY] {
            assert!(matches!(Probabilities::new(2, vec![0.5, value]), Err(DecideError::Parameter { .. })), "of {value}");
        }
        assert!(matches!(Probabilities::new(2, vec![0.5; 3]), Err(DecideError::Shape { .. })));
        assert!(matches!(Probabilities::new(0, vec![]), Err(DecideError::Shape { .. })));
        assert!(Probabilities::new(2, vec![0.0, 1.0, -0.0, 0.5]).is_ok());
    }
}
