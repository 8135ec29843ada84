//! Right and wrong, yes and no: four counts a label.

use plotters::style::text_anchor::{HPos, VPos};

use super::view::LabelView;
use super::{Plot, View, named};
use crate::metrics::Counts;
use crate::train::TrainError;
use crate::train::report::draw::{ACCENT, Canvas, Caption, Face, HEAD, INK, MUTED, Painted, Panel, SECOND, Tone, words};

const SIZE: (f64, f64) = (270.0, 180.0);
const CELL: (f64, f64) = (96.0, 50.0);
const LEFT: f64 = 66.0;
const TOP: f64 = HEAD + 24.0;
/// The strongest cell still lets ink be read.
const STRONGEST: f64 = 0.5;

pub(super) fn plot(view: &View<'_>) -> Result<Plot, TrainError> {
    let panels = view.each().map(|label| panel(&label)).collect::<Result<_, _>>()?;
    Ok(Plot {
        name: named(view, "confusion"),
        title: "Confusion",
        lead:
            "Rows that hold the label above, rows that do not below; given the label on the left. Percentages are of the line, and so is \
               the strength of the colour."
                .to_owned(),
        legend: vec![(ACCENT, "right".to_owned()), (SECOND, "wrong".to_owned())],
        panels,
        columns: 4,
    })
}

fn panel(label: &LabelView<'_>) -> Result<Panel, TrainError> {
    let mut counts = Counts::default();
    label.given.iter().zip(&label.held).for_each(|(given, held)| counts.add(*given, *held, 1));
    let Counts { true_positives, false_positives, false_negatives, true_negatives } = counts;
    let caption = Caption {
        title: label.name.to_owned(),
        note: format!("{} hold it, {} were given it", counts.support(), counts.predicted()),
        about: format!(
            "{true_positives} given and held, {false_negatives} held but not given, {false_positives} given but not held, {true_negatives} \
             neither."
        ),
    };
    let lines = [("holds it", [true_positives, false_negatives]), ("does not", [false_positives, true_negatives])];
    let tones = [[ACCENT, SECOND], [SECOND, ACCENT]];
    Panel::draw(caption, SIZE, |canvas| {
        for (column, name) in ["given", "not given"].into_iter().enumerate() {
            let face = Face::plain(MUTED).on(HPos::Center, VPos::Bottom);
            canvas.text((LEFT + (column as f64 + 0.5) * CELL.0, TOP - 5.0), name, face)?;
        }
        for (line, (name, cells)) in lines.into_iter().enumerate() {
            let y = TOP + line as f64 * CELL.1;
            canvas.text((LEFT - 8.0, y + CELL.1 / 2.0), name, Face::plain(MUTED).on(HPos::Right, VPos::Center))?;
            for (column, count) in cells.into_iter().enumerate() {
                cell(canvas, (LEFT + column as f64 * CELL.0, y), tones[line][column], (count, cells.iter().sum()))?;
            }
        }
        Ok(())
    })
}

fn cell(canvas: &Canvas<'_>, corner: (f64, f64), tone: Tone, (count, line): (u64, u64)) -> Painted {
    let share = if line == 0 { 0.0 } else { count as f64 / line as f64 };
    let middle = corner.0 + CELL.0 / 2.0;
    let face = Face::plain(INK).on(HPos::Center, VPos::Center);
    canvas.fill((corner.0 + 1.0, corner.1 + 1.0), (corner.0 + CELL.0 - 1.0, corner.1 + CELL.1 - 1.0), tone, STRONGEST * share)?;
    canvas.frame((corner.0 + 1.0, corner.1 + 1.0), (corner.0 + CELL.0 - 1.0, corner.1 + CELL.1 - 1.0), tone)?;
    canvas.text((middle, corner.1 + 18.0), &count.to_string(), Face { size: 15.0, bold: true, ..face })?;
    canvas.text((middle, corner.1 + 36.0), &words::percent(share), face)
}
