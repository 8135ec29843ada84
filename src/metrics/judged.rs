//! Rows with their scores, truth and decisions, measured as they are or resampled.

use super::bootstrap::{Resampling, bootstrap};
use super::column::{Column, auroc_of, average_precision_of, brier_of, log_loss_of};
use super::counts::ratio;
use super::figures::{Intervals, LabelFigures, Report, Summary};
use super::reliability::{BINS, bins_of, debiased_error_of, error_of};
use super::{Counts, Interval, MetricsError};
use crate::decide::{Probabilities, Thresholds};
use crate::spec::Targets;

/// Scores, truth and decisions of the same rows.
#[derive(Debug, Clone)]
pub struct Judged<'a> {
    targets: &'a Targets,
    decisions: Targets,
    thresholds: Option<Vec<f64>>,
    columns: Vec<Column>,
}

/// One figure of two systems on the same rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The figure, a name of [`Summary::NAMES`].
    pub figure: &'static str,
    /// The left system's less the right one's; none when either is undefined.
    pub difference: Option<f64>,
    /// Its paired bootstrap interval.
    pub interval: Option<Interval>,
}

impl<'a> Judged<'a> {
    /// Rows decided by one threshold a label.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] when rows or labels differ, [`MetricsError::Empty`] without rows,
    /// [`MetricsError::Decide`] for thresholds of another number.
    pub fn new(probabilities: &Probabilities, targets: &'a Targets, thresholds: &Thresholds) -> Result<Self, MetricsError> {
        let judged = Self::decided(probabilities, targets, thresholds.decide(probabilities)?)?;
        Ok(Self { thresholds: Some(thresholds.values().to_vec()), ..judged })
    }

    /// Rows whose decisions were made elsewhere, such as fold by fold.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] when rows or labels differ, [`MetricsError::Empty`] without rows.
    pub fn decided(probabilities: &Probabilities, targets: &'a Targets, decisions: Targets) -> Result<Self, MetricsError> {
        MetricsError::same("labels in the targets", probabilities.labels(), targets.labels())?;
        MetricsError::same("labels in the decisions", probabilities.labels(), decisions.labels())?;
        MetricsError::same("rows of targets", probabilities.rows(), targets.rows())?;
        MetricsError::same("rows of decisions", probabilities.rows(), decisions.rows())?;
        if targets.rows() == 0 {
            return Err(MetricsError::Empty);
        }
        let columns = (0..targets.labels()).map(|label| Column::new(probabilities.column(label), targets.column(label))).collect();
        Ok(Self { targets, decisions, thresholds: None, columns })
    }

    /// Every figure.
    #[must_use]
    pub fn report(&self) -> Report {
        let (summary, labels) = self.measure(&vec![1; self.targets.rows()]);
        Report { rows: self.targets.rows(), summary, labels }
    }

    /// The bootstrap interval of every figure. The interval of a calibration error lies high: a
    /// resample repeats rows, which looks like miscalibration.
    #[must_use]
    pub fn intervals(&self, resampling: Resampling) -> Intervals {
        let cells = bootstrap(self.targets.rows(), resampling, |weights| {
            let (summary, labels) = self.measure(weights);
            summary.cells().into_iter().chain(labels.iter().flat_map(LabelFigures::cells)).collect()
        });
        let mut cells = cells.into_iter();
        let Resampling { resamples, seed, level } = resampling;
        let summary = Summary::from_cells(&mut cells);
        let labels = self.columns.iter().map(|_| LabelFigures::from_cells(&mut cells)).collect();
        Intervals { resamples, seed, level, summary, labels }
    }

    fn measure(&self, weights: &[u32]) -> (Summary<f64>, Vec<LabelFigures<f64>>) {
        let counts: Vec<Counts> = (0..self.columns.len()).map(|label| self.counts(label, weights)).collect();
        let labels: Vec<_> = (0..self.columns.len()).map(|label| self.label(label, &counts[label], weights)).collect();
        (self.summary(&counts, &labels, weights), labels)
    }

    fn counts(&self, label: usize, weights: &[u32]) -> Counts {
        let mut counts = Counts::default();
        let cells = self.decisions.column(label).zip(self.targets.column(label)).zip(weights);
        cells.for_each(|((predicted, held), weight)| counts.add(predicted, held, u64::from(*weight)));
        counts
    }

