//! PNG from the same SVG, with the font that lies beside this file.
//!
//! Roboto 2 (Google, Apache-2.0), cut down to the Latin, Greek and Cyrillic letters: see NOTICE. What it
//! lacks is left blank; the SVG and the page use the reader's own fonts.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::train::TrainError;

const REGULAR: &[u8] = include_bytes!("font/Roboto-Regular.ttf");
const BOLD: &[u8] = include_bytes!("font/Roboto-Bold.ttf");
const FAMILY: &str = "Roboto";
/// Dots a pixel, for screens and print.
const SCALE: f32 = 2.0;

/// Paints the document called `name`.
///
/// # Errors
/// [`TrainError::Plot`] for what is no SVG or is too large to be painted.
pub(crate) fn png(name: &str, svg: &str) -> Result<Vec<u8>, TrainError> {
    let failed = |reason: String| TrainError::Plot { plot: name.to_owned(), reason };
    let mut fonts = fontdb::Database::new();
    for font in [REGULAR, BOLD] {
        fonts.load_font_data(font.to_vec());
    }
    fonts.set_sans_serif_family(FAMILY);
    let options = Options { font_family: FAMILY.to_owned(), fontdb: Arc::new(fonts), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|error| failed(error.to_string()))?;
    let size = tree.size().to_int_size().scale_by(SCALE).ok_or_else(|| failed("no size".to_owned()))?;
    let mut pixels = Pixmap::new(size.width(), size.height()).ok_or_else(|| failed(format!("{size:?} is no size of a picture")))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| failed(error.to_string()))
}
