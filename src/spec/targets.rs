//! What a model is asked to reproduce, and what it answers: for every row and label, yes or no.

use super::Matrix;

/// A matrix of yes-or-no answers.
pub type Targets = Matrix<bool>;

impl Matrix<bool> {
    /// Number of rows that hold `label`.
    ///
    /// # Panics
    /// When `label` is out of range.
    #[must_use]
    pub fn positives(&self, label: usize) -> usize {
        self.column(label).filter(|&held| held).count()
    }
}
