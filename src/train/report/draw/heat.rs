//! A square of shares, the darker the larger, each written out while there is room.

use plotters::style::text_anchor::{HPos, VPos};

use super::panel::{Caption, Face, HEAD, Panel};
use super::style::{ACCENT, INK, MUTED, RULE};
use super::words::{NAME_WIDTH, shorten};
use crate::spec::LabelSet;
use crate::train::TrainError;

/// Cells get numbers up to this many labels.
const WRITTEN: usize = 16;
/// Room above for the columns' names, which stand upright.
const ABOVE: f64 = 96.0;
/// The strongest cell still lets ink be read.
const STRONGEST: f64 = 0.62;

/// Draws `share(row, column)` for all pairs of labels; none where there is nothing to say.
pub(crate) fn panel(caption: Caption, labels: &LabelSet, share: impl Fn(usize, usize) -> Option<f64>) -> Result<Panel, TrainError> {
    let count = labels.len();
    let cell = if count <= WRITTEN { (340.0 / count as f64).clamp(26.0, 44.0) } else { 19.0 };
    let (top, side) = (HEAD + ABOVE, cell * count as f64);
    Panel::draw(caption, (NAME_WIDTH + side + 8.0, top + side + 6.0), |canvas| {
        for (index, name) in labels.names().iter().enumerate() {
            let middle = (index as f64 + 0.5) * cell;
            let (name, face) = (shorten(name), Face::plain(INK));
            canvas.text((NAME_WIDTH - 8.0, top + middle), &name, face.on(HPos::Right, VPos::Center))?;
            canvas.text((NAME_WIDTH + middle, top - 8.0), &name, Face { upwards: true, ..face.on(HPos::Left, VPos::Center) })?;
        }
        for (row, column) in (0..count).flat_map(|row| (0..count).map(move |column| (row, column))) {
            let (x, y) = (NAME_WIDTH + column as f64 * cell, top + row as f64 * cell);
            let Some(share) = share(row, column) else {
                canvas.fill((x, y), (x + cell, y + cell), RULE, 0.5)?;
                continue;
            };
            canvas.fill((x, y), (x + cell, y + cell), ACCENT, STRONGEST * share.clamp(0.0, 1.0))?;
            if count <= WRITTEN {
                let face = Face { size: 10.5, ..Face::plain(if share < 0.005 { MUTED } else { INK }) };
                let text = format!("{:.0}", 100.0 * share);
                canvas.text((x + cell / 2.0, y + cell / 2.0), &text, face.on(HPos::Center, VPos::Center))?;
            }
        }
        canvas.frame((NAME_WIDTH, top), (NAME_WIDTH + side, top + side), RULE)
    })
}
