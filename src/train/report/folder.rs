//! From what a run folder holds to its page.

use std::path::{Path, PathBuf};

use super::plots::{StepOrLook, View};
use super::{RunReport, page};
use crate::bundle::MeasuredSet;
use crate::spec::Task;
use crate::train::scored::ScoredRows;
use crate::train::{TrainError, files};

/// Draws a finished run's `report.html` and `plots/`; gives the page's path.
///
/// # Errors
/// [`TrainError::RunFolder`] when the run is not finished or its files are of another version;
/// [`TrainError::File`]; [`TrainError::Plot`].
pub fn draw_run(run: &Path) -> Result<PathBuf, TrainError> {
    let report = RunReport::read(run)?;
    let rows = report.sets.iter().map(|set| Ok((set, scored(run, set, &report)?))).collect::<Result<Vec<_>, TrainError>>()?;
    let thresholds: Vec<f64> = report.decisions.iter().map(|(_, threshold)| *threshold).collect();
    let activation = Task::MultiLabel.activation();
    let views = rows.iter().filter_map(|(set, rows)| Some((*set, rows.as_ref()?)));
    let views =
        views.map(|(set, rows)| View::new(&report.labels, set, rows, &thresholds, activation)).collect::<Result<Vec<_>, TrainError>>()?;
    let recipe = String::from_utf8_lossy(&files::read(&run.join("recipe.toml"))?).into_owned();
    page::of_run(&report, &views, &metrics(run)?, &recipe)?.write(run)
}

/// The rows of a set; sets whose rows are another's, looked at otherwise, keep none.
fn scored(run: &Path, set: &MeasuredSet, report: &RunReport) -> Result<Option<ScoredRows>, TrainError> {
    ScoredRows::read(&run.join(format!("{}.jsonl", set.name)), &report.labels)
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
