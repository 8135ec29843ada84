//! The page of a run, and the page of a bundle that was evaluated: the same parts, set by set.

use maud::{Markup, html};

use super::draw::words;
use super::hardest::hardest;
use super::html::{Drawn, FIGURES, cell, document, facts, overall, plot, table, table_of, warnings};
use super::plots::{Plot, StepOrLook, View, curves, distribution, of_set};
use super::{RunReport, Split};
use crate::bundle::{Figure, MeasuredSet};
use crate::train::TrainError;
use crate::train::repeat::{Repeats, Spread};

/// Rows in the table of the hardest.
const HARDEST: usize = 25;
/// The figures shown large.
const TILES: [(&str, &str); 6] = [
    ("macro_f1", "macro-F1"),
    ("micro_f1", "micro-F1"),
    ("jaccard", "Jaccard index"),
    ("mean_average_precision", "mean AP"),
    ("brier", "Brier score"),
    ("ece", "ECE"),
];
/// Columns of the table of labels.
const LABEL_FIGURES: [(&str, &str); 8] = [
    ("f1", "F1"),
    ("precision", "precision"),
    ("recall", "recall"),
    ("average_precision", "AP"),
    ("auroc", "AUROC"),
    ("log_loss", "log-loss"),
    ("brier", "Brier"),
    ("ece", "ECE"),
];

/// One set's part of a page, and its plots.
struct Part<'a> {
    set: &'a MeasuredSet,
    markup: Markup,
    plots: Vec<Plot>,
}

/// The page of a run: `views` are its sets with rows, the first one leading; `lines` its metrics,
/// `recipe` its recipe as run.
///
/// # Errors
/// [`TrainError::Plot`] when the drawing library fails, [`TrainError::Metrics`] for rows that cannot be
/// measured.
pub(super) fn of_run(report: &RunReport, views: &[View<'_>], lines: &[StepOrLook], recipe: &str) -> Result<Drawn, TrainError> {
    let parts = views.iter().map(|view| part(view, Some(report))).collect::<Result<Vec<_>, _>>()?;
    let (labels, training) = (distribution(&report.labels, &report.splits)?, curves(lines)?);
    let unseen = report.sets.iter().filter(|set| !views.iter().any(|view| view.set().name == set.name));
    let body = html! {
        header {
            h1 { (report.model) }
            p.quiet { "Written " (words::date(report.origin.created)) ", trained on " (report.origin.data) ": " (sizes(&report.splits)) "." }
            (navigation(&parts, &[("labels", "Labels"), ("training", "Training"), ("provenance", "Provenance")]))
            @if let Some(first) = parts.first() { (tiles(first.set)) }
        }
        main {
            (warnings(&report.warnings))
            @for part in &parts { (part.markup) }
            @for set in unseen { (measured(set)) }
            h2 id="labels" { "Labels" }
            (plot(&labels))
            h2 id="training" { "Training" }
            @if !training.panels.is_empty() { (plot(&training)) }
            (fits(report))
            @if let Some(repeats) = &report.repeats { (seeds(repeats)) }
            h2 id="provenance" { "Provenance" }
            (facts(&provenance(report)))
            details { summary { "The recipe as run" } pre { (recipe) } }
        }
        (footer())
    };
    let plots = [labels, training].into_iter().filter(|plot| !plot.panels.is_empty());
    let plots = plots.chain(parts.into_iter().flat_map(|part| part.plots)).collect();
    Ok(Drawn { html: document(&report.model, &body), plots })
}

/// The page of a bundle measured on labelled rows. `about` is what is worth knowing of how,
/// `noticed` what stands against its figures.
///
/// # Errors
/// As for a run's page.
pub fn evaluation(title: &str, about: &[(&str, String)], noticed: &[String], views: &[View<'_>]) -> Result<Drawn, TrainError> {
    let parts = views.iter().map(|view| part(view, None)).collect::<Result<Vec<_>, _>>()?;
    let body = html! {
        header {
            h1 { (title) }
            (navigation(&parts, &[]))
            @if let Some(first) = parts.first() { (tiles(first.set)) }
        }
        main {
            (warnings(noticed))
            (facts(about))
            @for part in &parts { (part.markup) }
        }
        (footer())
    };
    Ok(Drawn { html: document(title, &body), plots: parts.into_iter().flat_map(|part| part.plots).collect() })
}

fn part<'a>(view: &View<'a>, report: Option<&RunReport>) -> Result<Part<'a>, TrainError> {
    let set = view.set();
    let plots = of_set(view)?;
    let rows = hardest(view, HARDEST)?;
    let markup = html! {
        h2 id=(set.name) { (words::set(&set.name)) }
        p.quiet { (words::rows(set.rows)) ". " (set.note) }
        (overall("Figures over all labels, with 95 % bootstrap intervals", &[("tuned thresholds", &set.tuned), ("at 0.5", &set.at_half)]))
        (labels(view, report))
        @for shown in &plots { (plot(shown)) }
        h3 { "Hardest rows" }
        p.quiet { "By mean log-loss over labels, ids only: look the texts up where the data is." }
        (table_of("Rows of highest loss", ["id", "loss", "missed", "invented", "found"].map(|name| (name, name == "loss")), &html! {
            @for row in &rows {
                tr {
                    td.id { (row.id) }
                    td.number { (format!("{:.3}", row.loss)) }
                    @for names in [&row.missed, &row.invented, &row.found] { td { (if names.is_empty() { "\u{2013}".to_owned() } else { names.join(", ") }) } }
                }
            }
        }))
    };
    Ok(Part { set, markup, plots })
}

