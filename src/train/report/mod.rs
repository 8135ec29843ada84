//! What a run ends with: `report.json` for programs, `report.md` for a terminal, and `report.html` with
//! its plots, to look at.
//!
//! [`draw_run`] makes the page of what the run folder holds, so that it can be drawn again without
//! fitting anything. `draw` holds the shapes, `plots` a file a family of plots, `html`
//! the pages. No text of a data set is ever shown: a row is named by its id.

mod compare;
mod draw;
mod file;
mod folder;
mod hardest;
mod html;
mod page;
mod plots;

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use compare::{Compared, Comparison, Pair, compare_page};
pub use folder::draw_run;
pub use html::Drawn;
pub use page::evaluation;
pub use plots::View;

use super::fit::FitRecord;
use super::oof::PolicyReport;
use super::repeat::{Repeats, Spread, SpreadSet};
use crate::bundle::{Bundle, Figure, Figures, MeasuredSet};
use crate::spec::{LabelSet, Targets};

/// A finished run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunReport {
    /// Name and version of the model.
    pub model: String,
    /// Id of the bundle.
    pub bundle: String,
    /// Hash of the recipe as run.
    pub recipe: String,
    /// Fingerprint of the training rows.
    pub data: String,
    /// How rows were held out: `5 folds`, `one fold of 5 (fold 4)`.
    pub split: String,
    /// Which model ships: on which rows it was fitted.
    pub shipped: String,
    /// Where the model comes from.
    pub origin: Origin,
    /// The files' rows.
    pub splits: Vec<Split>,
    /// Labels in order.
    pub labels: LabelSet,
    /// Each fold's fit, then the refit, then the fit on both files; those that there were.
    pub fits: Vec<FitRecord>,
    /// Everything measured: out of fold, on the held-out file, out of fold over both files.
    pub sets: Vec<MeasuredSet>,
    /// The same under several training seeds, when the recipe asks for it.
    pub repeats: Option<Repeats>,
    /// What storing the weights in the bundle's precision changed, on the held-out file.
    pub drift: Option<Drift>,
    /// Largest difference of a logit between the two engines.
    pub engines_differ_by: f64,
    /// Calibrator and threshold of each label.
    pub decisions: Vec<(String, f64)>,
    /// Where the thresholds come from.
    pub policy: PolicyReport,
    /// What was noticed, wherever.
    pub warnings: Vec<String>,
}

/// Where a run's model comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Name of the base model.
    pub base: String,
    /// Its commit or content hash.
    pub base_revision: String,
    /// Its licence, an SPDX expression.
    pub base_licence: String,
    /// What the training rows are.
    pub data: String,
    /// Every seed used.
    pub seeds: Vec<u64>,
    /// Commit of the trainer, when known.
    pub git: Option<String>,
    /// Version of the trainer.
    pub limbic: String,
    /// When the bundle was written, in seconds since 1970.
    pub created: u64,
}

impl Origin {
    pub(super) fn of(bundle: &Bundle) -> Self {
        let provenance = bundle.card().provenance.clone();
        Self {
            base: provenance.base.name,
            base_revision: provenance.base.revision,
            base_licence: provenance.base.licence,
            data: provenance.data.description,
            seeds: provenance.seeds,
            git: provenance.git,
            limbic: provenance.limbic,
            created: bundle.created(),
        }
    }
}

/// Rows of one file, and how many of them hold each label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// What it is for.
    pub name: String,
    /// How many rows; at least one.
    pub rows: usize,
    /// Rows that hold each label, in label order.
    pub positives: Vec<usize>,
}

impl Split {
    pub(super) fn of(name: &str, targets: &Targets) -> Self {
        let positives = (0..targets.labels()).map(|label| targets.positives(label)).collect();
        Self { name: name.to_owned(), rows: targets.rows(), positives }
    }
}

