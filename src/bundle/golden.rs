//! The golden set: texts of our own with the answers that the model gave when it was written.
//!
//! A bundle's engine must give these answers again before it serves, so a wrong library, a wrong
//! kernel or a wrong file is found at the door.

use crate::decide::{Logits, Probabilities};

/// The most texts a golden set may hold.
pub const MAX_GOLDEN_TEXTS: usize = 1024;

/// Texts with their ids, logits and probabilities, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct GoldenSet {
    /// The texts, at least one.
    pub texts: Vec<String>,
    /// Each text's token ids, special tokens included.
    pub ids: Vec<Vec<u32>>,
    /// Logits in the bundle's stored precision, `texts x labels`.
    pub logits: Logits,
    /// What the bundle's calibrators make of the logits, `texts x labels`.
    pub probabilities: Probabilities,
}

impl GoldenSet {
    /// The first count that does not agree with the number of texts or labels: what it counts,
    /// what it should be, what it is.
    pub(super) fn disagreement(&self, labels: usize) -> Option<(&'static str, usize, usize)> {
        let texts = self.texts.len();
        let counts = [
            ("rows of ids", texts, self.ids.len()),
            ("rows of logits", texts, self.logits.rows()),
            ("logits a row", labels, self.logits.labels()),
            ("rows of probabilities", texts, self.probabilities.rows()),
            ("probabilities a row", labels, self.probabilities.labels()),
        ];
        counts.into_iter().find(|(_, expected, found)| expected != found)
    }
}
