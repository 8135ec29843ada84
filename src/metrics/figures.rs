//! The figures of a report as plain values: the same shape for numbers and for their intervals.

use serde::Serialize;

use super::Interval;

/// A report: every figure of the rows judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Rows judged.
    pub rows: usize,
    /// Over all labels.
    pub summary: Summary<f64>,
    /// Each label, in label order.
    pub labels: Vec<LabelFigures<f64>>,
}

/// Bootstrap intervals of a report's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Intervals {
    /// Resamples drawn.
    pub resamples: usize,
    /// The seed of the draws.
    pub seed: u64,
    /// Share of the resamples inside each interval.
    pub level: f64,
    /// Over all labels.
    pub summary: Summary<Interval>,
    /// Each label, in label order.
    pub labels: Vec<LabelFigures<Interval>>,
}

/// Declares a struct of figures, those that always exist and those that may not, with their names
/// and the way to and from a list of cells.
macro_rules! figures {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident,)* } maybe { $($(#[$maybe_doc:meta])* $maybe:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Serialize)]
        pub struct $name<T> {
            $($(#[$field_doc])* pub $field: T,)*
            $($(#[$maybe_doc])* pub $maybe: Option<T>,)*
        }

        impl<T: Copy> $name<T> {
            /// The figures' names, in the order of [`cells`](Self::cells).
            pub const NAMES: &'static [&'static str] = &[$(stringify!($field),)* $(stringify!($maybe),)*];

            /// The figures in order.
            #[must_use]
            pub fn cells(&self) -> Vec<Option<T>> {
                vec![$(Some(self.$field),)* $(self.$maybe,)*]
            }

            /// Takes as many cells as there are figures.
            pub(super) fn from_cells(cells: &mut impl Iterator<Item = Option<T>>) -> Self {
                Self {
                    $($field: cells.next().flatten().expect("this figure exists on every row set; its absence is a bug"),)*
                    $($maybe: cells.next().flatten(),)*
                }
            }
        }
    };
}

figures! {
    /// Figures over all labels. Means over labels weigh each label alike.
    Summary {
        /// Mean F1 over labels, labels without rows included.
        macro_f1,
        /// Mean precision over labels.
        macro_precision,
        /// Mean recall over labels.
        macro_recall,
        /// F1 of all decisions together.
        micro_f1,
        /// Precision of all decisions together.
        micro_precision,
        /// Recall of all decisions together.
        micro_recall,
        /// Mean F1 over rows; 1 for a row with no label, predicted none.
        samples_f1,
        /// Mean Jaccard index over rows, the official measure of SemEval-2018 E-c; 1 for a row with no
        /// label, predicted none.
        jaccard,
        /// Share of rows whose labels are all right.
        exact_match,
        /// Share of all decisions, one a row and label, that are right: one less Hamming's loss. High
        /// wherever labels are rare, whatever is predicted.
        flat_accuracy,
        /// Mean log-loss over labels, in nats.
        log_loss,
        /// Mean Brier score over labels.
        brier,
        /// Mean over labels of the calibration error, 15 bins of equal mass.
        ece,
        /// Mean over labels of the calibration error less what chance puts there.
        ece_debiased,
        /// Mean number of labels a row holds.
        cardinality,
        /// Mean number of labels a row was given.
        predicted_cardinality,
    } maybe {
        /// Mean average precision over the labels for which it is defined; none when it is for none.
        mean_average_precision,
        /// Mean AUROC over the labels for which it is defined; none when it is for none.
        mean_auroc,
    }
}

impl Summary<f64> {
    /// Figures that no threshold changes.
    pub const THRESHOLD_FREE: &'static [&'static str] =
        &["log_loss", "brier", "ece", "ece_debiased", "cardinality", "mean_average_precision", "mean_auroc"];
    /// Figures that are better when they are lower.
    pub const LOWER_IS_BETTER: &'static [&'static str] = &["log_loss", "brier", "ece", "ece_debiased"];
    /// Figures that describe and do not judge.
    pub const DESCRIPTIVE: &'static [&'static str] = &["cardinality", "predicted_cardinality"];
}

impl LabelFigures<f64> {
    /// Figures that no threshold changes.
    pub const THRESHOLD_FREE: &'static [&'static str] =
        &["support", "log_loss", "brier", "ece", "ece_debiased", "average_precision", "auroc"];
}

figures! {
    /// Figures of one label.
    LabelFigures {
        /// Rows that hold the label.
        support,
        /// Rows that were given the label.
        predicted,
        /// Share of the given that is right.
        precision,
        /// Share of the held that was given.
        recall,
        /// Harmonic mean of the two.
        f1,
        /// Rows that hold the label and were given it.
        true_positives,
        /// Rows that were given the label and do not hold it.
        false_positives,
        /// Rows that hold the label and were not given it.
        false_negatives,
        /// Rows that neither hold the label nor were given it.
        true_negatives,
        /// Log-loss, in nats.
        log_loss,
        /// Brier score.
        brier,
        /// Calibration error, 15 bins of equal mass.
        ece,
        /// Calibration error less what chance puts there.
        ece_debiased,
    } maybe {
        /// Average precision; none when all rows hold the label or none does.
        average_precision,
        /// AUROC; none when all rows hold the label or none does.
        auroc,
        /// The threshold that decided; none when several did, as in cross-fitted decisions.
        threshold,
    }
}
