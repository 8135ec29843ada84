//! Bars side by side, a group a row: how often something is.

use plotters::style::text_anchor::{HPos, VPos};

use super::panel::{Canvas, Caption, Face, HEAD, Painted, Panel};
use super::style::{INK, MUTED, RULE, Tone};
use super::words::{NAME_WIDTH, shorten};
use crate::train::TrainError;

const WIDTH: f64 = 440.0;
const BAR: f64 = 13.0;
/// Between groups.
const APART: f64 = 9.0;
/// Room for the text behind the longest bar.
const TEXT: f64 = 92.0;

/// One row of bars.
pub(crate) struct Group {
    pub(crate) name: String,
    /// From the top.
    pub(crate) bars: Vec<Bar>,
}

/// One bar.
pub(crate) struct Bar {
    pub(crate) tone: Tone,
    /// Its length, not negative.
    pub(crate) value: f64,
    /// What stands behind it.
    pub(crate) text: String,
}

/// Draws the groups; the longest bar fills the width.
pub(crate) fn panel(caption: Caption, groups: &[Group]) -> Result<Panel, TrainError> {
    let tall = |group: &Group| group.bars.len() as f64 * BAR + APART;
    let height = HEAD + groups.iter().map(tall).sum::<f64>();
    let longest = groups.iter().flat_map(|group| &group.bars).map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - NAME_WIDTH - TEXT) / longest;
    Panel::draw(caption, (WIDTH, height), |canvas| {
        let mut top = HEAD;
        for group in groups {
            paint(canvas, group, top, scale)?;
            top += tall(group);
        }
        canvas.path([(NAME_WIDTH, HEAD - 3.0), (NAME_WIDTH, height - APART + 3.0)], RULE, 1.0)
    })
}

fn paint(canvas: &Canvas<'_>, group: &Group, top: f64, scale: f64) -> Painted {
    let middle = top + group.bars.len() as f64 * BAR / 2.0;
    canvas.text((NAME_WIDTH - 8.0, middle), &shorten(&group.name), Face::plain(INK).on(HPos::Right, VPos::Center))?;
    for (bar, place) in group.bars.iter().zip(0..) {
        let upper = top + f64::from(place) * BAR;
        let end = NAME_WIDTH + bar.value * scale;
        canvas.fill((NAME_WIDTH, upper + 1.0), (end, upper + BAR - 1.0), bar.tone, 0.85)?;
        let face = Face { size: 10.5, ..Face::plain(MUTED) };
        canvas.text((end + 5.0, upper + BAR / 2.0), &bar.text, face.on(HPos::Left, VPos::Center))?;
    }
    Ok(())
}
