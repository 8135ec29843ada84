//! Two straight axes with ticks, names and a light grid, inside a panel.

use std::ops::Range;

use plotters::coord::ranged1d::Ranged;
use plotters::coord::types::RangedCoordf64;
use plotters::style::text_anchor::{HPos, VPos};

use super::panel::{Canvas, Face, HEAD, Painted, Point};
use super::style::{MUTED, RULE};

/// Room for tick labels and names around the plotted box.
const LEFT: f64 = 38.0;
const BOTTOM: f64 = 38.0;
const RIGHT: f64 = 12.0;

/// One axis.
pub(crate) struct Axis {
    span: Range<f64>,
    name: &'static str,
    tick: fn(f64) -> String,
    /// Ticks wanted, at most.
    most: usize,
}

/// The plotted box of a panel and its scales.
pub(crate) struct Axes {
    x: Axis,
    y: Axis,
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Axis {
    /// From `low` to `high`; a span of nothing becomes one around the value.
    pub(crate) fn new(name: &'static str, low: f64, high: f64) -> Self {
        let span = if high > low { low..high } else { low - 0.5..low + 0.5 };
        Self { span, name, tick: plain, most: 6 }
    }

    /// A share, from 0 to 1.
    pub(crate) fn share(name: &'static str) -> Self {
        Self::new(name, 0.0, 1.0)
    }

    /// With ticks written by `tick`.
    pub(crate) fn written(self, tick: fn(f64) -> String) -> Self {
        Self { tick, ..self }
    }

    fn ticks(&self) -> Vec<f64> {
        RangedCoordf64::from(self.span.clone()).key_points(self.most)
    }

    /// Where a value lies along the axis, from 0 to 1; outside values lie at the ends.
    fn way(&self, value: f64) -> f64 {
        ((value - self.span.start) / (self.span.end - self.span.start)).clamp(0.0, 1.0)
    }
}

/// A number with as many digits as ticks need.
fn plain(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    format!("{rounded}")
}

/// As powers of ten, for learning rates.
pub(crate) fn scientific(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.0e}") }
}

impl Axes {
    /// Axes that fill a panel of `size` below its head.
    pub(crate) fn new(size: (f64, f64), x: Axis, y: Axis) -> Self {
        Self { x, y, left: LEFT, top: HEAD + 18.0, right: size.0 - RIGHT, bottom: size.1 - BOTTOM }
    }

    /// Where a pair of values lies.
    pub(crate) fn place(&self, x: f64, y: f64) -> Point {
        let along = |axis: &Axis, value: f64, low: f64, high: f64| low + axis.way(value) * (high - low);
        (along(&self.x, x, self.left, self.right), along(&self.y, y, self.bottom, self.top))
    }

    /// Grid, ticks and names; what is plotted comes on top.
    pub(crate) fn paint(&self, canvas: &Canvas<'_>) -> Painted {
        let face = Face::plain(MUTED);
        for value in self.x.ticks() {
            let (x, _) = self.place(value, self.y.span.start);
            canvas.path([(x, self.top), (x, self.bottom)], RULE, 0.8)?;
            canvas.text((x, self.bottom + 7.0), &(self.x.tick)(value), face.on(HPos::Center, VPos::Top))?;
        }
        for value in self.y.ticks() {
            let (_, y) = self.place(self.x.span.start, value);
            canvas.path([(self.left, y), (self.right, y)], RULE, 0.8)?;
            canvas.text((self.left - 7.0, y), &(self.y.tick)(value), face.on(HPos::Right, VPos::Center))?;
        }
        let middle = f64::midpoint(self.left, self.right);
        canvas.text((middle, self.bottom + 21.0), self.x.name, face.on(HPos::Center, VPos::Top))?;
        canvas.text((2.0, self.top - 17.0), self.y.name, face)
    }
}
