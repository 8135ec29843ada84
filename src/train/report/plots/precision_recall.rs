//! Precision against recall, for every threshold there is.

use super::view::LabelView;
use super::{Plot, View, named};
use crate::metrics::{Cut, cuts};
use crate::train::TrainError;
use crate::train::report::draw::{Axes, Axis, Caption, INK, MUTED, Panel, Point, SMALL, of, words};

/// Recall that a curve moves before another of its points is drawn; finer is not seen.
const FINE: f64 = 0.004;

pub(super) fn plot(view: &View<'_>) -> Result<Plot, TrainError> {
    let panels = view.each().map(|label| panel(view, &label)).collect::<Result<_, _>>()?;
    Ok(Plot {
        name: named(view, "precision-recall"),
        title: "Precision and recall",
        lead:
            "AP, the average precision, is the area under the steps, with its 95 % interval. The broken line is what guessing gives: the \
               label's prevalence. The dot is where the reported decisions stand."
                .to_owned(),
        legend: Vec::new(),
        panels,
        columns: 4,
    })
}

fn panel(view: &View<'_>, label: &LabelView<'_>) -> Result<Panel, TrainError> {
    let cuts = cuts(&label.scores, &label.held)?;
    let held = label.held.iter().filter(|held| **held).count();
    let prevalence = held as f64 / label.held.len() as f64;
    let precision = words::figure(view.figure(label.index, "average_precision").as_ref());
    let caption = Caption {
        title: label.name.to_owned(),
        note: format!("AP {precision}; {held} hold it"),
        about: format!("Precision against recall; average precision {precision}, prevalence {}.", words::percent(prevalence)),
    };
    let axes = Axes::new(SMALL, Axis::share("recall"), Axis::share("precision"));
    let decided = (view.figure(label.index, "recall"), view.figure(label.index, "precision"));
    Panel::draw(caption, SMALL, |canvas| {
        axes.paint(canvas)?;
        canvas.dashes(axes.place(0.0, prevalence), axes.place(1.0, prevalence), MUTED)?;
        if held == 0 {
            return Ok(());
        }
        canvas.path(steps(&cuts).into_iter().map(|(recall, precision)| axes.place(recall, precision)), of(label.index), 2.0)?;
        match decided {
            (Some(recall), Some(precision)) => canvas.dot(axes.place(recall.value, precision.value), 4.0, INK),
            _ => Ok(()),
        }
    })
}

/// The curve as average precision sums it: recall gained at a cut has that cut's precision. Cuts that
/// gain less than [`FINE`] wait for the next, but the last always stands.
fn steps(cuts: &[Cut]) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    let mut reached = 0.0;
    for (index, cut) in cuts.iter().enumerate() {
        let (recall, precision) = (cut.counts.recall(), cut.counts.precision());
        let whole = recall >= 1.0 || index + 1 == cuts.len();
        if recall - reached < FINE && !(whole && recall > reached) {
            continue;
        }
        points.extend([(reached, precision), (recall, precision)]);
        reached = recall;
    }
    points
}