/// The stored precision against the weights as trained, same rows, same calibrators and thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Macro-F1 of the stored precision less that of full precision.
    pub macro_f1: f64,
    /// Largest difference of a probability.
    pub max_probability: f64,
    /// Largest difference of a logit.
    pub max_logit: f64,
}

impl Drift {
    /// The same in the words of a bundle's card.
    pub(super) fn figures(&self) -> [(String, Figure); 3] {
        let figure = |name: &str, value| (name.to_owned(), Figure { value, interval: None });
        [
            figure("drift_from_fp32_macro_f1", self.macro_f1),
            figure("drift_from_fp32_max_probability", self.max_probability),
            figure("drift_from_fp32_max_logit", self.max_logit),
        ]
    }
}

impl RunReport {
    /// Everything, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let decisions: Vec<Value> = (self.labels.names().iter().zip(&self.decisions))
            .map(|(label, (calibrator, threshold))| json!({"label": label, "calibrator": calibrator, "threshold": threshold}))
            .collect();
        json!({
            "model": self.model,
            "bundle": self.bundle,
            "recipe": self.recipe,
            "data": self.data,
            "split": self.split,
            "shipped": self.shipped,
            "origin": self.origin,
            "splits": self.splits,
            "decisions": decisions,
            "threshold_policy": self.policy,
            "sets": self.sets.iter().map(set_json).collect::<Vec<_>>(),
            "repeats": self.repeats,
            "drift": self.drift,
            "engines_differ_by": self.engines_differ_by,
            "fits": self.fits,
            "warnings": self.warnings,
        })
    }

    /// Tables, for people.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\nbundle `{}`\n\nrecipe `{}`\n\ndata `{}`\n", self.model, self.bundle, self.recipe, self.data);
        push(&mut text, format_args!("\nheld out: {}\n\nthe model that ships: {}", self.split, self.shipped));
        for set in &self.sets {
            push_set(&mut text, set, &self.labels);
        }
        if let Some(repeats) = &self.repeats {
            push_repeats(&mut text, repeats);
        }
        self.push_decisions(&mut text);
        self.push_fits(&mut text);
        if let Some(drift) = self.drift {
            push(&mut text, format_args!("\n## Stored precision against full precision, held-out rows\n"));
            push(
                &mut text,
                format_args!(
                    "macro-F1 {:+.4}, largest change of a probability {:.5}, of a logit {:.5}",
                    drift.macro_f1, drift.max_probability, drift.max_logit
                ),
            );
        }
        push(&mut text, format_args!("\nThe two engines differ by at most {:.2e} on a logit.", self.engines_differ_by));
        if !self.warnings.is_empty() {
            push(&mut text, format_args!("\n## Warnings\n"));
            self.warnings.iter().for_each(|warning| push(&mut text, format_args!("- {warning}")));
        }
        text
    }

    fn push_decisions(&self, text: &mut String) {
        push(text, format_args!("\n## Calibrators and thresholds\n\n| label | calibrator | threshold |\n|---|---|---|"));
        for (label, (calibrator, threshold)) in self.labels.names().iter().zip(&self.decisions) {
            push(text, format_args!("| {label} | {calibrator} | {threshold:.3} |"));
        }
        push(text, format_args!("\nThresholds by {}.", self.policy.policy));
        if let Some(choice) = &self.policy.choice {
            push(text, format_args!("Chosen for {} of cross-fitted decisions:\n\n| policy | {0} |\n|---|---|", choice.objective));
            choice.candidates.iter().for_each(|(policy, value)| push(text, format_args!("| {policy} | {value:.4} |")));
            push(text, format_args!("\nFor the figures out of fold each fold's was chosen on the others: {}.", choice.folds.join("; ")));
        }
    }

    fn push_fits(&self, text: &mut String) {
        push(
            text,
            format_args!(
                "\n## Fits\n\n| fit | rows | steps | kept | held-out macro-F1 at 0.5 | held-out loss |\n|---|---|---|---|---|---|"
            ),
        );
        for fit in &self.fits {
            let last = fit.evaluations.iter().find(|evaluation| evaluation.step == fit.kept_step);
            let (f1, loss) = last.map_or(("-".to_owned(), "-".to_owned()), |e| (format!("{:.4}", e.macro_f1), format!("{:.4}", e.loss)));
            push(text, format_args!("| {} | {} | {} | {} | {f1} | {loss} |", fit.phase, fit.rows, fit.steps, fit.kept_step));
        }
        for fit in self.fits.iter().filter(|fit| !fit.phases.is_empty()) {
            push(text, format_args!("\n{}: {}.", fit.phase, fit.phases.join("; ")));
        }
    }
}