/// A set of which no rows were kept: its figures alone.
fn measured(set: &MeasuredSet) -> Markup {
    let columns = [("tuned thresholds", &set.tuned), ("at 0.5", &set.at_half)];
    let columns: Vec<_> = columns.into_iter().filter(|(_, figures)| !figures.overall.is_empty()).collect();
    html! {
        h2 id=(set.name) { (words::set(&set.name)) }
        p.quiet { (words::rows(set.rows)) ". " (set.note) }
        (overall("Figures over all labels, with 95 % bootstrap intervals", &columns))
    }
}

fn labels(view: &View<'_>, report: Option<&RunReport>) -> Markup {
    let heads: Vec<&str> = ["label", "rows", "threshold", "calibrator"].into_iter().chain(LABEL_FIGURES.map(|(_, name)| name)).collect();
    let calibrator = |label: usize| report.map_or("\u{2013}", |report| report.decisions[label].0.as_str());
    let support = |label: usize| view.figure(label, "support").map_or("\u{2013}".to_owned(), |figure| format!("{:.0}", figure.value));
    table(
        "Every label, with 95 % bootstrap intervals",
        &heads,
        &html! {
            @for (label, name) in view.labels().names().iter().enumerate() {
                tr {
                    th scope="row" { (name) }
                    td.number { (support(label)) }
                    td.number { (format!("{:.3}", view.thresholds()[label])) }
                    td.number { (calibrator(label)) }
                    @for (figure, _) in LABEL_FIGURES { (cell(view.figure(label, figure).as_ref())) }
                }
            }
        },
    )
}

fn navigation(parts: &[Part<'_>], more: &[(&str, &str)]) -> Markup {
    html! {
        nav aria-label="On this page" {
            ul {
                @for part in parts { li { a href={ "#" (part.set.name) } { (words::set(&part.set.name)) } } }
                @for (id, name) in more { li { a href={ "#" (id) } { (name) } } }
            }
        }
    }
}

fn tiles(set: &MeasuredSet) -> Markup {
    html! {
        p.quiet { (words::set(&set.name)) ", " (words::rows(set.rows)) ", tuned thresholds:" }
        dl.tiles {
            @for (key, name) in TILES {
                @if let Some(Figure { value, interval }) = set.tuned.overall.get(key) {
                    div {
                        dt { (name) }
                        dd { strong { (format!("{value:.3}")) } @if let Some((low, high)) = interval { (format!("{low:.3} to {high:.3}")) } }
                    }
                }
            }
        }
    }
}

fn fits(report: &RunReport) -> Markup {
    let heads = ["fit", "rows", "steps", "kept step", "held-out loss", "held-out macro-F1 at 0.5"];
    table(
        "Every fit, with the evaluation of the weights it kept",
        &heads,
        &html! {
            @for fit in &report.fits {
                @let kept = fit.evaluations.iter().find(|evaluation| evaluation.step == fit.kept_step);
                tr {
                    th scope="row" { (fit.phase) }
                    td.number { (fit.rows) }
                    td.number { (fit.steps) }
                    td.number { (fit.kept_step) }
                    td.number { (kept.map_or("\u{2013}".to_owned(), |kept| format!("{:.4}", kept.loss))) }
                    td.number { (kept.map_or("\u{2013}".to_owned(), |kept| format!("{:.4}", kept.macro_f1))) }
                }
            }
        },
    )
}

fn seeds(repeats: &Repeats) -> Markup {
    let seeds: Vec<String> = repeats.seeds.iter().map(u64::to_string).collect();
    let told = |spread: Option<&Spread>| {
        spread.map_or("\u{2013}".to_owned(), |spread| format!("{:.4} \u{b1} {:.4}", spread.mean, spread.deviation))
    };
    html! {
        h3 { "Under " (seeds.len()) " training seeds" }
        p.quiet { "Seeds " (seeds.join(", ")) ": mean and standard deviation over them, the folds being the same." }
        @for set in &repeats.sets {
            (table(&words::set(&set.name), &["figure", "tuned thresholds", "at 0.5"], &html! {
                @for (key, name) in FIGURES {
                    tr { th scope="row" { (name) } td.number { (told(set.tuned.get(key))) } td.number { (told(set.at_half.get(key))) } }
                }
            }))
        }
    }
}

fn provenance(report: &RunReport) -> Vec<(&'static str, String)> {
    let origin = &report.origin;
    let mut facts = vec![
        ("bundle", report.bundle.clone()),
        ("base model", format!("{}, {}", origin.base, origin.base_licence)),
        ("its revision", origin.base_revision.clone()),
        ("training data", origin.data.clone()),
        ("its fingerprint", report.data.clone()),
        ("recipe", report.recipe.clone()),
        ("held out", report.split.clone()),
        ("the model that ships", report.shipped.clone()),
        ("thresholds by", report.policy.policy.clone()),
        ("seeds", origin.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
        ("trainer", format!("limbic-train {}, commit {}", origin.limbic, origin.git.as_deref().unwrap_or("not known"))),
        ("engines differ by", format!("at most {:.2e} on a logit", report.engines_differ_by)),
    ];
    if let Some(drift) = report.drift {
        let (f1, probability) = (drift.macro_f1, drift.max_probability);
        facts.push((
            "stored precision",
            format!("macro-F1 {f1:+.4} against full precision, largest change of a probability {probability:.5}"),
        ));
    }
    facts
}

fn sizes(splits: &[Split]) -> String {
    splits.iter().map(|split| format!("{} {}", split.name, words::rows(split.rows))).collect::<Vec<_>>().join(", ")
}

fn footer() -> Markup {
    html! {
        footer { p { "Drawn by limbic-train. Intervals are percentile bootstrap intervals over rows. No text of a data set is shown." } }
    }
}
