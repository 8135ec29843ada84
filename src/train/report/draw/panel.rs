//! A panel is one small picture with a title; a sheet is several of them in one file.
//!
//! Pages show panels one by one, so that they flow on a narrow screen; files hold a whole sheet. Both
//! are the same markup. `plotters` places on whole numbers, so a panel is drawn in tenths of a pixel
//! and shrunk by a transform: curves stay smooth at any size.

use std::io;

use maud::{Markup, PreEscaped, html};
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, FontTransform, IntoFont, TextStyle};

use super::style::{INK, MUTED, PAPER, Tone, themed};
use crate::train::TrainError;

/// Drawn units a pixel.
const FINE: f64 = 10.0;
/// plotters takes a font's size for the height of a line, this much more than SVG's.
const LINE_HEIGHT: f64 = 1.24;
/// Room between the panels of a sheet.
const GAP: f64 = 16.0;
/// Height that a panel's title and the line below take.
pub(crate) const HEAD: f64 = 42.0;

/// What a painter ends with.
pub(crate) type Painted = Result<(), DrawingAreaErrorKind<io::Error>>;

/// A point, in pixels from the upper left corner.
pub(crate) type Point = (f64, f64);

/// One picture.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    title: String,
    about: String,
    width: f64,
    height: f64,
    /// Markup without the outer element, in drawn units.
    body: String,
}

/// What a panel says of itself.
pub(crate) struct Caption {
    /// Its title, such as a label's name.
    pub(crate) title: String,
    /// The line below: the figures it shows.
    pub(crate) note: String,
    /// What is drawn, for readers who do not see it.
    pub(crate) about: String,
}

/// Where one panel is drawn.
pub(crate) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

impl Panel {
    /// Draws one panel of `size`, its caption first.
    pub(crate) fn draw(caption: Caption, size: (f64, f64), paint: impl FnOnce(&Canvas<'_>) -> Painted) -> Result<Self, TrainError> {
        let mut text = String::new();
        let canvas = Canvas { area: SVGBackend::with_string(&mut text, (fine(size.0) as u32, fine(size.1) as u32)).into_drawing_area() };
        let painted = canvas
            .text((0.0, 2.0), &caption.title, Face { size: 14.0, bold: true, ..Face::plain(INK) })
            .and_then(|()| canvas.text((0.0, 21.0), &caption.note, Face::plain(MUTED)))
            .and_then(|()| paint(&canvas))
            .and_then(|()| canvas.area.present());
        drop(canvas);
        painted.map_err(|error| TrainError::Plot { plot: caption.title.clone(), reason: error.to_string() })?;
        let start = text.find('>').map_or(0, |at| at + 1);
        let end = text.rfind("</svg>").unwrap_or(text.len());
        let body = text[start..end].replace(" opacity=\"1\"", "");
        Ok(Self { title: caption.title, about: caption.about, width: size.0, height: size.1, body })
    }

    /// Its title.
    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    /// In pixels.
    pub(crate) fn width(&self) -> f64 {
        self.width
    }

    /// The panel for a page: in the page's colours, with a name and a description.
    pub(crate) fn inline(&self) -> Markup {
        let view = format!("0 0 {} {}", self.width, self.height);
        html! {
            svg role="img" viewBox=(view) width=(self.width) height=(self.height) {
                title { (self.title) }
                desc { (self.about) }
                g transform=(shrink()) { (PreEscaped(themed(&self.body))) }
            }
        }
    }
}

/// Several panels as one SVG document with `columns` panels a row, on paper, in light colours.
pub(crate) fn sheet(title: &str, legend: &[(Tone, String)], panels: &[Panel], columns: usize) -> String {
    let (mut rows, mut width, mut top) = (String::new(), 0.0_f64, 2.0 * GAP + 22.0);
    for row in panels.chunks(columns.max(1)) {
        let mut left = GAP;
        for panel in row {
            let place = format!("translate({left} {top}) {}", shrink());
            let group = html! { g transform=(place) { title { (panel.title) } desc { (panel.about) } (PreEscaped(&panel.body)) } };
            rows.push_str(&group.into_string());
            left += panel.width + GAP;
        }
        width = width.max(left);
        top += row.iter().map(|panel| panel.height).fold(0.0, f64::max) + GAP;
    }
    let (end, keys) = keys(legend, GAP + 18.0 + 9.5 * title.chars().count() as f64);
    let (width, ink) = (width.max(end), INK.hex());
    let document = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(top) viewBox={ "0 0 " (width) " " (top) } font-family="sans-serif" {
            title { (title) }
            rect width=(width) height=(top) fill=(PAPER.hex()) {}
            text x=(GAP) y=(GAP + 16.0) font-size="17" font-weight="bold" fill=(ink) { (title) }
            (keys)
            (PreEscaped(rows))
        }
    };
    document.into_string()
}

