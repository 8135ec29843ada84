//! The one table that rooms share: a row a text, a column a label, values row after row.
//!
//! Its shape is checked once, when it is made. What its values may be is for those who wrap it to
//! say: a wrapper that refuses some of them lends its matrix out for reading only.

use super::SpecError;

/// Values of `rows x labels`, row-major. At least one label; possibly no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix<T> {
    labels: usize,
    values: Vec<T>,
}

impl<T: Copy> Matrix<T> {
    /// Takes row-major `values` of `rows x labels`.
    ///
    /// # Errors
    /// [`SpecError::Shape`] when the length is not `rows * labels` or `labels` is zero.
    pub fn new(rows: usize, labels: usize, values: Vec<T>) -> Result<Self, SpecError> {
        if labels == 0 || rows.checked_mul(labels) != Some(values.len()) {
            return Err(SpecError::Shape { rows, labels, found: values.len() });
        }
        Ok(Self { labels, values })
    }

    /// The same value everywhere.
    ///
    /// # Panics
    /// When `labels` is zero.
    #[must_use]
    pub fn filled(rows: usize, labels: usize, value: T) -> Self {
        assert!(labels > 0, "a matrix has a label at least; anything else, this is a bug");
        Self { labels, values: vec![value; rows * labels] }
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

    /// One row, in label order.
    ///
    /// # Panics
    /// When `row` is out of range.
    #[must_use]
    pub fn row(&self, row: usize) -> &[T] {
        &self.values[row * self.labels..(row + 1) * self.labels]
    }

    /// One row, to be written to.
    ///
    /// # Panics
    /// When `row` is out of range.
    pub fn row_mut(&mut self, row: usize) -> &mut [T] {
        &mut self.values[row * self.labels..(row + 1) * self.labels]
    }

    /// Row after row.
    pub fn each_row(&self) -> impl ExactSizeIterator<Item = &[T]> {
        self.values.chunks_exact(self.labels)
    }

    /// One label's values over all rows.
    ///
    /// # Panics
    /// When `label` is out of range.
    pub fn column(&self, label: usize) -> impl Iterator<Item = T> + '_ {
        assert!(label < self.labels, "one of {} labels, found {label}; this is a bug", self.labels);
        self.values.iter().skip(label).step_by(self.labels).copied()
    }

    /// All values, row-major.
    #[must_use]
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// All values, row-major.
    #[must_use]
    pub fn into_values(self) -> Vec<T> {
        self.values
    }

    /// The given rows, in the order given.
    ///
    /// # Panics
    /// When an index is out of range.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        Self { labels: self.labels, values: rows.iter().flat_map(|&row| self.row(row)).copied().collect() }
    }

    /// Puts the rows of another matrix in the given places, the first in the first of them: what
    /// [`Matrix::select`] took apart is together again.
    ///
    /// # Panics
    /// When there is not one place a row, when one is out of range, or when the labels are not as many.
    pub fn place(&mut self, places: &[usize], rows: &Self) {
        assert_eq!(places.len(), rows.rows(), "one place a row; anything else, this is a bug");
        for (&place, row) in places.iter().zip(rows.each_row()) {
            self.row_mut(place).copy_from_slice(row);
        }
    }

    /// These rows, then the other's.
    ///
    /// # Errors
    /// [`SpecError::Shape`] when the labels are not as many.
    pub fn join(&self, other: &Self) -> Result<Self, SpecError> {
        if self.labels != other.labels {
            return Err(SpecError::Shape { rows: other.rows(), labels: self.labels, found: other.values.len() });
        }
        Ok(Self { labels: self.labels, values: [&self.values[..], &other.values[..]].concat() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Matrix<u8> {
        Matrix::new(3, 2, vec![1, 2, 3, 4, 5, 6]).expect("three rows of two")
    }

    #[test]
    fn rows_and_columns_are_where_they_belong() {
        let matrix = sample();
        assert_eq!((matrix.rows(), matrix.labels(), matrix.row(1)), (3, 2, &[3, 4][..]));
        assert_eq!(matrix.each_row().map(|row| row[1]).collect::<Vec<_>>(), matrix.column(1).collect::<Vec<_>>());
        assert_eq!(matrix.column(1).collect::<Vec<_>>(), [2, 4, 6]);
        assert_eq!(matrix.select(&[2, 0, 2]).values(), [5, 6, 1, 2, 5, 6]);
        let mut placed = Matrix::filled(3, 2, 0);
        placed.place(&[2, 0], &matrix.select(&[2, 0]));
        assert_eq!(placed.into_values(), [1, 2, 0, 0, 5, 6]);
        assert_eq!(matrix.join(&matrix.select(&[0])).expect("two labels each").values(), [1, 2, 3, 4, 5, 6, 1, 2]);
    }

    #[test]
    fn another_shape_is_refused() {
        for (rows, labels, count) in [(2, 2, 3), (0, 0, 0), (1, 0, 0), (usize::MAX, 2, 4), (0, 2, 1)] {
            let found = Matrix::new(rows, labels, vec![0; count]);
            assert_eq!(found, Err(SpecError::Shape { rows, labels, found: count }), "{rows} x {labels}");
        }
        assert_eq!(Matrix::<u8>::new(0, 2, Vec::new()).expect("no row").rows(), 0);
        let wider = Matrix::new(1, 3, vec![7, 8, 9]).expect("one row of three");
        assert_eq!(sample().join(&wider), Err(SpecError::Shape { rows: 1, labels: 2, found: 3 }));
    }

    #[test]
    #[should_panic(expected = "one of 2 labels, found 2")]
    fn a_label_that_is_none_has_no_column() {
        let _ = sample().column(2);
    }
}
