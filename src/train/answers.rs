//! What is to be learnt of some rows: for every label a yes, a no, something between, or nothing.
//!
//! [`Targets`] are what people said, and what is measured against. Answers are what a fit learns:
//! they may be softened by a teacher, and a row may leave a label unanswered because the data set
//! it comes from does not ask for it.

use std::ops::Deref;

use crate::spec::{Matrix, Targets};

/// A matrix of answers: numbers in `[0, 1]`, NaN where absent.
#[derive(Debug, Clone)]
pub struct Answers(Matrix<f32>);

impl Answers {
    /// What people said, every label answered.
    #[must_use]
    pub fn of(targets: &Targets) -> Self {
        Self::placed(targets, 0, targets.labels())
    }

    /// What people said, as the labels from `first` on of `labels`; the others are absent.
    ///
    /// # Panics
    /// When the labels do not fit.
    #[must_use]
    pub fn placed(targets: &Targets, first: usize, labels: usize) -> Self {
        assert!(first + targets.labels() <= labels, "labels lie inside the head; anything else, this is a bug");
        let mut answers = Matrix::filled(targets.rows(), labels, f32::NAN);
        for (row, held) in targets.each_row().enumerate() {
            let answers = answers.row_mut(row)[first..].iter_mut();
            answers.zip(held).for_each(|(answer, &held)| *answer = f32::from(u8::from(held)));
        }
        Self(answers)
    }

    /// These answers with a teacher's probabilities mixed in: `(1 - weight) answer + weight
    /// probability`. What is absent stays so.
    ///
    /// # Panics
    /// When there is not one probability an answer.
    #[must_use]
    pub fn softened(&self, probabilities: &[f32], weight: f64) -> Self {
        assert_eq!(self.values().len(), probabilities.len(), "one probability an answer; anything else, this is a bug");
        let mixed = |(&answer, &soft): (&f32, &f32)| ((1.0 - weight) * f64::from(answer) + weight * f64::from(soft)) as f32;
        let values = self.values().iter().zip(probabilities).map(mixed).collect();
        Self(Matrix::new(self.rows(), self.labels(), values).expect("one value an answer; anything else, this is a bug"))
    }

    /// The same rows with more labels after their own, which they do not answer.
    ///
    /// # Panics
    /// When there would be fewer labels.
    #[must_use]
    pub fn widened(&self, labels: usize) -> Self {
        assert!(labels >= self.labels(), "a head grows; anything else, this is a bug");
        let mut answers = Matrix::filled(self.rows(), labels, f32::NAN);
        for (row, own) in self.each_row().enumerate() {
            answers.row_mut(row)[..own.len()].copy_from_slice(own);
        }
        Self(answers)
    }

    /// These rows, then the other's.
    ///
    /// # Panics
    /// When the labels are not as many.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Self {
        Self(self.0.join(&other.0).expect("one head; anything else, this is a bug"))
    }

    /// Rows that say yes to `label`, and rows that answer it at all. A soft answer counts as much
    /// as it says.
    ///
    /// # Panics
    /// When `label` is out of range.
    #[must_use]
    pub fn count(&self, label: usize) -> (f64, f64) {
        let answers = self.column(label).filter(|answer| !answer.is_nan());
        answers.fold((0.0, 0.0), |(yes, all), answer| (yes + f64::from(answer), all + 1.0))
    }

    /// The answers as yes and no, for measuring: yes from one half on.
    ///
    /// # Panics
    /// Never: the shape is this matrix's own.
    #[must_use]
    pub fn targets(&self) -> Targets {
        let values = self.values().iter().map(|&answer| answer >= 0.5).collect();
        Targets::new(self.rows(), self.labels(), values).expect("the shape is a matrix's; anything else, this is a bug")
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
impl Deref for Answers {
    type Target = Matrix<f32>;

    fn deref(&self) -> &Matrix<f32> {
        &self.0
    }
}
