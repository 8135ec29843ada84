//! Values with their intervals, a row each: a forest plot, and the figures of labels.

use std::ops::Range;

use plotters::style::text_anchor::{HPos, VPos};

use super::panel::{Canvas, Caption, Face, HEAD, Painted, Panel};
use super::style::{INK, MUTED, RULE, Tone};
use super::words::{NAME_WIDTH, shorten};
use crate::bundle::Figure;
use crate::train::TrainError;

const WIDTH: f64 = 440.0;
/// Height of one mark.
const MARK: f64 = 11.0;
/// Between rows.
const APART: f64 = 10.0;
/// Below the rows, for ticks.
const FOOT: f64 = 22.0;
/// Room for the first mark's value.
const TEXT: f64 = 52.0;

/// One row.
pub(crate) struct Row {
    pub(crate) name: String,
    /// From the top. The first one's value is written out.
    pub(crate) marks: Vec<Mark>,
}

/// One value on a row; nothing is drawn for one that is undefined.
pub(crate) struct Mark {
    pub(crate) tone: Tone,
    pub(crate) figure: Option<Figure>,
}

/// What the rows share.
pub(crate) struct Scale {
    /// Ends of the axis.
    pub(crate) span: Range<f64>,
    /// Values that get a line through all rows, and are written below.
    pub(crate) lines: Vec<f64>,
    /// Whether values are differences, written with their sign.
    pub(crate) signed: bool,
}

impl Scale {
    /// From 0 to 1.
    pub(crate) fn share() -> Self {
        Self { span: 0.0..1.0, lines: vec![0.0, 0.25, 0.5, 0.75, 1.0], signed: false }
    }

    /// As far to the left of zero as to the right, as wide as the rows need.
    pub(crate) fn around_zero(rows: &[Row]) -> Self {
        let reach = |figure: &Figure| figure.interval.map_or(figure.value.abs(), |(low, high)| low.abs().max(high.abs()));
        let figures = rows.iter().flat_map(|row| &row.marks).filter_map(|mark| mark.figure.as_ref());
        let end = figures.map(reach).fold(1e-4, f64::max) * 1.05;
        // One significant digit reads best below an axis.
        let step = 10.0_f64.powf(end.log10().floor());
        let tick = (end / step).floor() * step;
        Self { span: -end..end, lines: vec![-tick, 0.0, tick], signed: true }
    }

    fn place(&self, value: f64) -> f64 {
        let way = ((value - self.span.start) / (self.span.end - self.span.start)).clamp(0.0, 1.0);
        NAME_WIDTH + way * (WIDTH - TEXT - NAME_WIDTH)
    }

    fn tick(&self, value: f64) -> String {
        // Products of decimals carry a last bit that nobody wants to read.
        let value = (value * 1e9).round() / 1e9;
        if self.signed && value != 0.0 { format!("{value:+}") } else { format!("{value}") }
    }

    fn value(&self, value: f64) -> String {
        if self.signed { format!("{value:+.3}") } else { format!("{value:.3}") }
    }
}

/// Draws the rows on one scale.
pub(crate) fn panel(caption: Caption, rows: &[Row], scale: &Scale) -> Result<Panel, TrainError> {
    let tall = |row: &Row| row.marks.len() as f64 * MARK + APART;
    let foot = HEAD + rows.iter().map(tall).sum::<f64>();
    Panel::draw(caption, (WIDTH, foot + FOOT), |canvas| {
        for &line in &scale.lines {
            let (x, tone) = (scale.place(line), if scale.signed && line == 0.0 { MUTED } else { RULE });
            canvas.path([(x, HEAD - 3.0), (x, foot)], tone, 1.0)?;
            canvas.text((x, foot + 5.0), &scale.tick(line), Face::plain(MUTED).on(HPos::Center, VPos::Top))?;
        }
        let mut top = HEAD + APART / 2.0;
        for row in rows {
            paint(canvas, row, top, scale)?;
            top += tall(row);
        }
        Ok(())
    })
}

fn paint(canvas: &Canvas<'_>, row: &Row, top: f64, scale: &Scale) -> Painted {
    let middle = top + row.marks.len() as f64 * MARK / 2.0;
    canvas.text((NAME_WIDTH - 10.0, middle), &shorten(&row.name), Face::plain(INK).on(HPos::Right, VPos::Center))?;
    if let Some(Figure { value, .. }) = row.marks.first().and_then(|mark| mark.figure) {
        canvas.text((WIDTH - TEXT + 10.0, middle), &scale.value(value), Face::plain(INK).on(HPos::Left, VPos::Center))?;
    }
    for (mark, place) in row.marks.iter().zip(0..) {
        let Some(figure) = mark.figure else { continue };
        let y = top + (f64::from(place) + 0.5) * MARK;
        if let Some((low, high)) = figure.interval {
            canvas.path([(scale.place(low), y), (scale.place(high), y)], mark.tone, 1.6)?;
        }
        canvas.dot((scale.place(figure.value), y), if place == 0 { 4.0 } else { 3.0 }, mark.tone)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_around_zero_have_one_digit() {
        for (reach, expected) in [(0.3157, "+0.3"), (0.0146, "+0.01"), (0.0021, "+0.002"), (1.2, "+1")] {
            let figure = Some(Figure { value: 0.0, interval: Some((-reach, reach / 2.0)) });
            let scale = Scale::around_zero(&[Row { name: String::new(), marks: vec![Mark { tone: INK, figure }] }]);
            assert_eq!(scale.lines.iter().map(|line| scale.tick(*line)).collect::<Vec<_>>()[1..], ["0", expected]);
            assert!(scale.span.end >= reach);
        }
    }
}
