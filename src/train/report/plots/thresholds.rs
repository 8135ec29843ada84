//! What each threshold would give: F1, precision and recall over the whole range.

use super::view::LabelView;
use super::{Plot, View, named};
use crate::metrics::{Counts, Cut, cuts};
use crate::train::TrainError;
use crate::train::report::draw::{ACCENT, Axes, Axis, Caption, INK, MUTED, Panel, SECOND, SMALL, THIRD};

/// Thresholds tried between 0 and 1.
const STEPS: u32 = 100;

pub(super) fn plot(view: &View<'_>) -> Result<Plot, TrainError> {
    let panels = view.each().map(|label| panel(view, &label)).collect::<Result<_, _>>()?;
    Ok(Plot {
        name: named(view, "thresholds"),
        title: "Thresholds",
        lead: "What would follow if the label were given from the threshold on upwards. The upright line is the threshold that decided, out of fold the one that ships; a \
               flat top around it says that its exact place matters little. Precision ends where no row is left."
            .to_owned(),
        legend: vec![(ACCENT, "F1 (thick)".to_owned()), (SECOND, "precision".to_owned()), (THIRD, "recall (falls)".to_owned())],
        panels,
        columns: 4,
    })
}

fn panel(view: &View<'_>, label: &LabelView<'_>) -> Result<Panel, TrainError> {
    let cuts = cuts(&label.scores, &label.held)?;
    let at = |threshold: f64| counts(&cuts, threshold);
    let grid: Vec<(f64, Counts)> = (0..=STEPS).map(|step| f64::from(step) / f64::from(STEPS)).map(|t| (t, at(t))).collect();
    let chosen = at(label.threshold).f1();
    let reported = view.figure(label.index, "f1").map(|figure| format!("; reported F1 {:.3}", figure.value)).unwrap_or_default();
    let caption = Caption {
        title: label.name.to_owned(),
        note: format!("threshold {:.3}: F1 {chosen:.3}{reported}", label.threshold),
        about: format!("F1, precision and recall against the threshold; F1 is {chosen:.3} at the threshold {:.3}.", label.threshold),
    };
    let axes = Axes::new(SMALL, Axis::share("threshold"), Axis::share("value"));
    Panel::draw(caption, SMALL, |canvas| {
        axes.paint(canvas)?;
        canvas.dashes(axes.place(label.threshold, 0.0), axes.place(label.threshold, 1.0), MUTED)?;
        let given = grid.iter().filter(|(_, counts)| counts.predicted() > 0);
        canvas.path(given.map(|(t, counts)| axes.place(*t, counts.precision())), SECOND, 1.3)?;
        canvas.path(grid.iter().map(|(t, counts)| axes.place(*t, counts.recall())), THIRD, 1.3)?;
        canvas.path(grid.iter().map(|(t, counts)| axes.place(*t, counts.f1())), ACCENT, 2.4)?;
        canvas.dot(axes.place(label.threshold, chosen), 4.0, INK)
    })
}

/// The counts of `score >= threshold`: those of the lowest cut that reaches it; without one nothing is
/// given, and F1 and recall are 0.
fn counts(cuts: &[Cut], threshold: f64) -> Counts {
    let above = cuts.partition_point(|cut| cut.score >= threshold);
    above.checked_sub(1).map_or_else(Counts::default, |last| cuts[last].counts)
}
