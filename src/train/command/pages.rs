//! Evaluations and comparisons as pages to look at, beside their files for programs.

use std::collections::HashSet;
use std::path::Path;

use crate::bundle::{Bundle, Figures, MeasuredSet};
use crate::train::TrainError;
use crate::train::compare::{Comparison, Measured};
use crate::train::evaluate::Evaluation;
use crate::train::report::{self, Compared, Pair, View, compare_page};

/// Draws what `bundle` said of a file into `folder`.
pub(super) fn evaluation(bundle: &Bundle, evaluation: &Evaluation, folder: &Path) -> Result<(), TrainError> {
    let outcome = &evaluation.outcome;
    let view = View::new(bundle.labels(), &evaluation.set, &outcome.rows, &evaluation.thresholds, bundle.activation())?;
    let facts = [
        ("bundle", evaluation.bundle.clone()),
        ("engine", evaluation.engine.to_owned()),
        ("data", outcome.about.data.clone()),
        ("thresholds by", outcome.about.policy.clone()),
    ];
    let warnings: Vec<String> = evaluation.warning().into_iter().map(str::to_owned).collect();
    let title = format!("{} on {}", outcome.about.model, evaluation.set.name);
    report::evaluation(&title, &facts, &warnings, &[view])?.write(folder).map(|_| ())
}

/// Draws systems side by side into `folder`.
pub(super) fn comparison(comparison: &Comparison, folder: &Path) -> Result<(), TrainError> {
    let Some(first) = comparison.systems.first() else { return Ok(()) };
    let sets: Vec<MeasuredSet> = comparison.systems.iter().map(set).collect();
    let names = names(&comparison.systems);
    let pair = |(system, name): (&Measured, &String)| Pair {
        left: name.clone(),
        right: names[0].clone(),
        differences: system.differences.clone(),
    };
    let pairs = comparison.systems.iter().zip(&names).filter(|(system, _)| !system.differences.is_empty());
    let runs = comparison.systems.iter().zip(&names).zip(&sets);
    let page = report::Comparison {
        title: "Comparison".to_owned(),
        labels: &first.about.labels,
        runs: runs.map(|((system, name), set)| compared(name, system, set)).collect(),
        pairs: pairs.map(pair).collect(),
        warnings: comparison.differs.iter().map(|differs| format!("not ranked: {differs}")).collect(),
    };
    compare_page(&page)?.write(folder).map(|_| ())
}

/// The last parts of the folders' names, which fit beside a plot; whole names when two end alike.
fn names(systems: &[Measured]) -> Vec<String> {
    let last = |system: &Measured| Path::new(&system.name).file_name().map(|name| name.to_string_lossy().into_owned());
    let short: Vec<String> = systems.iter().filter_map(last).collect();
    let distinct = short.iter().collect::<HashSet<_>>().len() == systems.len();
    if distinct { short } else { systems.iter().map(|system| system.name.clone()).collect() }
}

fn set(system: &Measured) -> MeasuredSet {
    MeasuredSet {
        name: system.about.kind.name().to_owned(),
        rows: system.about.rows,
        note: String::new(),
        tuned: system.figures.clone(),
        at_half: Figures::default(),
    }
}

fn compared<'a>(name: &str, system: &Measured, set: &'a MeasuredSet) -> Compared<'a> {
    let about = &system.about;
    let facts = vec![
        ("folder", system.name.clone()),
        ("model", about.model.clone()),
        ("rows", format!("{}, {}", about.rows, about.kind.name())),
        ("data", about.data.clone()),
        ("folds", about.folds.clone().unwrap_or_else(|| "none".to_owned())),
        ("thresholds by", about.policy.clone()),
    ];
    Compared { name: name.to_owned(), facts, set }
}
