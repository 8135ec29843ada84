//! Losses on logits, with their gradients in closed form.

use super::NnError;

/// A loss that is the mean over rows of a loss of one row.
///
/// Everything a new loss has to know stands in [`Loss::row`]; normalising over a mini-batch,
/// sharding and backward are `step`'s.
pub trait Loss: Sync {
    /// Logits a row.
    fn labels(&self) -> usize;

    /// The loss of one row, in double precision, and its gradient on the row's logits, written to
    /// `gradient`. All three slices hold [`Loss::labels`] numbers; targets lie in `[0, 1]`.
    fn row(&self, logits: &[f32], targets: &[f32], gradient: &mut [f32]) -> f64;
}

/// Binary cross-entropy on logits, each label its own question; the mean over labels.
///
/// For logit `z` and target `y`: `-w (p y log sigma(z) + (1 - y) log(1 - sigma(z)))`, with the
/// label's weight `w` and the weight `p` of its positives, as `torch.nn.BCEWithLogitsLoss(weight,
/// pos_weight)` has it.
#[derive(Debug, Clone, PartialEq)]
pub struct BinaryCrossEntropy {
    weights: Vec<f32>,
    positives: Vec<f32>,
}

impl BinaryCrossEntropy {
    /// All weights one.
    #[must_use]
    pub fn new(labels: usize) -> Self {
        Self { weights: vec![1.0; labels], positives: vec![1.0; labels] }
    }

    /// Weighs every label, yes and no alike ("scheme A").
    ///
    /// # Errors
    /// [`NnError::Setting`] unless there is one finite, non-negative weight a label.
    pub fn with_label_weights(self, weights: Vec<f32>) -> Result<Self, NnError> {
        let weights = checked("label weights", self.labels(), weights)?;
        Ok(Self { weights, ..self })
    }

    /// Weighs every label's positives ("scheme B").
    ///
    /// # Errors
    /// [`NnError::Setting`] unless there is one finite, non-negative weight a label.
    pub fn with_positive_weights(self, positives: Vec<f32>) -> Result<Self, NnError> {
        let positives = checked("weights of positives", self.labels(), positives)?;
        Ok(Self { positives, ..self })
    }
}

fn checked(what: &'static str, labels: usize, weights: Vec<f32>) -> Result<Vec<f32>, NnError> {
    if weights.len() != labels || weights.iter().any(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        return Err(NnError::Setting { what, expected: "one finite number of at least 0 for every label", found: format!("{weights:?}") });
    }
    Ok(weights)
}

impl Loss for BinaryCrossEntropy {
    fn labels(&self) -> usize {
        self.weights.len()
    }

    fn row(&self, logits: &[f32], targets: &[f32], gradient: &mut [f32]) -> f64 {
        let mean = 1.0 / self.labels() as f64;
        let mut loss = 0.0;
        for (label, gradient) in gradient.iter_mut().enumerate() {
            let (z, y) = (f64::from(logits[label]), f64::from(targets[label]));
            let (weight, positive) = (f64::from(self.weights[label]), f64::from(self.positives[label]));
            // log(1 + e^-|z|) neither overflows nor cancels; the two logarithms differ by z.
            let tail = (-z.abs()).exp().ln_1p();
            let (minus_log_yes, minus_log_no) = (tail + (-z).max(0.0), tail + z.max(0.0));
            let yes = 1.0 / (1.0 + (-z).exp());
            loss += weight * (positive * y * minus_log_yes + (1.0 - y) * minus_log_no);
            *gradient = (mean * weight * ((1.0 - y) * yes - positive * y * (1.0 - yes))) as f32;
        }
        loss * mean
    }
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
