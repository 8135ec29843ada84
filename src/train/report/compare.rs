//! The page of several runs side by side: figures with intervals, and paired differences.

use maud::{Markup, html};

use super::draw::{Caption, Mark, Row, Scale, of, whiskers};
use super::html::{Drawn, FIGURES, cell, document, facts, overall, plot, table, warnings};
use super::plots::Plot;
use crate::bundle::{Figure, Figures, MeasuredSet};
use crate::metrics::{Difference, Interval};
use crate::spec::LabelSet;
use crate::train::TrainError;

/// Differences that are drawn: they lie on one scale.
const DRAWN: [&str; 9] =
    ["macro_f1", "micro_f1", "samples_f1", "jaccard", "exact_match", "mean_average_precision", "mean_auroc", "brier", "ece"];

/// What a comparison page shows. All runs have the same labels.
pub struct Comparison<'a> {
    /// The page's heading.
    pub title: String,
    /// Labels, in order.
    pub labels: &'a LabelSet,
    /// At least one, in the order of the page.
    pub runs: Vec<Compared<'a>>,
    /// Pairs of runs whose figures may be subtracted.
    pub pairs: Vec<Pair>,
    /// What stands against a comparison, such as other folds or other data.
    pub warnings: Vec<String>,
}

/// One run.
pub struct Compared<'a> {
    /// Its name on the page.
    pub name: String,
    /// What is worth knowing of it: recipe, data, folds, threshold policy.
    pub facts: Vec<(&'static str, String)>,
    /// Its figures.
    pub set: &'a MeasuredSet,
}

/// Two runs on the same rows.
pub struct Pair {
    /// Name of the run that is subtracted from.
    pub left: String,
    /// Name of the run that is subtracted.
    pub right: String,
    /// Left less right, with paired intervals.
    pub differences: Vec<Difference>,
}

/// The page of several runs.
///
/// # Errors
/// [`TrainError::Plot`] when the drawing library fails.
pub fn compare_page(comparison: &Comparison<'_>) -> Result<Drawn, TrainError> {
    let plots = [vec![macro_f1(comparison)?], forests(comparison)?, vec![labels(comparison)?]].concat();
    let columns: Vec<(&str, &Figures)> = comparison.runs.iter().map(|run| (run.name.as_str(), &run.set.tuned)).collect();
    let half: Vec<(&str, &Figures)> = comparison.runs.iter().map(|run| (run.name.as_str(), &run.set.at_half)).collect();
    let body = html! {
        header { h1 { (comparison.title) } }
        main {
            (warnings(&comparison.warnings))
            (overall("Figures at tuned thresholds, with 95 % bootstrap intervals", &columns))
            @for shown in &plots { (plot(shown)) }
            @for pair in &comparison.pairs { (differences(pair)) }
            (by_label(comparison))
            @if half.iter().any(|(_, figures)| !figures.overall.is_empty()) { (overall("Figures with every threshold at 0.5", &half)) }
            h2 { "The runs" }
            @for run in &comparison.runs {
                h3 { (run.name) }
                @if !run.set.note.is_empty() { p.quiet { (run.set.note) } }
                (facts(&run.facts))
            }
        }
    };
    Ok(Drawn { html: document(&comparison.title, &body), plots })
}

fn macro_f1(comparison: &Comparison<'_>) -> Result<Plot, TrainError> {
    let row = |(index, run): (usize, &Compared<'_>)| {
        let figure = run.set.tuned.overall.get("macro_f1").copied();
        Row { name: run.name.clone(), marks: vec![Mark { tone: of(index), figure }] }
    };
    let rows: Vec<Row> = comparison.runs.iter().enumerate().map(row).collect();
    Ok(Plot {
        name: "macro-f1".to_owned(),
        title: "Macro-F1",
        lead: "Intervals of single runs overlap more readily than differences between runs are uncertain: judge by the paired differences."
            .to_owned(),
        legend: Vec::new(),
        panels: vec![whiskers(caption("Macro-F1 of every run", "tuned thresholds"), &rows, &Scale::share())?],
        columns: 1,
    })
}

