//! What a bundle says of itself: where it comes from, and how good it was measured to be.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::Bundle;

/// Where a bundle comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The checkpoint that training began with.
    pub base: BaseModel,
    /// Hash of the recipe's text, `sha256:...`.
    pub recipe_sha256: String,
    /// The recipe as run, overrides included.
    pub recipe: String,
    /// The rows trained on.
    pub data: DataFingerprint,
    /// Other data that the weights have learnt from.
    pub further: Vec<FurtherData>,
    /// Commit of the trainer, when known.
    pub git: Option<String>,
    /// Every seed used, in the order of use.
    pub seeds: Vec<u64>,
    /// Version of the trainer.
    pub limbic: String,
}

/// A published checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseModel {
    /// Its name, for example `all-MiniLM-L6-v2`.
    pub name: String,
    /// Which state of it: a commit or a content hash.
    pub revision: String,
    /// Its licence, an SPDX expression.
    pub licence: String,
}

/// Which rows a model was trained on, without the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFingerprint {
    /// What the rows are.
    pub description: String,
    /// How many there are.
    pub rows: usize,
    /// Hash over texts and labels in order, `sha256:...`.
    pub sha256: String,
}

/// Data beside a model's own that its weights have learnt from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FurtherData {
    /// What it was used for: `stage-0` and so on, or `multitask`.
    pub purpose: String,
    /// What the rows are.
    pub description: String,
    /// Their licence, an SPDX expression.
    pub licence: String,
    /// How many there are.
    pub rows: usize,
    /// Hash over texts and labels in order, `sha256:...`.
    pub sha256: String,
}

/// One measured number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// The value; finite.
    pub value: f64,
    /// Lower and upper end of its interval, when one was measured.
    pub interval: Option<(f64, f64)>,
}

/// Measurements by name: over all labels, and label by label.
///
/// Names are open, so that a later trainer may measure more: `macro_f1`, `micro_f1`, `jaccard`,
/// `brier`, `ece`; a label's `f1`, `precision`, `recall`, `brier`, `ece`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    /// Over all labels.
    pub overall: BTreeMap<String, Figure>,
    /// By label, then by name.
    pub labels: BTreeMap<String, BTreeMap<String, Figure>>,
}

/// Figures on one set of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredSet {
    /// Which rows: `out_of_fold` (cross-fitted), or the name of a held-out set.
    pub name: String,
    /// How many rows.
    pub rows: usize,
    /// How the figures came about, and what they must not be used for.
    pub note: String,
    /// With the bundle's thresholds.
    pub tuned: Figures,
    /// With every threshold at 0.5.
    pub at_half: Figures,
}

/// Some of a label's rows, neighbours by score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreBin {
    /// Scores from here up to the next bin's are in this one. The first bin begins at 0.
    pub from: f64,
    /// How many rows, at least one.
    pub rows: u64,
    /// Their mean score.
    pub score: f64,
    /// The share of them that hold the label.
    pub held: f64,
}

/// How the calibrated scores of each label were distributed on rows that the model did not see: what live
/// scores are compared with, and each label's reliability diagram.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreReference {
    /// Which rows, by the name of their [`MeasuredSet`].
    pub set: String,
    /// Bins of about equal mass from the lowest scores up, labels in their order.
    pub labels: Vec<Vec<ScoreBin>>,
}

/// Provenance and measurements.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Where the bundle comes from.
    pub provenance: Provenance,
    /// What was measured, set after set; the sets have different names.
    pub metrics: Vec<MeasuredSet>,
    /// Bundles that were written before there was such a member have none.
    pub scores: Option<ScoreReference>,
}

/// The card as plain text for a terminal, about 60 lines.
#[must_use]
pub fn render(bundle: &Bundle) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = head(&mut text, bundle);
    let _ = labels(&mut text, bundle);
    for set in &bundle.card().metrics {
        let _ = measured(&mut text, set, bundle);
    }
    let _ = provenance(&mut text, &bundle.card().provenance);
    let _ = files(&mut text, bundle);
    text
}

