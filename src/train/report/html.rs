//! What pages are made of: the document, plots, tables. `maud` escapes whatever stands in a splice, so
//! a label or an id is text and nothing else.
//!
//! A page is one file. It holds no script and asks for nothing from anywhere, and its policy tells the
//! browser to allow neither.

use std::path::{Path, PathBuf};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::draw::{Panel, css, png, sheet};
use super::plots::Plot;
use crate::bundle::{Figure, Figures};
use crate::train::{TrainError, files};

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
/// Panels up to this wide stand several in a row; in pixels.
const NARROW: f64 = 300.0;
/// Wider ones keep their size and are scrolled on a narrow screen, so that their text can be read.
const READABLE: f64 = 560.0;
/// More panels than this lie in one line on a narrow screen, which would else be very long.
const MANY: usize = 6;
/// A table of more columns than this has intervals below their values.
const DENSE: usize = 6;

/// Figures that a table over all labels shows, with their names for people.
pub(super) const FIGURES: [(&str, &str); 18] = [
    ("macro_f1", "macro-F1"),
    ("micro_f1", "micro-F1"),
    ("samples_f1", "sample F1"),
    ("jaccard", "Jaccard index"),
    ("exact_match", "exact match"),
    ("flat_accuracy", "flat accuracy"),
    ("macro_precision", "macro precision"),
    ("macro_recall", "macro recall"),
    ("micro_precision", "micro precision"),
    ("micro_recall", "micro recall"),
    ("mean_average_precision", "mean AP"),
    ("mean_auroc", "mean AUROC"),
    ("log_loss", "log-loss"),
    ("brier", "Brier score"),
    ("ece", "ECE"),
    ("ece_debiased", "ECE, debiased"),
    ("cardinality", "labels a row, held"),
    ("predicted_cardinality", "labels a row, given"),
];

/// A finished page and its plots.
pub struct Drawn {
    pub(super) html: String,
    pub(super) plots: Vec<Plot>,
}

impl Drawn {
    /// The page.
    #[must_use]
    pub fn html(&self) -> &str {
        &self.html
    }

    /// Writes `report.html`, and the plots as SVG and PNG into `plots/`; gives the page's path.
    ///
    /// # Errors
    /// [`TrainError::File`] or [`TrainError::Plot`].
    pub fn write(&self, folder: &Path) -> Result<PathBuf, TrainError> {
        let plots = folder.join("plots");
        files::folder(&plots)?;
        for plot in &self.plots {
            let svg = sheet(plot.title, &plot.legend, &plot.panels, plot.columns);
            files::write(&plots.join(format!("{}.png", plot.name)), &png(&plot.name, &svg)?)?;
            files::write(&plots.join(format!("{}.svg", plot.name)), svg.as_bytes())?;
        }
        let page = folder.join("report.html");
        files::write(&page, self.html.as_bytes())?;
        Ok(page)
    }
}

/// A whole document.
pub(super) fn document(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                style { (PreEscaped(css())) (PreEscaped(include_str!("page.css"))) }
            }
            body { (body) }
        }
    };
    page.into_string()
}

/// A plot's heading, explanation, legend and panels.
pub(super) fn plot(plot: &Plot) -> Markup {
    let medium = plot.panels.iter().any(|panel| panel.width() > NARROW);
    let panels = html! { @for panel in &plot.panels { (framed(panel)) } };
    html! {
        section {
            h3 { (plot.title) }
            p.quiet { (plot.lead) }
            @if !plot.legend.is_empty() {
                ul.legend {
                    @for (tone, name) in &plot.legend { li { span style={ "background:" (tone.variable()) } {} (name) } }
                }
            }
            @if plot.panels.len() > MANY {
                div.panels.many tabindex="0" role="region" aria-label=(plot.title) { (panels) }
            } @else {
                div.panels.medium[medium] { (panels) }
            }
        }
    }
}

fn framed(panel: &Panel) -> Markup {
    if panel.width() > READABLE {
        html! { div.wide tabindex="0" role="region" aria-label=(panel.title()) { (panel.inline()) } }
    } else {
        html! { div { (panel.inline()) } }
    }
}

/// A table that may be wider than the screen: numbers in every column but the first.
pub(super) fn table(caption: &str, heads: &[&str], body: &Markup) -> Markup {
    let numbers = heads.iter().skip(1).map(|head| (*head, true));
    table_of(caption, heads.first().map(|head| (*head, false)).into_iter().chain(numbers), body)
}

/// The same of columns that say whether they hold numbers, which stand to the right.
pub(super) fn table_of<'a>(caption: &str, columns: impl IntoIterator<Item = (&'a str, bool)>, body: &Markup) -> Markup {
    let columns: Vec<(&str, bool)> = columns.into_iter().collect();
    html! {
        div.scroll.dense[columns.len() > DENSE] tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr { @for (name, numbers) in columns { th scope="col" class=[numbers.then_some("number")] { (name) } } } }
                tbody { (body) }
            }
        }
    }
}

/// A number with its interval.
pub(super) fn cell(figure: Option<&Figure>) -> Markup {
    html! {
        td.number {
            @match figure {
                None => "\u{2013}",
                Some(Figure { value, interval: None }) => (format!("{value:.3}")),
                Some(Figure { value, interval: Some((low, high)) }) => {
                    (format!("{value:.3}")) " " small { (format!("[{low:.3}, {high:.3}]")) }
                }
            }
        }
    }
}

/// Figures over all labels, a column for each of `columns`.
pub(super) fn overall(caption: &str, columns: &[(&str, &Figures)]) -> Markup {
    let heads: Vec<&str> = std::iter::once("figure").chain(columns.iter().map(|(name, _)| *name)).collect();
    let known = FIGURES.iter().filter(|(key, _)| columns.iter().any(|(_, figures)| figures.overall.contains_key(*key)));
    table(
        caption,
        &heads,
        &html! {
            @for (key, name) in known {
                tr { th scope="row" { (name) } @for (_, figures) in columns { (cell(figures.overall.get(*key))) } }
            }
        },
    )
}

/// Pairs of a name and what it is.
pub(super) fn facts(facts: &[(&str, String)]) -> Markup {
    html! { dl.facts { @for (name, value) in facts { dt { (name) } dd { (value) } } } }
}

/// What was noticed; nothing when nothing was.
pub(super) fn warnings(warnings: &[String]) -> Markup {
    html! {
        @if !warnings.is_empty() {
            section.warnings id="warnings" {
                h3 { "Warnings" }
                ul { @for warning in warnings { li { (warning) } } }
            }
        }
    }
}