    fn label(&self, label: usize, counts: &Counts, weights: &[u32]) -> LabelFigures<f64> {
        let groups = self.columns[label].groups(weights);
        let bins = bins_of(&groups, BINS);
        LabelFigures {
            support: counts.support() as f64,
            predicted: counts.predicted() as f64,
            precision: counts.precision(),
            recall: counts.recall(),
            f1: counts.f1(),
            true_positives: counts.true_positives as f64,
            false_positives: counts.false_positives as f64,
            false_negatives: counts.false_negatives as f64,
            true_negatives: counts.true_negatives as f64,
            average_precision: average_precision_of(&groups),
            auroc: auroc_of(&groups),
            log_loss: log_loss_of(&groups),
            brier: brier_of(&groups),
            ece: error_of(&bins),
            ece_debiased: debiased_error_of(&bins),
            threshold: self.thresholds.as_ref().map(|values| values[label]),
        }
    }

    fn summary(&self, counts: &[Counts], labels: &[LabelFigures<f64>], weights: &[u32]) -> Summary<f64> {
        let all = counts.iter().copied().fold(Counts::default(), Counts::merge);
        let rows: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let mean = |figure: fn(&LabelFigures<f64>) -> f64| labels.iter().map(figure).sum::<f64>() / labels.len() as f64;
        let rowwise = self.rowwise(weights);
        Summary {
            macro_f1: mean(|label| label.f1),
            macro_precision: mean(|label| label.precision),
            macro_recall: mean(|label| label.recall),
            micro_f1: all.f1(),
            micro_precision: all.precision(),
            micro_recall: all.recall(),
            samples_f1: rowwise.f1 / rows as f64,
            jaccard: rowwise.jaccard / rows as f64,
            exact_match: rowwise.exact as f64 / rows as f64,
            flat_accuracy: all.accuracy(),
            mean_average_precision: mean_of_defined(labels.iter().map(|label| label.average_precision)),
            mean_auroc: mean_of_defined(labels.iter().map(|label| label.auroc)),
            log_loss: mean(|label| label.log_loss),
            brier: mean(|label| label.brier),
            ece: mean(|label| label.ece),
            ece_debiased: mean(|label| label.ece_debiased),
            cardinality: ratio(all.support(), rows),
            predicted_cardinality: ratio(all.predicted(), rows),
        }
    }

    fn rowwise(&self, weights: &[u32]) -> Rowwise {
        let mut sums = Rowwise::default();
        for (row, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0) {
            let (held, given) = (self.targets.row(row), self.decisions.row(row));
            let both = held.iter().zip(given).filter(|(held, given)| **held && **given).count();
            let sizes = held.iter().chain(given).filter(|set| **set).count();
            let share = |part: usize, whole: usize| if whole == 0 { 1.0 } else { part as f64 / whole as f64 };
            sums.f1 += share(2 * both, sizes) * f64::from(*weight);
            sums.jaccard += share(both, sizes - both) * f64::from(*weight);
            sums.exact += u64::from(held == given) * u64::from(*weight);
        }
        sums
    }
}

/// Sums over rows.
#[derive(Default)]
struct Rowwise {
    f1: f64,
    jaccard: f64,
    exact: u64,
}

fn mean_of_defined(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) = values.flatten().fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

impl Report {
    /// Every figure of rows decided by one threshold a label.
    ///
    /// # Errors
    /// As [`Judged::new`].
    pub fn measure(probabilities: &Probabilities, targets: &Targets, thresholds: &Thresholds) -> Result<Self, MetricsError> {
        Judged::new(probabilities, targets, thresholds).map(|judged| judged.report())
    }
}

/// The difference of every summary figure between two systems on the same rows, with intervals
/// from resamples that draw the same rows for both: far narrower than the two intervals apart.
///
/// # Errors
/// [`MetricsError::Shape`] unless both judged the same rows against the same truth.
pub fn paired_differences(left: &Judged<'_>, right: &Judged<'_>, resampling: Resampling) -> Result<Vec<Difference>, MetricsError> {
    MetricsError::same("labels on the right", left.targets.labels(), right.targets.labels())?;
    MetricsError::same("rows on the right", left.targets.rows(), right.targets.rows())?;
    let disagree = left.targets.each_row().zip(right.targets.each_row()).filter(|(left, right)| left != right).count();
    MetricsError::same("rows whose truth differs", 0, disagree)?;
    let differences = |weights: &[u32]| -> Vec<Option<f64>> {
        let (left, right) = (left.measure(weights).0.cells(), right.measure(weights).0.cells());
        left.into_iter().zip(right).map(|(left, right)| Some(left? - right?)).collect()
    };
    let point = differences(&vec![1; left.targets.rows()]);
    let intervals = bootstrap(left.targets.rows(), resampling, differences);
    let named = Summary::<f64>::NAMES.iter().zip(point).enumerate();
    Ok(named.map(|(at, (figure, difference))| Difference { figure, difference, interval: intervals.get(at).copied().flatten() }).collect())
}
