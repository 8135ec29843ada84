//! `report.json` read back, so that a page can be drawn of a run that ended long ago.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{Drift, Origin, RunReport, Split};
use crate::bundle::{Figure, Figures, MeasuredSet};
use crate::spec::LabelSet;
use crate::train::fit::FitRecord;
use crate::train::oof::PolicyReport;
use crate::train::repeat::Repeats;
use crate::train::{TrainError, files};

/// The file as written; members that this reader does not know are another's business.
#[derive(Deserialize)]
struct ReportFile {
    model: String,
    bundle: String,
    recipe: String,
    data: String,
    split: String,
    shipped: String,
    repeats: Option<Repeats>,
    threshold_policy: PolicyReport,
    origin: Origin,
    splits: Vec<Split>,
    decisions: Vec<DecisionFile>,
    sets: Vec<SetFile>,
    drift: Option<Drift>,
    engines_differ_by: f64,
    fits: Vec<FitRecord>,
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct DecisionFile {
    label: String,
    calibrator: String,
    threshold: f64,
}

#[derive(Deserialize)]
struct SetFile {
    name: String,
    rows: usize,
    note: String,
    tuned: FiguresFile,
    at_half: FiguresFile,
}

#[derive(Deserialize)]
struct FiguresFile {
    overall: BTreeMap<String, FigureFile>,
    labels: BTreeMap<String, BTreeMap<String, FigureFile>>,
}

#[derive(Deserialize)]
struct FigureFile {
    value: f64,
    interval: Option<(f64, f64)>,
}

impl RunReport {
    /// The report of a finished run, from its folder.
    ///
    /// # Errors
    /// [`TrainError::RunFolder`] when the run is not finished or its report is of another version.
    pub fn read(run: &Path) -> Result<Self, TrainError> {
        let path = run.join("report.json");
        let wrong = |expected: &str, found: String| TrainError::RunFolder { path: path.clone(), expected: expected.to_owned(), found };
        let missing = || wrong("the report of a finished run", "no such file".to_owned());
        let file: ReportFile = files::read_json(&path)?.ok_or_else(missing)?;
        let labels = LabelSet::new(file.decisions.iter().map(|decision| decision.label.clone()));
        let labels = labels.map_err(|error| wrong("a decision for each label", error.to_string()))?;
        if let Some(split) = file.splits.iter().find(|split| split.positives.len() != labels.len() || split.rows == 0) {
            let found = format!("{} of {} rows", split.positives.len(), split.rows);
            return Err(wrong(&format!("rows and {} counts for {}", labels.len(), split.name), found));
        }
        Ok(Self {
            model: file.model,
            bundle: file.bundle,
            recipe: file.recipe,
            data: file.data,
            split: file.split,
            shipped: file.shipped,
            repeats: file.repeats,
            policy: file.threshold_policy,
            origin: file.origin,
            splits: file.splits,
            labels,
            fits: file.fits,
            sets: file.sets.into_iter().map(SetFile::set).collect(),
            drift: file.drift,
            engines_differ_by: file.engines_differ_by,
            decisions: file.decisions.into_iter().map(|decision| (decision.calibrator, decision.threshold)).collect(),
            warnings: file.warnings,
        })
    }
}

impl SetFile {
    fn set(self) -> MeasuredSet {
        MeasuredSet { name: self.name, rows: self.rows, note: self.note, tuned: self.tuned.figures(), at_half: self.at_half.figures() }
    }
}

impl FiguresFile {
    fn figures(self) -> Figures {
        let named = |figures: BTreeMap<String, FigureFile>| {
            figures.into_iter().map(|(name, figure)| (name, Figure { value: figure.value, interval: figure.interval })).collect()
        };
        Figures { overall: named(self.overall), labels: self.labels.into_iter().map(|(label, figures)| (label, named(figures))).collect() }
    }
}
