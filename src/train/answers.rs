//! What is to be learnt of some rows: for every label a yes, a no, something between, or nothing.
//!
//! [`Targets`] are what people said, and what is measured against. Answers are what a fit learns:
//! they may be softened by a teacher, and a row may leave a label unanswered because the data set
//! it comes from does not ask for it.

use crate::spec::Targets;

/// A matrix of answers, `rows x labels`, row-major: numbers in `[0, 1]`, or absent.
#[derive(Debug, Clone)]
pub struct Answers {
    labels: usize,
    /// NaN where absent.
    values: Vec<f32>,
}

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
        let mut values = vec![f32::NAN; targets.rows() * labels];
        for (row, values) in values.chunks_exact_mut(labels).enumerate() {
            for (value, &held) in values[first..].iter_mut().zip(targets.row(row)) {
                *value = f32::from(u8::from(held));
            }
        }
        Self { labels, values }
    }

    /// These answers with a teacher's probabilities mixed in, row-major: `(1 - weight) answer +
    /// weight probability`. What is absent stays so.
    ///
    /// # Panics
    /// When there is not one probability an answer.
    #[must_use]
    pub fn softened(&self, probabilities: &[f32], weight: f64) -> Self {
        assert_eq!(self.values.len(), probabilities.len(), "one probability an answer; anything else, this is a bug");
        let mixed = |(&answer, &soft): (&f32, &f32)| ((1.0 - weight) * f64::from(answer) + weight * f64::from(soft)) as f32;
        Self { labels: self.labels, values: self.values.iter().zip(probabilities).map(mixed).collect() }
    }

    /// The same rows with more labels after their own, which they do not answer.
    ///
    /// # Panics
    /// When there would be fewer labels.
    #[must_use]
    pub fn widened(&self, labels: usize) -> Self {
        assert!(labels >= self.labels, "a head grows; anything else, this is a bug");
        let absent = vec![f32::NAN; labels - self.labels];
        Self { labels, values: (0..self.rows()).flat_map(|row| self.row(row).iter().chain(&absent).copied()).collect() }
    }

    /// These rows, then the other's.
    ///
    /// # Panics
    /// When the labels are not as many.
    #[must_use]
    pub fn joined(mut self, other: &Self) -> Self {
        assert_eq!(self.labels, other.labels, "one head; anything else, this is a bug");
        self.values.extend_from_slice(&other.values);
        self
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

    /// One row's answers in label order, NaN where absent.
    ///
    /// # Panics
    /// When `row` is out of range.
    #[must_use]
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.labels..(row + 1) * self.labels]
    }

    /// Rows that say yes to `label`, and rows that answer it at all. A soft answer counts as much
    /// as it says.
    #[must_use]
    pub fn count(&self, label: usize) -> (f64, f64) {
        let answers = self.values.iter().skip(label).step_by(self.labels).filter(|value| !value.is_nan());
        answers.fold((0.0, 0.0), |(yes, all), &value| (yes + f64::from(value), all + 1.0))
    }

    /// The answers as yes and no, for measuring: yes from one half on.
    ///
    /// # Panics
    /// Never: the shape is this matrix's own.
    #[must_use]
    pub fn targets(&self) -> Targets {
        let values = self.values.iter().map(|&value| value >= 0.5).collect();
        Targets::new(self.rows(), self.labels, values).expect("the shape is a matrix's; anything else, this is a bug")
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
