//! F1, precision and recall of every label, with their intervals.

use super::{Plot, View, named};
use crate::train::TrainError;
use crate::train::report::draw::{ACCENT, Caption, Mark, Row, SECOND, Scale, THIRD, whiskers};

pub(super) fn plot(view: &View<'_>) -> Result<Plot, TrainError> {
    let figures = [("f1", ACCENT), ("precision", SECOND), ("recall", THIRD)];
    let rows: Vec<Row> = (view.labels().names().iter().enumerate())
        .map(|(label, name)| {
            let marks = figures.iter().map(|&(figure, tone)| Mark { tone, figure: view.figure(label, figure) });
            Row { name: name.clone(), marks: marks.collect() }
        })
        .collect();
    let caption = Caption {
        title: "F1, precision and recall".to_owned(),
        note: format!("{} rows; lines are 95 % bootstrap intervals", view.rows().len()),
        about: "For every label three values between 0 and 1, each with its interval. The table of labels holds the same numbers."
            .to_owned(),
    };
    Ok(Plot {
        name: named(view, "scores"),
        title: "How well each label is told",
        lead: "F1 is written out. Long lines belong to rare labels: there the figure could have come out quite differently.".to_owned(),
        legend: vec![(ACCENT, "F1".to_owned()), (SECOND, "precision".to_owned()), (THIRD, "recall".to_owned())],
        panels: vec![whiskers(caption, &rows, &Scale::share())?],
        columns: 1,
    })
}