/// What the colours of a sheet stand for, in a line from `left`; and where it ends.
fn keys(legend: &[(Tone, String)], left: f64) -> (f64, Markup) {
    let width = |name: &str| 30.0 + 6.4 * name.chars().count() as f64;
    let mut at = left;
    let mut places = Vec::new();
    for (_, name) in legend {
        places.push(at);
        at += width(name);
    }
    let markup = html! {
        @for ((tone, name), place) in legend.iter().zip(places) {
            circle cx=(place) cy=(GAP + 11.0) r="4.5" fill=(tone.hex()) {}
            text x=(place + 9.0) y=(GAP + 15.5) font-size="12" fill=(MUTED.hex()) { (name) }
        }
    };
    (at, markup)
}

fn shrink() -> String {
    format!("scale({})", 1.0 / FINE)
}

fn fine(pixels: f64) -> i32 {
    (pixels * FINE).round() as i32
}

fn at(point: Point) -> (i32, i32) {
    (fine(point.0), fine(point.1))
}

/// How a text looks and on which side of its point it stands.
#[derive(Clone, Copy)]
pub(crate) struct Face {
    pub(crate) tone: Tone,
    pub(crate) size: f64,
    pub(crate) bold: bool,
    pub(crate) across: HPos,
    pub(crate) down: VPos,
    pub(crate) upwards: bool,
}

impl Face {
    /// Eleven pixels, to the right of and below its point.
    pub(crate) fn plain(tone: Tone) -> Self {
        Self { tone, size: 11.5, bold: false, across: HPos::Left, down: VPos::Top, upwards: false }
    }

    /// On the given sides instead.
    pub(crate) fn on(self, across: HPos, down: VPos) -> Self {
        Self { across, down, ..self }
    }

    fn style(self) -> TextStyle<'static> {
        let font = ("sans-serif", self.size * FINE * LINE_HEIGHT).into_font();
        let font = if self.bold { font.style(FontStyle::Bold) } else { font };
        let font = if self.upwards { font.transform(FontTransform::Rotate270) } else { font };
        TextStyle { font, color: self.tone.color().to_backend_color(), pos: Pos::new(self.across, self.down) }
    }
}

impl Canvas<'_> {
    pub(crate) fn text(&self, place: Point, text: &str, face: Face) -> Painted {
        self.area.draw(&Text::new(text.to_owned(), at(place), face.style()))
    }

    /// Straight lines through the points.
    pub(crate) fn path(&self, points: impl IntoIterator<Item = Point>, tone: Tone, width: f64) -> Painted {
        let points: Vec<(i32, i32)> = points.into_iter().map(at).collect();
        self.area.draw(&PathElement::new(points, tone.color().stroke_width(fine(width) as u32)))
    }

    /// A broken line from one point to another.
    pub(crate) fn dashes(&self, from: Point, to: Point, tone: Tone) -> Painted {
        const DASH: f64 = 4.0;
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let along = |way: f64| {
            let share = (way / length.max(1e-9)).min(1.0);
            (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share)
        };
        let count = (length / (2.0 * DASH)).ceil() as u32;
        (0..count).map(|dash| f64::from(dash) * 2.0 * DASH).try_for_each(|way| self.path([along(way), along(way + DASH)], tone, 1.0))
    }

    /// A filled box between two corners; `strength` from 0, not to be seen, to 1.
    pub(crate) fn fill(&self, corner: Point, opposite: Point, tone: Tone, strength: f64) -> Painted {
        self.area.draw(&Rectangle::new([at(corner), at(opposite)], tone.color().mix(strength).filled()))
    }

    /// A box's outline.
    pub(crate) fn frame(&self, corner: Point, opposite: Point, tone: Tone) -> Painted {
        let (left, top, right, bottom) = (corner.0, corner.1, opposite.0, opposite.1);
        self.path([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], tone, 1.0)
    }

    pub(crate) fn dot(&self, place: Point, radius: f64, tone: Tone) -> Painted {
        self.area.draw(&Circle::new(at(place), fine(radius), tone.color().filled()))
    }

    pub(crate) fn ring(&self, place: Point, radius: f64, tone: Tone) -> Painted {
        self.area.draw(&Circle::new(at(place), fine(radius), tone.color().stroke_width(fine(1.2) as u32)))
    }
}
