//! Drawing: colours, panels, axes and the few shapes that every plot is made of.
//!
//! `plotters` draws SVG, `resvg` makes PNG files of it with a font that lies here, so that a plot
//! looks the same on every machine and needs no font or library of its system.

mod axes;
mod bars;
mod heat;
mod panel;
mod raster;
mod style;
mod whiskers;
pub(super) mod words;

pub(super) use axes::{Axes, Axis, scientific};
pub(super) use bars::{Bar, Group, panel as bars};
pub(super) use heat::panel as heat;
pub(super) use panel::{Canvas, Caption, Face, HEAD, Painted, Panel, Point, sheet};
pub(super) use raster::png;
pub(super) use style::{ACCENT, INK, MUTED, SECOND, THIRD, Tone, css, of};
pub(super) use whiskers::{Mark, Row, Scale, panel as whiskers};

/// A panel of which several stand side by side, in pixels.
pub(super) const SMALL: (f64, f64) = (270.0, 280.0);
/// A panel of which two stand side by side.
pub(super) const MEDIUM: (f64, f64) = (440.0, 270.0);
