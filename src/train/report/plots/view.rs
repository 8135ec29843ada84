//! One measured set of rows as plots see it: figures from the report, rows from the run folder.

use crate::bundle::{Figure, MeasuredSet};
use crate::decide::Probabilities;
use crate::spec::{Activation, LabelSet, Targets};
use crate::train::{ScoredRows, TrainError};

/// A set of rows, what was said of each, and the figures measured on them.
///
/// Figures and their intervals are the report's; what is drawn beside them comes from the same rows,
/// through the same functions of `metrics`.
pub struct View<'a> {
    labels: &'a LabelSet,
    set: &'a MeasuredSet,
    rows: &'a ScoredRows,
    thresholds: &'a [f64],
    plain: Probabilities,
}

/// One label over all rows.
pub(super) struct LabelView<'a> {
    /// Its position.
    pub(super) index: usize,
    pub(super) name: &'a str,
    /// Calibrated probabilities.
    pub(super) scores: Vec<f32>,
    /// Probabilities before calibration.
    pub(super) plain: Vec<f32>,
    /// Which rows hold it.
    pub(super) held: Vec<bool>,
    /// Which rows were given it.
    pub(super) given: Vec<bool>,
    /// The threshold that decided; the one that ships where several did, as out of fold.
    pub(super) threshold: f64,
}

impl<'a> View<'a> {
    /// Takes figures and rows of the same set; `thresholds` are those that ship, `activation` is what
    /// made probabilities of logits before calibration.
    ///
    /// # Errors
    /// [`TrainError::Scored`] when rows, labels or thresholds are not those of the figures.
    pub fn new(
        labels: &'a LabelSet,
        set: &'a MeasuredSet,
        rows: &'a ScoredRows,
        thresholds: &'a [f64],
        activation: Activation,
    ) -> Result<Self, TrainError> {
        let sizes = [
            ("rows in the report", rows.len(), set.rows),
            ("labels in the report", rows.targets().labels(), labels.len()),
            ("thresholds", labels.len(), thresholds.len()),
        ];
        if let Some(&(what, expected, found)) = sizes.iter().find(|(_, expected, found)| expected != found) {
            return Err(TrainError::Scored { what, expected, found });
        }
        let plain = Probabilities::of(rows.logits(), activation);
        Ok(Self { labels, set, rows, thresholds, plain })
    }

    /// The labels, in order.
    #[must_use]
    pub fn labels(&self) -> &'a LabelSet {
        self.labels
    }

    /// The figures.
    #[must_use]
    pub fn set(&self) -> &'a MeasuredSet {
        self.set
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &'a ScoredRows {
        self.rows
    }

    /// The thresholds that ship, in label order.
    #[must_use]
    pub fn thresholds(&self) -> &'a [f64] {
        self.thresholds
    }

    /// Which labels rows hold.
    pub(super) fn targets(&self) -> &'a Targets {
        self.rows.targets()
    }

    /// Which labels rows were given.
    pub(super) fn decisions(&self) -> &'a Targets {
        self.rows.decisions()
    }

    /// A reported figure over all labels.
    pub(super) fn overall(&self, name: &str) -> Option<Figure> {
        self.set.tuned.overall.get(name).copied()
    }

    /// A reported figure of one label.
    pub(crate) fn figure(&self, label: usize, name: &str) -> Option<Figure> {
        self.set.tuned.labels.get(&self.labels.names()[label])?.get(name).copied()
    }

    /// Label after label.
    pub(super) fn each(&self) -> impl Iterator<Item = LabelView<'a>> + '_ {
        self.labels.names().iter().enumerate().map(|(index, name)| LabelView {
            index,
            name,
            scores: self.rows.probabilities().column(index).collect(),
            plain: self.plain.column(index).collect(),
            held: self.targets().column(index).collect(),
            given: self.decisions().column(index).collect(),
            threshold: self.figure(index, "threshold").map_or(self.thresholds[index], |figure| figure.value),
        })
    }
}
