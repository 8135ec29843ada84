//! A matrix of raw scores, one row a text.

use super::DecideError;

/// Raw scores of a batch, `rows x labels`, row-major. Every value is finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Logits {
    labels: usize,
    values: Vec<f32>,
}

impl Logits {
    /// Takes row-major `values`.
    ///
    /// # Errors
    /// [`DecideError::Shape`] when the length is no multiple of `labels`, or `labels` is zero;
    /// [`DecideError::NotFinite`] for the first NaN or infinity.
    pub fn new(labels: usize, values: Vec<f32>) -> Result<Self, DecideError> {
        if labels == 0 || !values.len().is_multiple_of(labels) {
            return Err(DecideError::Shape { what: "logits a row", expected: labels, found: values.len() });
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let (row, label) = (index / labels, index % labels);
            return Err(DecideError::NotFinite { row, label, value: values[index] });
        }
        Ok(Self { labels, values })
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len() / self.labels
    }

    /// Number of labels a row.
    #[must_use]
    pub fn labels(&self) -> usize {
        self.labels
    }

    /// One row.
    ///
    /// # Panics
    /// When `row` is out of range.
    #[must_use]
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.labels..(row + 1) * self.labels]
    }

    /// All values, row-major.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// One label's values over all rows.
    pub fn column(&self, label: usize) -> impl Iterator<Item = f32> + '_ {
        self.values.iter().skip(label).step_by(self.labels).copied()
    }

    /// The first so many labels of every row.
    ///
    /// # Panics
    /// When there are fewer.
    #[must_use]
    pub fn leading(&self, labels: usize) -> Self {
        assert!(labels > 0 && labels <= self.labels, "some of {} labels, found {labels}; this is a bug", self.labels);
        Self { labels, values: self.values.chunks_exact(self.labels).flat_map(|row| &row[..labels]).copied().collect() }
    }

    /// The given rows, in the order given.
    ///
    /// # Panics
    /// When an index is out of range.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        Self { labels: self.labels, values: rows.iter().flat_map(|&row| self.row(row).iter().copied()).collect() }
    }
}
