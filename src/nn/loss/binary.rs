//! The loss of many labels at once, each a question of its own.

use super::{Focus, Loss, checked};
use crate::nn::NnError;

/// Binary cross-entropy on logits, each label its own question; the mean over the labels that the
/// row answers.
///
/// For logit `z` and target `y`: `-w (p y log sigma(z) + (1 - y) log(1 - sigma(z)))`, with the
/// label's weight `w` and the weight `p` of its positives, as `torch.nn.BCEWithLogitsLoss(weight,
/// pos_weight)` has it; a [`Focus`] and label smoothing come on top.
///
/// A target that is NaN is absent: its row says nothing of the label, which then adds neither to
/// the loss nor to the mean, and gets a gradient of zero. So rows of data sets with different
/// labels can share one head.
#[derive(Debug, Clone, PartialEq)]
pub struct BinaryCrossEntropy {
    weights: Vec<f32>,
    positives: Vec<f32>,
    focus: Focus,
    smoothing: f64,
    consistency: f64,
}

impl BinaryCrossEntropy {
    /// All weights one, no focus, no smoothing.
    #[must_use]
    pub fn new(labels: usize) -> Self {
        Self { weights: vec![1.0; labels], positives: vec![1.0; labels], focus: Focus::NONE, smoothing: 0.0, consistency: 0.0 }
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

    /// Turns away from answers that are already right.
    ///
    /// # Errors
    /// [`NnError::Setting`] for a power that is negative or not finite, or a margin outside `[0, 1)`.
    pub fn with_focus(self, focus: Focus) -> Result<Self, NnError> {
        let power = |power: f64| power >= 0.0 && power.is_finite();
        if !(power(focus.positive) && power(focus.negative) && (0.0..1.0).contains(&focus.margin)) {
            let expected = "powers of at least 0 and a margin in [0, 1)";
            return Err(NnError::Setting { what: "the loss's focus", expected, found: format!("{focus:?}") });
        }
        Ok(Self { focus, ..self })
    }

    /// Learns `y (1 - smoothing) + smoothing / 2` in place of a target `y` (Szegedy et al. 2016,
    /// arXiv:1512.00567, for two classes).
    ///
    /// # Errors
    /// [`NnError::Setting`] outside `[0, 1)`.
    pub fn with_smoothing(self, smoothing: f64) -> Result<Self, NnError> {
        if !(0.0..1.0).contains(&smoothing) {
            let expected = "at least 0 and below 1";
            return Err(NnError::Setting { what: "label smoothing", expected, found: smoothing.to_string() });
        }
        Ok(Self { smoothing, ..self })
    }

    /// R-Drop (Liang et al. 2021, arXiv:2106.14448): each text goes through the network twice, its
    /// loss is the mean of both, and `weight` times the mean of the two divergences between both
    /// answers is added: for a label with logits `z`, `z'` and probabilities `s`, `s'`, that mean is
    /// `(s - s') (z - z') / 2`. Zero, the default, is one pass.
    ///
    /// # Errors
    /// [`NnError::Setting`] for a weight that is negative or not finite.
    pub fn with_consistency(self, weight: f64) -> Result<Self, NnError> {
        if !(weight >= 0.0 && weight.is_finite()) {
            return Err(NnError::Setting { what: "weight of consistency", expected: "at least 0", found: weight.to_string() });
        }
        Ok(Self { consistency: weight, ..self })
    }

    /// One pass's loss and gradient.
    fn pass(&self, logits: &[f32], targets: &[f32], gradient: &mut [f32]) -> f64 {
        let mean = 1.0 / answered(targets);
        let mut loss = 0.0;
        for (label, gradient) in gradient.iter_mut().enumerate() {
            if targets[label].is_nan() {
                *gradient = 0.0;
                continue;
            }
            let (z, y) = (f64::from(logits[label]), f64::from(targets[label]) * (1.0 - self.smoothing) + 0.5 * self.smoothing);
            let (weight, positive) = (f64::from(self.weights[label]), f64::from(self.positives[label]));
            let ((yes, yes_slope), (no, no_slope)) = (self.focus.yes(z), self.focus.no(z));
            loss += weight * (positive * y * yes + (1.0 - y) * no);
            *gradient = (mean * weight * (positive * y * yes_slope + (1.0 - y) * no_slope)) as f32;
        }
        loss * mean
    }

    /// Adds the gradient of how far two passes differ, and returns by how much they do.
    fn divergence(&self, logits: [&[f32]; 2], targets: &[f32], gradient: [&mut [f32]; 2]) -> f64 {
        let share = 0.5 * self.consistency / answered(targets);
        let (mut sum, [one, other]) = (0.0, gradient);
        for label in (0..targets.len()).filter(|&label| !targets[label].is_nan()) {
            let [z, w] = logits.map(|logits| f64::from(logits[label]));
            let [s, t] = [z, w].map(|z| 1.0 / (1.0 + (-z).exp()));
            sum += (s - t) * (z - w);
            one[label] += (share * (s - t + s * (1.0 - s) * (z - w))) as f32;
            other[label] -= (share * (s - t + t * (1.0 - t) * (z - w))) as f32;
        }
        share * sum
    }
}

/// How many labels the row answers, at least one.
fn answered(targets: &[f32]) -> f64 {
    targets.iter().filter(|target| !target.is_nan()).count().max(1) as f64
}

impl Loss for BinaryCrossEntropy {
    fn labels(&self) -> usize {
        self.weights.len()
    }

    fn passes(&self) -> usize {
        if self.consistency > 0.0 { 2 } else { 1 }
    }

    fn row(&self, logits: &[f32], targets: &[f32], gradient: &mut [f32]) -> f64 {
        if self.passes() == 1 {
            return self.pass(logits, targets, gradient);
        }
        let ((first, second), (one, other)) = (logits.split_at(targets.len()), gradient.split_at_mut(targets.len()));
        let loss = 0.5 * (self.pass(first, targets, one) + self.pass(second, targets, other));
        one.iter_mut().chain(other.iter_mut()).for_each(|gradient| *gradient *= 0.5);
        loss + self.divergence([first, second], targets, [one, other])
    }
}
