//! An evaluation as files: JSON for programs, Markdown for people, a table a label for
//! spreadsheets, and the rows themselves for a later comparison.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::Evaluation;
use crate::bundle::{Figure, Figures};
use crate::metrics::{LabelFigures, Summary};
use crate::train::report::{figure_json, shown};
use crate::train::{TrainError, files, grid};

/// Said of the two figures that compare sets of labels.
const EMPTY_SETS: &str = "A row with no label, predicted none, counts 1 in jaccard and samples_f1.";
const TRAINED_ON: &str = "NOT HELD OUT: this is the very data that the bundle was trained on. These figures say how well it remembers, \
                          not how well it will do on other text.";
/// Figures of a label in the tables for people, and their headings.
const FREE: [&str; 7] = ["support", "average_precision", "auroc", "log_loss", "brier", "ece", "ece_debiased"];
const DECIDED: [&str; 8] =
    ["precision", "recall", "f1", "predicted", "true_positives", "false_positives", "false_negatives", "true_negatives"];

impl Evaluation {
    /// What is loudly said before anything else, when there is cause.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        self.trained_on.then_some(TRAINED_ON)
    }

    /// Writes `evaluation.json`, `evaluation.md`, `labels.csv` and the rows into `folder`, which is
    /// made when absent.
    ///
    /// # Errors
    /// [`TrainError::File`].
    pub fn write(&self, folder: &Path) -> Result<(), TrainError> {
        files::folder(folder)?;
        files::write_json(&folder.join("evaluation.json"), &self.json())?;
        files::write(&folder.join("evaluation.md"), self.markdown().as_bytes())?;
        files::write(&folder.join("labels.csv"), &self.label_csv())?;
        self.outcome.write(folder)
    }

    /// Everything but the rows, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let about = &self.outcome.about;
        json!({
            "model": about.model,
            "bundle": self.bundle,
            "engine": self.engine,
            "data": {
                "file": self.set.name,
                "rows": self.set.rows,
                "fingerprint": about.data,
                "left_out": self.left_out.as_ref().map(ToString::to_string),
            },
            "trained_on": self.trained_on,
            "labels": about.labels,
            "thresholds": {"policy": about.policy, "bundle": self.thresholds, "half": 0.5},
            "intervals": {
                "method": "percentile bootstrap over rows",
                "resamples": self.resampling.resamples,
                "seed": self.resampling.seed,
                "level": self.resampling.level,
            },
            "conventions": EMPTY_SETS,
            "figures": {
                "none": some_json(&self.set.tuned, true),
                "bundle": some_json(&self.set.tuned, false),
                "half": some_json(&self.set.at_half, false),
            },
        })
    }

    /// Tables for people; they read in a terminal as they are.
    #[must_use]
    pub fn markdown(&self) -> String {
        let labels = self.outcome.about.labels.names();
        let decided = |name: &str, figures: &Figures| {
            let heading = ["label", "threshold"].into_iter().chain(DECIDED).map(str::to_owned).collect();
            let row = |(at, label): (usize, &String)| {
                let threshold = if name == "bundle" { self.thresholds[at] } else { 0.5 };
                [label.clone(), format!("{threshold:.3}")].into_iter().chain(label_cells(figures, label, &DECIDED)).collect()
            };
            grid::table(&std::iter::once(heading).chain(labels.iter().enumerate().map(row)).collect::<Vec<_>>())
        };
        let heading = std::iter::once("label").chain(FREE).map(str::to_owned).collect();
        let free = labels.iter().map(|label| std::iter::once(label.clone()).chain(label_cells(&self.set.tuned, label, &FREE)).collect());
        [
            self.head(),
            format!("## Without thresholds\n\n{}", self.overall(true)),
            format!("## With thresholds\n\nThe bundle's: {}.\n\n{}", self.outcome.about.policy, self.overall(false)),
            format!("## Labels, without thresholds\n\n{}", grid::table(&std::iter::once(heading).chain(free).collect::<Vec<_>>())),
            format!("## Labels, at the bundle's thresholds\n\n{}", decided("bundle", &self.set.tuned)),
            format!("## Labels, at 0.5\n\n{}", decided("half", &self.set.at_half)),
        ]
        .join("\n")
    }

    fn head(&self) -> String {
        let about = &self.outcome.about;
        let loud = self.warning().map_or(String::new(), |warning| format!("**{warning}**\n\n"));
        let left_out = self.left_out.as_ref().map_or(String::new(), |left_out| format!(" {left_out}."));
        format!(
            "# {} on {}\n\n{loud}{} rows, data `{}`.{left_out} Bundle `{}`, engine {}. In brackets {:.0} % intervals: {} resamples of \
             the rows, seed {}. {EMPTY_SETS}\n",
            about.model,
            self.set.name,
            self.set.rows,
            about.data,
            self.bundle,
            self.engine,
            100.0 * self.resampling.level,
            self.resampling.resamples,
            self.resampling.seed,
        )
    }

    fn overall(&self, free: bool) -> String {
        let cell = |figures: &Figures, name: &str| shown(figures.overall.get(name));
        let names = Summary::<f64>::NAMES.iter().filter(|name| Summary::<f64>::THRESHOLD_FREE.contains(*name) == free);
        let rows = names.map(|&name| match free {
            true => vec![name.to_owned(), cell(&self.set.tuned, name)],
            false => vec![name.to_owned(), cell(&self.set.tuned, name), cell(&self.set.at_half, name)],
        });
        let heading: &[&str] = if free { &["figure", "value"] } else { &["figure", "bundle's", "0.5"] };
        let heading = heading.iter().map(|&name| name.to_owned()).collect();
        grid::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
    }

    /// A row a label and thresholds (`bundle`, `half`): every figure, and the ends of its interval.
    fn label_csv(&self) -> Vec<u8> {
        let names = || LabelFigures::<f64>::NAMES.iter().filter(|name| **name != "threshold");
        let ends = names().flat_map(|name| [(*name).to_owned(), format!("{name}_low"), format!("{name}_high")]);
        let heading = ["label", "thresholds", "threshold"].map(str::to_owned).into_iter().chain(ends);
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut write = |row: Vec<String>| writer.write_record(row).expect("rows of one length into memory; anything else, this is a bug");
        write(heading.collect());
        for (at, label) in self.outcome.about.labels.names().iter().enumerate() {
            for (name, threshold, figures) in [("bundle", self.thresholds[at], &self.set.tuned), ("half", 0.5, &self.set.at_half)] {
                let cells = names().flat_map(|name| ends_of(figures.labels.get(label).and_then(|figures| figures.get(*name))));
                write([label.clone(), name.to_owned(), threshold.to_string()].into_iter().chain(cells).collect());
            }
        }
        writer.into_inner().expect("memory can be written; anything else, this is a bug")
    }
}

