//! Figures with intervals, in the words of a bundle's card.

use std::collections::BTreeMap;

use super::TrainError;
use crate::bundle::{Figure, Figures, MeasuredSet};
use crate::decide::{Probabilities, Thresholds};
use crate::metrics::{Interval, Intervals, Judged, LabelFigures, Report, Resampling, Summary};
use crate::spec::{LabelSet, Targets};

/// Rows, what was said of them, and what is known of how.
pub(super) struct Subject<'a> {
    /// Name of the set on the card.
    pub(super) name: &'a str,
    /// How the figures came about.
    pub(super) note: &'a str,
    pub(super) labels: &'a LabelSet,
    pub(super) probabilities: &'a Probabilities,
    pub(super) targets: &'a Targets,
}

/// Figures of decisions that were made fold by fold, and of the same probabilities cut at 0.5.
pub(super) fn decided(subject: &Subject<'_>, decisions: &Targets, resampling: Resampling) -> Result<MeasuredSet, TrainError> {
    let judged = Judged::decided(subject.probabilities, subject.targets, decisions.clone())?;
    measured(subject, figures(subject.labels, &judged, resampling), resampling)
}

/// Figures with the given thresholds, and of the same probabilities cut at 0.5.
pub(super) fn thresholded(subject: &Subject<'_>, thresholds: &Thresholds, resampling: Resampling) -> Result<MeasuredSet, TrainError> {
    let judged = Judged::new(subject.probabilities, subject.targets, thresholds)?;
    measured(subject, figures(subject.labels, &judged, resampling), resampling)
}

/// Figures of probabilities cut at 0.5 and nowhere else.
pub(super) fn at_half(subject: &Subject<'_>, resampling: Resampling) -> Result<MeasuredSet, TrainError> {
    measured(subject, Figures::default(), resampling)
}

fn measured(subject: &Subject<'_>, tuned: Figures, resampling: Resampling) -> Result<MeasuredSet, TrainError> {
    let half = Thresholds::uniform(subject.labels.len(), 0.5)?;
    let judged = Judged::new(subject.probabilities, subject.targets, &half)?;
    Ok(MeasuredSet {
        name: subject.name.to_owned(),
        rows: subject.targets.rows(),
        note: subject.note.to_owned(),
        tuned,
        at_half: figures(subject.labels, &judged, resampling),
    })
}

/// Every figure with its interval.
pub(super) fn figures(labels: &LabelSet, judged: &Judged<'_>, resampling: Resampling) -> Figures {
    let (report, intervals): (Report, Intervals) = (judged.report(), judged.intervals(resampling));
    let named = |names: &[&str], values: Vec<Option<f64>>, intervals: Vec<Option<Interval>>| -> BTreeMap<String, Figure> {
        let figure = |value: Option<f64>, interval: Option<Interval>| {
            let interval = interval.map(|interval| (interval.low, interval.high));
            value.map(|value| Figure { value, interval })
        };
        let cells = names.iter().zip(values).zip(intervals);
        cells.filter_map(|((name, value), interval)| Some(((*name).to_owned(), figure(value, interval)?))).collect()
    };
    let by_label = report.labels.iter().zip(&intervals.labels).zip(labels.names());
    Figures {
        overall: named(Summary::<f64>::NAMES, report.summary.cells(), intervals.summary.cells()),
        labels: by_label
            .map(|((report, intervals), name)| (name.clone(), named(LabelFigures::<f64>::NAMES, report.cells(), intervals.cells())))
            .collect(),
    }
}