fn head(out: &mut String, bundle: &Bundle) -> fmt::Result {
    writeln!(out, "{} {}", bundle.name(), bundle.version())?;
    let rows = [
        ("id", bundle.id().to_owned()),
        ("created", format!("{} (unix seconds)", bundle.created())),
        (
            "network",
            format!("{}, {} pooling, {} parameters", bundle.architecture().name(), bundle.pooling().name(), bundle.layout().parameters()),
        ),
        ("task", format!("{}, {}", bundle.task().name(), bundle.activation().name())),
        ("text", format!("at most {} tokens, normalization {}", bundle.max_length(), bundle.normalization().name())),
        ("weights", format!("{}, engines agree within {:e} on logits", bundle.precision().name(), bundle.tolerance())),
        ("engines", if bundle.graph().is_some() { "onnx, candle" } else { "candle" }.to_owned()),
        ("golden", format!("{} texts", bundle.golden().texts.len())),
    ];
    rows.iter().try_for_each(|(name, value)| writeln!(out, "  {name:<9} {value}"))
}

fn labels(out: &mut String, bundle: &Bundle) -> fmt::Result {
    writeln!(out, "\nlabels ({}; thresholds: {})", bundle.labels().len(), bundle.threshold_policy())?;
    let thresholds = bundle.decider().thresholds().values();
    for ((name, threshold), calibrator) in bundle.labels().names().iter().zip(thresholds).zip(bundle.decider().calibrators()) {
        writeln!(out, "  {name:<20} threshold {threshold:.3}  calibrator {}", calibrator.kind())?;
    }
    Ok(())
}

fn measured(out: &mut String, set: &MeasuredSet, bundle: &Bundle) -> fmt::Result {
    writeln!(out, "\n{} ({} rows): {}", set.name, set.rows, set.note)?;
    writeln!(out, "  {:<32} {:<24} at 0.5", "", "tuned")?;
    for name in set.tuned.overall.keys().chain(set.at_half.overall.keys().filter(|name| !set.tuned.overall.contains_key(*name))) {
        writeln!(out, "  {name:<32} {:<24} {}", shown(set.tuned.overall.get(name)), shown(set.at_half.overall.get(name)))?;
    }
    for label in bundle.labels().names() {
        let figure = |figures: &Figures| shown(figures.labels.get(label).and_then(|by_name| by_name.get("f1")));
        writeln!(out, "  f1 {label:<29} {:<24} {}", figure(&set.tuned), figure(&set.at_half))?;
    }
    Ok(())
}

fn shown(figure: Option<&Figure>) -> String {
    match figure {
        None => "-".to_owned(),
        Some(Figure { value, interval: None }) => format!("{value:.4}"),
        Some(Figure { value, interval: Some((low, high)) }) => format!("{value:.4} [{low:.4}, {high:.4}]"),
    }
}

fn provenance(out: &mut String, from: &Provenance) -> fmt::Result {
    writeln!(out, "\nprovenance")?;
    let seeds: Vec<String> = from.seeds.iter().map(u64::to_string).collect();
    let rows = [
        ("base", format!("{} at {} ({})", from.base.name, from.base.revision, from.base.licence)),
        ("data", format!("{}, {} rows, {}", from.data.description, from.data.rows, from.data.sha256)),
        ("recipe", from.recipe_sha256.clone()),
        ("seeds", seeds.join(", ")),
        ("limbic", format!("{}, git {}", from.limbic, from.git.as_deref().unwrap_or("unknown"))),
    ];
    rows.iter().try_for_each(|(name, value)| writeln!(out, "  {name:<9} {value}"))?;
    let further = |set: &FurtherData| format!("{}, {} rows ({}), {}", set.description, set.rows, set.licence, set.sha256);
    from.further.iter().try_for_each(|set| writeln!(out, "  {:<9} {}", set.purpose, further(set)))
}

fn files(out: &mut String, bundle: &Bundle) -> fmt::Result {
    writeln!(out, "\nfiles")?;
    bundle.files().try_for_each(|file| writeln!(out, "  {:<18} {:>10} bytes  sha256 {}", file.name, file.bytes, file.sha256))
}