fn forests(comparison: &Comparison<'_>) -> Result<Vec<Plot>, TrainError> {
    if comparison.pairs.is_empty() {
        return Ok(Vec::new());
    }
    let panels = comparison.pairs.iter().map(|pair| {
        let rows: Vec<Row> = DRAWN.iter().filter_map(|key| drawn(pair, key)).collect();
        whiskers(
            caption(&format!("{} less {}", pair.left, pair.right), "left of zero, the first is lower"),
            &rows,
            &Scale::around_zero(&rows),
        )
    });
    Ok(vec![Plot {
        name: "differences".to_owned(),
        title: "Paired differences",
        lead:
            "Both runs are judged on the same resampled rows, so what they share cancels out. An interval that holds zero says that these \
               rows do not tell the runs apart. For Brier score and ECE lower is better."
                .to_owned(),
        legend: Vec::new(),
        panels: panels.collect::<Result<_, _>>()?,
        columns: 2,
    }])
}

fn drawn(pair: &Pair, key: &str) -> Option<Row> {
    let difference = pair.differences.iter().find(|difference| difference.figure == key)?;
    Some(Row { name: known(key).to_owned(), marks: vec![Mark { tone: of(0), figure: figure(difference) }] })
}

fn figure(difference: &Difference) -> Option<Figure> {
    let interval = difference.interval.map(|Interval { low, high }| (low, high));
    difference.difference.map(|value| Figure { value, interval })
}

fn known(key: &str) -> &str {
    FIGURES.iter().find(|(figure, _)| *figure == key).map_or(key, |(_, name)| name)
}

fn labels(comparison: &Comparison<'_>) -> Result<Plot, TrainError> {
    let mark = |(index, run): (usize, &Compared<'_>), label: &String| Mark { tone: of(index), figure: of_label(run, label) };
    let row = |label: &String| Row { name: label.clone(), marks: comparison.runs.iter().enumerate().map(|run| mark(run, label)).collect() };
    let rows: Vec<Row> = comparison.labels.names().iter().map(row).collect();
    Ok(Plot {
        name: "labels-f1".to_owned(),
        title: "F1 of every label",
        lead: "The first run's F1 is written out; the table below holds all.".to_owned(),
        legend: comparison.runs.iter().enumerate().map(|(index, run)| (of(index), run.name.clone())).collect(),
        panels: vec![whiskers(caption("F1", "lines are 95 % bootstrap intervals"), &rows, &Scale::share())?],
        columns: 1,
    })
}

fn of_label(run: &Compared<'_>, label: &str) -> Option<Figure> {
    run.set.tuned.labels.get(label)?.get("f1").copied()
}

fn by_label(comparison: &Comparison<'_>) -> Markup {
    let heads: Vec<&str> = std::iter::once("label").chain(comparison.runs.iter().map(|run| run.name.as_str())).collect();
    table(
        "F1 of every label at tuned thresholds",
        &heads,
        &html! {
            @for label in comparison.labels.names() {
                tr { th scope="row" { (label) } @for run in &comparison.runs { (cell(of_label(run, label).as_ref())) } }
            }
        },
    )
}

fn differences(pair: &Pair) -> Markup {
    table(
        &format!("{} less {}, with paired 95 % bootstrap intervals", pair.left, pair.right),
        &["figure", "difference"],
        &html! {
            @for difference in &pair.differences {
                tr { th scope="row" { (known(difference.figure)) } (cell(figure(difference).as_ref())) }
            }
        },
    )
}

fn caption(title: &str, note: &str) -> Caption {
    Caption { title: title.to_owned(), note: note.to_owned(), about: format!("{title}. The tables of this page hold the same numbers.") }
}
