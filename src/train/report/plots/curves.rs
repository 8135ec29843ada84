//! Training curves: loss, learning rate, and every look at the held-out rows.

use serde::Deserialize;

use super::Plot;
use crate::train::TrainError;
use crate::train::report::draw::{ACCENT, Axes, Axis, Caption, MEDIUM, MUTED, Panel, Point, Tone, of, scientific};

/// Points a fit; more steps are drawn as means of neighbours.
const POINTS: usize = 120;
/// Up to so many fits each have a colour.
const COLOURED: usize = 8;

/// One line of `metrics.jsonl`: an optimiser step, or a look at the held-out rows.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StepOrLook {
    phase: String,
    #[serde(default)]
    step: Option<u64>,
    #[serde(default)]
    loss: Option<f64>,
    #[serde(default)]
    lr: Option<f64>,
    #[serde(default)]
    held_out_loss: Option<f64>,
    #[serde(default)]
    held_out_macro_f1: Option<f64>,
}

/// One fit's line of one value.
struct Curve {
    tone: Tone,
    points: Vec<Point>,
}

type Value = fn(&StepOrLook) -> Option<f64>;

pub(crate) fn plot(lines: &[StepOrLook]) -> Result<Plot, TrainError> {
    let mut phases: Vec<&str> = Vec::new();
    for line in lines {
        if !phases.contains(&line.phase.as_str()) {
            phases.push(&line.phase);
        }
    }
    let values: [(&str, Value); 4] = [
        ("Training loss", |line| line.loss),
        ("Held-out loss", |line| line.held_out_loss),
        ("Held-out macro-F1 at 0.5", |line| line.held_out_macro_f1),
        ("Learning rate", |line| line.lr),
    ];
    let panels = values.iter().map(|(title, value)| panel(title, &curves(lines, &phases, *value))).collect::<Result<Vec<_>, _>>()?;
    Ok(Plot {
        name: "training".to_owned(),
        title: "Training",
        lead: format!(
            "Against optimiser steps. A fit of more than {POINTS} steps is drawn as means of neighbouring steps. Held-out values are the \
             fold's own held-out rows, uncalibrated; the refit has none."
        ),
        legend: legend(&phases),
        panels: panels.into_iter().flatten().collect(),
        columns: 2,
    })
}

fn tone(phases: &[&str], index: usize) -> Tone {
    let last = index + 1 == phases.len();
    match (phases.len() <= COLOURED, last) {
        (true, _) => of(index),
        (false, true) => ACCENT,
        (false, false) => MUTED,
    }
}

fn legend(phases: &[&str]) -> Vec<(Tone, String)> {
    if phases.len() <= COLOURED {
        return phases.iter().enumerate().map(|(index, phase)| (of(index), (*phase).to_owned())).collect();
    }
    let (last, others) = phases.split_last().map_or(("", 0), |(last, others)| (*last, others.len()));
    vec![(ACCENT, last.to_owned()), (MUTED, format!("the {others} fits before"))]
}

fn curves(lines: &[StepOrLook], phases: &[&str], value: Value) -> Vec<Curve> {
    let of_phase = |(index, phase): (usize, &&str)| {
        let own = lines.iter().filter(|line| line.phase == **phase);
        let points: Vec<Point> = own.filter_map(|line| Some((line.step? as f64 + 1.0, value(line)?))).collect();
        Curve { tone: tone(phases, index), points: thinned(&points) }
    };
    phases.iter().enumerate().map(of_phase).filter(|curve| !curve.points.is_empty()).collect()
}

/// At most [`POINTS`] points, each the mean of neighbours.
fn thinned(points: &[Point]) -> Vec<Point> {
    let mean = |chunk: &[Point]| {
        let (x, y) = chunk.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        (x / chunk.len() as f64, y / chunk.len() as f64)
    };
    points.chunks(points.len().div_ceil(POINTS).max(1)).map(mean).collect()
}

/// None when no fit has such a value.
fn panel(title: &str, curves: &[Curve]) -> Result<Option<Panel>, TrainError> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let Some(last) = points().map(|point| point.0).reduce(f64::max) else { return Ok(None) };
    let (low, high) = points().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), point| (low.min(point.1), high.max(point.1)));
    let rate = title == "Learning rate";
    let margin = (high - low) * 0.05;
    let vertical = Axis::new("", if rate { 0.0 } else { low - margin }, high + margin);
    let axes = Axes::new(MEDIUM, Axis::new("step", 0.0, last), if rate { vertical.written(scientific) } else { vertical });
    let caption = Caption {
        title: title.to_owned(),
        note: if rate { format!("at most {high:.2e}") } else { format!("from {low:.4} to {high:.4}") },
        about: format!("{title} against optimiser steps up to {last:.0}, a line for each of {} fits.", curves.len()),
    };
    let painted = Panel::draw(caption, MEDIUM, |canvas| {
        axes.paint(canvas)?;
        for curve in curves {
            canvas.path(curve.points.iter().map(|point| axes.place(point.0, point.1)), curve.tone, 1.6)?;
            if curve.points.len() <= 20 {
                curve.points.iter().try_for_each(|point| canvas.dot(axes.place(point.0, point.1), 2.6, curve.tone))?;
            }
        }
        Ok(())
    });
    painted.map(Some)
}
