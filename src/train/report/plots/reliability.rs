//! Reliability diagrams: does a probability of 0.7 come true seven times in ten?

use super::view::LabelView;
use super::{Plot, View, named};
use crate::metrics::{BINS, Bin, calibration_error, reliability};
use crate::train::TrainError;
use crate::train::report::draw::{ACCENT, Axes, Axis, Canvas, Caption, MUTED, Painted, Panel, SMALL, of};

/// Radius of the bin with most rows.
const LARGEST: f64 = 5.0;

pub(super) fn plot(view: &View<'_>) -> Result<Plot, TrainError> {
    let panels = view.each().map(|label| panel(view, &label)).collect::<Result<_, _>>()?;
    Ok(Plot {
        name: named(view, "reliability"),
        title: "Reliability",
        lead: format!(
            "Rows are sorted by probability into at most {BINS} bins of equal size; each mark stands at a bin's mean probability and the \
             share of its rows that hold the label. On the broken line a probability means what it says. Filled: calibrated. Rings: the \
             plain sigmoid. A mark's area grows with its bin's rows."
        ),
        legend: vec![(ACCENT, "calibrated (in the label's colour)".to_owned()), (MUTED, "uncalibrated (rings)".to_owned())],
        panels,
        columns: 4,
    })
}

fn panel(view: &View<'_>, label: &LabelView<'_>) -> Result<Panel, TrainError> {
    let (before, after) = (reliability(&label.plain, &label.held, BINS)?, reliability(&label.scores, &label.held, BINS)?);
    let (plain, calibrated) = (calibration_error(&label.plain, &label.held)?, calibration_error(&label.scores, &label.held)?);
    let reported = view.figure(label.index, "ece").map_or(calibrated, |figure| figure.value);
    let caption = Caption {
        title: label.name.to_owned(),
        note: format!("ECE {reported:.3}, uncalibrated {plain:.3}; {} bins", after.len()),
        about: format!("Mean probability, share that holds the label and rows of each bin, calibrated: {}.", told(&after)),
    };
    let axes = Axes::new(SMALL, Axis::share("mean probability"), Axis::share("share that holds it"));
    Panel::draw(caption, SMALL, |canvas| {
        axes.paint(canvas)?;
        canvas.dashes(axes.place(0.0, 0.0), axes.place(1.0, 1.0), MUTED)?;
        rings(canvas, &axes, &before)?;
        let tone = of(label.index);
        canvas.path(after.iter().map(|bin| axes.place(bin.score, bin.held)), tone, 1.2)?;
        after.iter().try_for_each(|bin| canvas.dot(axes.place(bin.score, bin.held), radius(bin, &after), tone))
    })
}

fn rings(canvas: &Canvas<'_>, axes: &Axes, bins: &[Bin]) -> Painted {
    bins.iter().try_for_each(|bin| canvas.ring(axes.place(bin.score, bin.held), radius(bin, bins), MUTED))
}

fn radius(bin: &Bin, bins: &[Bin]) -> f64 {
    let most = bins.iter().map(|bin| bin.rows).max().unwrap_or(1);
    (LARGEST * (bin.rows as f64 / most as f64).sqrt()).max(1.5)
}

fn told(bins: &[Bin]) -> String {
    bins.iter().map(|bin| format!("{:.3}, {:.3}, {}", bin.score, bin.held, bin.rows)).collect::<Vec<_>>().join("; ")
}
