//! A matrix of raw scores, one row a text.

use std::ops::Deref;

use super::DecideError;
use crate::spec::Matrix;

/// Raw scores of a batch. Every value is finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Logits(Matrix<f32>);

impl Logits {
    /// Takes row-major `values`.
    ///
    /// # Errors
    /// [`DecideError::Shape`] when the length is no multiple of `labels`, or `labels` is zero;
    /// [`DecideError::NotFinite`] for the first NaN or infinity.
    pub fn new(labels: usize, values: Vec<f32>) -> Result<Self, DecideError> {
        let matrix = DecideError::rows("logits a row", labels, values)?;
        if let Some(index) = matrix.values().iter().position(|value| !value.is_finite()) {
            let (row, label) = (index / labels, index % labels);
            return Err(DecideError::NotFinite { row, label, value: matrix.row(row)[label] });
        }
        Ok(Self(matrix))
    }

    /// The first so many labels of every row.
    ///
    /// # Panics
    /// When there are fewer.
    #[must_use]
    pub fn leading(&self, labels: usize) -> Self {
        let values = self.each_row().flat_map(|row| &row[..labels]).copied().collect();
        Self(Matrix::new(self.rows(), labels, values).expect("a label or more of every row; anything else, this is a bug"))
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
impl Deref for Logits {
    type Target = Matrix<f32>;

    fn deref(&self) -> &Matrix<f32> {
        &self.0
    }
}
