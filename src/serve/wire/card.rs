//! `GET /v1/models/{id}`: the model card. What the model is, how it decides, how good it was
//! measured to be and on what, where it comes from, and the hash of every file. All of it stands in the bundle; the
//! recipe does too, but names places of the trainer's machine: the card has its hash.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::bundle::{Bundle, Figure, Figures, FurtherData, MeasuredSet, Provenance, ScoreBin, ScoreReference};
use crate::decide::Calibrator;

/// The card of an opened bundle; written once, when it is opened.
pub(crate) fn of(bundle: &Bundle) -> Value {
    json!({
        "id": bundle.name(),
        "object": "model",
        "created": bundle.created(),
        "owned_by": "limbic",
        "version": bundle.version(),
        "digest": bundle.id(),
        "task": bundle.task(),
        "activation": bundle.activation(),
        "architecture": bundle.architecture(),
        "pooling": bundle.pooling(),
        "precision": {"name": bundle.precision().name(), "tolerance": bundle.tolerance()},
        "max_length": bundle.max_length(),
        "normalization": bundle.normalization(),
        "parameters": bundle.layout().parameters(),
        "threshold_policy": bundle.threshold_policy(),
        "labels": labels(bundle),
        "metrics": bundle.card().metrics.iter().map(measured).collect::<Vec<_>>(),
        "scores": bundle.card().scores.as_ref().map(|reference| scores(reference, bundle.labels().names())),
        "golden_texts": bundle.golden().texts.len(),
        "engines": if bundle.graph().is_some() { vec!["onnx", "candle"] } else { vec!["candle"] },
        "provenance": provenance(&bundle.card().provenance),
        "files": files(bundle),
    })
}

fn labels(bundle: &Bundle) -> Vec<Value> {
    let decider = bundle.decider();
    let rows = bundle.labels().names().iter().zip(decider.thresholds().values()).zip(decider.calibrators());
    let label = |((name, threshold), calibrator): ((&String, &f64), &Calibrator)| json!({"name": name, "threshold": threshold, "calibrator": calibrator.kind(), "calibration": calibration(calibrator)});
    rows.map(label).collect()
}

/// A calibrator's numbers, but for the points of a step function, of which there may be hundreds: their count.
fn calibration(calibrator: &Calibrator) -> Value {
    match calibrator {
        Calibrator::Identity => json!({}),
        Calibrator::Temperature { t } => json!({"t": t}),
        Calibrator::Sigmoid { a, b } => json!({"a": a, "b": b}),
        Calibrator::Beta { a, b, c } => json!({"a": a, "b": b, "c": c}),
        Calibrator::Isotonic { x, .. } => json!({"points": x.len()}),
    }
}

/// Each label's bins: a reliability diagram, and what live scores are compared with.
fn scores(reference: &ScoreReference, labels: &[String]) -> Value {
    let bin = |&ScoreBin { from, rows, score, held }: &ScoreBin| json!({"from": from, "rows": rows, "score": score, "held": held});
    let label = |(label, bins): (&String, &Vec<ScoreBin>)| (label.clone(), bins.iter().map(bin).collect());
    json!({"set": reference.set, "labels": labels.iter().zip(&reference.labels).map(label).collect::<Map<String, Value>>()})
}

fn measured(set: &MeasuredSet) -> Value {
    json!({
        "name": set.name,
        "rows": set.rows,
        "note": set.note,
        "tuned": figures(&set.tuned),
        "at_half": figures(&set.at_half),
    })
}

fn figures(figures: &Figures) -> Value {
    let labels: Map<String, Value> = figures.labels.iter().map(|(label, by_name)| (label.clone(), by_name_of(by_name))).collect();
    json!({"overall": by_name_of(&figures.overall), "labels": labels})
}

fn by_name_of(figures: &BTreeMap<String, Figure>) -> Value {
    let figure = |figure: &Figure| match figure.interval {
        Some((low, high)) => json!({"value": figure.value, "interval": [low, high]}),
        None => json!({"value": figure.value}),
    };
    Value::Object(figures.iter().map(|(name, value)| (name.clone(), figure(value))).collect())
}

fn provenance(from: &Provenance) -> Value {
    json!({
        "base": {"name": from.base.name, "revision": from.base.revision, "licence": from.base.licence},
        "data": {"description": from.data.description, "rows": from.data.rows, "sha256": from.data.sha256},
        "further": from.further.iter().map(further).collect::<Vec<_>>(),
        "recipe_sha256": from.recipe_sha256,
        "git": from.git,
        "seeds": from.seeds,
        "limbic": from.limbic,
    })
}

fn further(data: &FurtherData) -> Value {
    json!({
        "purpose": data.purpose,
        "description": data.description,
        "licence": data.licence,
        "rows": data.rows,
        "sha256": data.sha256,
    })
}

fn files(bundle: &Bundle) -> Value {
    Value::Object(bundle.files().map(|file| (file.name.clone(), json!({"sha256": file.sha256, "bytes": file.bytes}))).collect())
}
