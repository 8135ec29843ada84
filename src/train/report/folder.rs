//! From what a run folder holds to its page.

use std::path::{Path, PathBuf};

use super::plots::{StepOrLook, View};
use super::{RunReport, page};
use crate::bundle::MeasuredSet;
use crate::spec::Task;
use crate::train::outcome::{Kind, Outcome};
use crate::train::{TrainError, files};

/// Draws a finished run's `report.html` and `plots/`; gives the page's path.
///
/// # Errors
/// [`TrainError::RunFolder`] when the run is not finished or its files are of another version;
/// [`TrainError::File`]; [`TrainError::Plot`].
pub fn draw_run(run: &Path) -> Result<PathBuf, TrainError> {
    let report = RunReport::read(run)?;
    let outcomes = outcomes(run, &report)?;
    let thresholds: Vec<f64> = report.decisions.iter().map(|(_, threshold)| *threshold).collect();
    let activation = Task::MultiLabel.activation();
    // Sets whose rows are another's, looked at otherwise, have none of their own.
    let of = |set: &MeasuredSet| outcomes.iter().find(|outcome| outcome.about.set == set.name);
    let sets = report.sets.iter().filter_map(|set| Some((set, &of(set)?.rows)));
    let views = sets.map(|(set, rows)| View::new(&report.labels, set, rows, &thresholds, activation)).collect::<Result<Vec<_>, _>>()?;
    let recipe = String::from_utf8_lossy(&files::read(&run.join("recipe.toml"))?).into_owned();
    page::of_run(&report, &views, &metrics(run)?, &recipe)?.write(run)
}

/// What the run kept of its rows, all of it about the report's labels.
fn outcomes(run: &Path, report: &RunReport) -> Result<Vec<Outcome>, TrainError> {
    let kept = Kind::OF_RUN.into_iter().filter_map(|kind| Outcome::read(run, kind).transpose());
    let outcomes = kept.collect::<Result<Vec<_>, _>>()?;
    match outcomes.iter().find(|outcome| outcome.about.labels != report.labels) {
        None => Ok(outcomes),
        Some(other) => Err(TrainError::RunFolder {
            path: run.join(other.about.kind.about_file()),
            expected: format!("the labels of report.json: {}", report.labels.names().join(", ")),
            found: other.about.labels.names().join(", "),
        }),
    }
}

fn metrics(run: &Path) -> Result<Vec<StepOrLook>, TrainError> {
    let path = run.join("metrics.jsonl");
    let text = files::read(&path)?;
    let line = |(at, line): (usize, &[u8])| {
        serde_json::from_slice(line).map_err(|error| TrainError::RunFolder {
            path: path.clone(),
            expected: "a step or a look at held-out rows on every line".to_owned(),
            found: format!("line {}: {error}", at + 1),
        })
    };
    text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).enumerate().map(line).collect()
}