fn ends_of(figure: Option<&Figure>) -> [String; 3] {
    let ends = figure.and_then(|figure| figure.interval);
    let text = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    [text(figure.map(|figure| figure.value)), text(ends.map(|ends| ends.0)), text(ends.map(|ends| ends.1))]
}

/// Cells of one label: counts as they are, the rest with its interval.
fn label_cells<'a>(figures: &'a Figures, label: &str, names: &'a [&str]) -> impl Iterator<Item = String> + 'a {
    let of_label = figures.labels.get(label);
    names.iter().map(move |name| {
        let figure = of_label.and_then(|figures| figures.get(*name));
        let count = matches!(*name, "support" | "predicted") || name.ends_with("positives") || name.ends_with("negatives");
        if count { figure.map_or("-".to_owned(), |figure| figure.value.to_string()) } else { shown(figure) }
    })
}

/// The figures that thresholds do not change, or all the others.
fn some_json(figures: &Figures, free: bool) -> Value {
    let some = |values: &std::collections::BTreeMap<String, Figure>, names: &[&str]| -> Value {
        let kept = values.iter().filter(|(name, _)| names.contains(&name.as_str()) == free);
        Value::Object(kept.map(|(name, figure)| (name.clone(), figure_json(figure))).collect::<Map<_, _>>())
    };
    let labels = figures.labels.iter().map(|(label, values)| (label.clone(), some(values, LabelFigures::<f64>::THRESHOLD_FREE)));
    json!({"overall": some(&figures.overall, Summary::<f64>::THRESHOLD_FREE), "labels": labels.collect::<Map<_, _>>()})
}
