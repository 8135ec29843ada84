//! What a model is asked to reproduce: for every row and label, yes or no.

use super::SpecError;

/// A matrix of yes-or-no answers, `rows x labels`, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    labels: usize,
    values: Vec<bool>,
}

impl Targets {
    /// Takes row-major `values` of `rows x labels`.
    ///
    /// # Errors
    /// [`SpecError::TargetShape`] when the length is not `rows * labels` or `labels` is zero.
    pub fn new(rows: usize, labels: usize, values: Vec<bool>) -> Result<Self, SpecError> {
        if labels == 0 || rows.checked_mul(labels) != Some(values.len()) {
            return Err(SpecError::TargetShape { rows, labels, found: values.len() });
        }
        Ok(Self { labels, values })
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len() / self.labels
    }

    /// Number of labels, at least one.
    #[must_use]
    pub fn labels(&self) -> usize {
        self.labels
    }

    /// One row's answers in label order.
    ///
    /// # Panics
    /// When `row` is out of range.
    #[must_use]
    pub fn row(&self, row: usize) -> &[bool] {
        &self.values[row * self.labels..(row + 1) * self.labels]
    }

    /// One label's answers over all rows.
    pub fn column(&self, label: usize) -> impl Iterator<Item = bool> + '_ {
        self.values.iter().skip(label).step_by(self.labels).copied()
    }

    /// Number of rows that hold `label`.
    #[must_use]
    pub fn positives(&self, label: usize) -> usize {
        self.column(label).filter(|&held| held).count()
    }

    /// The given rows, in the order given.
    ///
    /// # Panics
    /// When an index is out of range.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let values = rows.iter().flat_map(|&row| self.row(row).iter().copied()).collect();
        Self { labels: self.labels, values }
    }
}
