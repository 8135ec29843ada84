//! One look for every plot: colours by their part, in light and in dark.
//!
//! The hues are Okabe and Ito's (2008, "Color universal design"), which stay apart for people who
//! see fewer colours; darkened for a light ground until each has a contrast of three to one, and as
//! published on a dark one. No plot tells by colour alone: lines, labels and numbers say the same.
//!
//! A plot is drawn in the light colours. Inside a page they become CSS variables, so that the page
//! shows it in light or dark as its reader's system asks for.

use plotters::style::RGBColor;

/// A colour by its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tone {
    /// Name of its CSS variable.
    name: &'static str,
    light: u32,
    dark: u32,
}

/// The ground.
pub(crate) const PAPER: Tone = Tone { name: "paper", light: 0xFFFFFF, dark: 0x171A1F };
/// Text and strong lines.
pub(crate) const INK: Tone = Tone { name: "ink", light: 0x1A1E24, dark: 0xE8EAED };
/// Text of less weight, reference lines.
pub(crate) const MUTED: Tone = Tone { name: "muted", light: 0x59616C, dark: 0xA3ABB6 };
/// Axes and grids.
pub(crate) const RULE: Tone = Tone { name: "rule", light: 0xD9DDE3, dark: 0x3A414B };
/// What is shown, where only one thing is.
pub(crate) const ACCENT: Tone = SERIES[0];
/// What it is compared with.
pub(crate) const SECOND: Tone = SERIES[1];
/// A third line.
pub(crate) const THIRD: Tone = SERIES[2];

/// Colours of labels and fits, in turn.
pub(crate) const SERIES: [Tone; 8] = [
    Tone { name: "blue", light: 0x0072B2, dark: 0x4DA6DE },
    Tone { name: "vermillion", light: 0xC75300, dark: 0xF08A45 },
    Tone { name: "green", light: 0x008561, dark: 0x2FBE94 },
    Tone { name: "purple", light: 0xAD5489, dark: 0xDE93BC },
    Tone { name: "orange", light: 0xA87100, dark: 0xE6A926 },
    Tone { name: "sky", light: 0x2286BD, dark: 0x7CC8F0 },
    Tone { name: "olive", light: 0x857C00, dark: 0xE2D84B },
    Tone { name: "grey", light: 0x6B6F75, dark: 0xB5BAC2 },
];

const GROUND: [Tone; 4] = [PAPER, INK, MUTED, RULE];

impl Tone {
    /// As drawn.
    pub(crate) fn color(self) -> RGBColor {
        let [_, red, green, blue] = self.light.to_be_bytes();
        RGBColor(red, green, blue)
    }

    /// Inside a page.
    pub(crate) fn variable(self) -> String {
        format!("var(--{})", self.name)
    }

    /// As drawn, in the notation of SVG.
    pub(crate) fn hex(self) -> String {
        format!("#{:06X}", self.light)
    }
}

/// The colour of the label or fit at `index`, the same in every plot of a page.
pub(crate) fn of(index: usize) -> Tone {
    SERIES[index % SERIES.len()]
}

/// The variables of a page's style sheet: light, and dark where the reader's system asks for it.
pub(crate) fn css() -> String {
    let block = |pick: fn(&Tone) -> u32| -> String {
        GROUND.iter().chain(&SERIES).map(|tone| format!("--{}:#{:06X};", tone.name, pick(tone))).collect()
    };
    format!(":root{{{}}}@media(prefers-color-scheme:dark){{:root{{{}}}}}", block(|tone| tone.light), block(|tone| tone.dark))
}

/// Drawn colours of SVG markup exchanged for the page's variables. Only whole attribute values are:
/// no text of a plot can be taken for one, since quotes in text are escaped.
pub(crate) fn themed(svg: &str) -> String {
    GROUND
        .iter()
        .chain(&SERIES)
        .fold(svg.to_owned(), |text, tone| text.replace(&format!("\"{}\"", tone.hex()), &format!("\"{}\"", tone.variable())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance, WCAG 2.2.
    fn luminance(rgb: u32) -> f64 {
        let [_, red, green, blue] = rgb.to_be_bytes();
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }

    fn contrast(one: u32, other: u32) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn every_colour_stands_out_from_its_ground() {
        let text = [INK, MUTED].map(|tone| (tone, 4.5));
        let shapes = SERIES.map(|tone| (tone, 3.0));
        let mut seen = 0;
        for (tone, least) in text.into_iter().chain(shapes) {
            for (color, ground) in [(tone.light, PAPER.light), (tone.dark, PAPER.dark)] {
                let found = contrast(color, ground);
                assert!(found >= least, "{} #{color:06X}: {found:.2} to 1, expected {least}", tone.name);
                seen += 1;
            }
        }
        assert_eq!(seen, 20);
    }

    #[test]
    fn drawn_colours_are_distinct_and_only_attributes_are_exchanged() {
        let mut drawn: Vec<u32> = GROUND.iter().chain(&SERIES).map(|tone| tone.light).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), GROUND.len() + SERIES.len(), "two parts share a colour");
        let svg = format!("<text fill=\"{0}\">{0}</text>", INK.hex());
        assert_eq!(themed(&svg), format!("<text fill=\"var(--ink)\">{}</text>", INK.hex()));
        assert!(css().contains("--ink:#1A1E24;") && css().contains("--ink:#E8EAED;"));
    }
}
