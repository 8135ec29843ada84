//! The loss of a masked language model.

use super::{Asked, Loss};

/// Cross-entropy of a softmax over the vocabulary for every token asked about; a token's target is
/// the id of the word that stood there (Devlin et al. 2019, arXiv:1810.04805). The mean is over the
/// tokens asked about in the mini-batch, as `transformers` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenCrossEntropy {
    vocabulary: usize,
}

impl TokenCrossEntropy {
    /// Over ids below `vocabulary`.
    #[must_use]
    pub fn new(vocabulary: usize) -> Self {
        Self { vocabulary }
    }
}

impl Loss for TokenCrossEntropy {
    fn labels(&self) -> usize {
        self.vocabulary
    }

    fn asked(&self) -> Asked {
        Asked::Tokens
    }

    /// A target that is no id below the vocabulary gives NaN, which a step refuses.
    fn row(&self, logits: &[f32], targets: &[f32], gradient: &mut [f32]) -> f64 {
        let Some(&right) = logits.get(targets[0] as usize) else { return f64::NAN };
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for (gradient, logit) in gradient.iter_mut().zip(logits) {
            *gradient = (logit - highest).exp();
            sum += f64::from(*gradient);
        }
        let scale = (1.0 / sum) as f32;
        gradient.iter_mut().for_each(|gradient| *gradient *= scale);
        gradient[targets[0] as usize] -= 1.0;
        f64::from(highest) + sum.ln() - f64::from(right)
    }
}