const SHOWN: [&str; 9] =
    ["macro_f1", "micro_f1", "jaccard", "samples_f1", "exact_match", "mean_average_precision", "brier", "ece", "predicted_cardinality"];

fn push_set(text: &mut String, set: &MeasuredSet, labels: &LabelSet) {
    push(text, format_args!("\n## {} ({} rows)\n\n{}\n\n| figure | tuned | at 0.5 |\n|---|---|---|", set.name, set.rows, set.note));
    for name in SHOWN {
        push(text, format_args!("| {name} | {} | {} |", shown(set.tuned.overall.get(name)), shown(set.at_half.overall.get(name))));
    }
    for label in labels.names() {
        let f1 = |figures: &Figures| shown(figures.labels.get(label).and_then(|figures| figures.get("f1")));
        push(text, format_args!("| F1 {label} | {} | {} |", f1(&set.tuned), f1(&set.at_half)));
    }
}

fn push_repeats(text: &mut String, repeats: &Repeats) {
    let seeds: Vec<String> = repeats.seeds.iter().map(u64::to_string).collect();
    push(
        text,
        format_args!(
            "\n## Under {} training seeds: {}\n\nMean and standard deviation over the seeds; same folds. The model that ships is that of seed \
             {}, with calibrators and thresholds fitted on its own logits.",
            seeds.len(),
            seeds.join(", "),
            seeds[0]
        ),
    );
    for SpreadSet { name, tuned, at_half } in &repeats.sets {
        push(text, format_args!("\n| {name} | tuned | at 0.5 |\n|---|---|---|"));
        let shown =
            |spread: Option<&Spread>| spread.map_or("-".to_owned(), |spread| format!("{:.4} ± {:.4}", spread.mean, spread.deviation));
        for figure in SHOWN {
            push(text, format_args!("| {figure} | {} | {} |", shown(tuned.get(figure)), shown(at_half.get(figure))));
        }
    }
}

pub(super) fn shown(figure: Option<&Figure>) -> String {
    match figure {
        None => "-".to_owned(),
        Some(Figure { value, interval: None }) => format!("{value:.4}"),
        Some(Figure { value, interval: Some((low, high)) }) => format!("{value:.4} [{low:.4}, {high:.4}]"),
    }
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a string cannot fail; anything else, this is a bug");
}

fn set_json(set: &MeasuredSet) -> Value {
    json!({
        "name": set.name, "rows": set.rows, "note": set.note,
        "tuned": figures_json(&set.tuned), "at_half": figures_json(&set.at_half),
    })
}

pub(super) fn figure_json(figure: &Figure) -> Value {
    match figure.interval {
        None => json!({"value": figure.value}),
        Some((low, high)) => json!({"value": figure.value, "interval": [low, high]}),
    }
}

fn figures_json(figures: &Figures) -> Value {
    let overall: serde_json::Map<String, Value> = figures.overall.iter().map(|(name, value)| (name.clone(), figure_json(value))).collect();
    let labels: serde_json::Map<String, Value> = figures
        .labels
        .iter()
        .map(|(label, values)| {
            let values = values.iter().map(|(name, value)| (name.clone(), figure_json(value))).collect();
            (label.clone(), Value::Object(values))
        })
        .collect();
    json!({"overall": overall, "labels": labels})
}
