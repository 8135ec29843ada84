//! `POST /v1/emotions`: the native request and answer.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::check::{Faults, Members, TextLimits, step, subject};
use super::json::Node;
use crate::decide::{Prediction, Thresholds};
use crate::serve::error::{ApiError, Violation};
use crate::serve::model::ServedModel;
use crate::spec::{LabelSet, MAX_LABELS};

const KNOWN: &str = "input, model, thresholds, top_k, logits, granularity, long_text, explain, label_set";

/// What to do with a text of more tokens than the model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LongText {
    /// Cut it, and say so in the answer.
    Truncate,
    /// Refuse the request.
    Refuse,
}

/// Which thresholds decide.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Deciding {
    /// The bundle's.
    Bundle,
    /// The request's; labels it does not name keep the bundle's.
    Request(Thresholds),
    /// None: scores only.
    Nothing,
}

/// A checked request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EmotionsRequest {
    pub(crate) texts: Vec<String>,
    pub(crate) deciding: Deciding,
    pub(crate) top_k: Option<usize>,
    pub(crate) logits: bool,
    pub(crate) long_text: LongText,
    /// Whether `input` was one string, which its errors' pointers need to know.
    single: bool,
}

impl EmotionsRequest {
    /// `model` is the one that the body names, or the default.
    ///
    /// # Errors
    /// Every [`ApiError`] that a body can cause.
    pub(crate) fn parse(body: Node, model: &ServedModel, limits: TextLimits) -> Result<Self, ApiError> {
        let mut faults = Faults::default();
        let mut members = Members::open(body, "", &mut faults);
        // Looked up already; here it is only checked to be a string, and to stand once.
        let _ = members.string("model", &mut faults);
        let input = members.take("input", &mut faults);
        let (texts, single) = texts(input, &mut faults);
        let deciding = deciding(members.take("thresholds", &mut faults), model, &mut faults);
        let top_k = members.count("top_k", MAX_LABELS, &mut faults);
        let logits = members.bool("logits", false, &mut faults);
        granularity(&mut members, &mut faults);
        let long_text = long_text(&mut members, &mut faults);
        for later in ["explain", "label_set"] {
            if members.take(later, &mut faults).is_some() {
                faults.note(Violation::at(step("", later), format!("{later} is not supported yet: expected null")));
            }
        }
        members.finish(KNOWN, &mut faults);
        faults.finish()?;
        let request = Self { texts, deciding, top_k, logits, long_text, single };
        limits.check("/input", &request.texts, |at| request.pointer(at))?;
        Ok(request)
    }

    /// Where text `at` stands in the body.
    pub(crate) fn pointer(&self, at: usize) -> String {
        if self.single { "/input".to_owned() } else { format!("/input/{at}") }
    }
}

fn texts(input: Option<Node>, faults: &mut Faults) -> (Vec<String>, bool) {
    match input {
        None => faults.note(Violation::at("/input", "input is missing: expected a string or a list of strings")),
        Some(Node::String(text)) => return (vec![text], true),
        Some(Node::Array(list)) if list.is_empty() => {
            faults.note(Violation::at("/input", "input is an empty list: expected at least one text"))
        }
        Some(Node::Array(list)) => return (strings(list, "/input", faults), false),
        Some(other) => faults.mistyped("/input", "a string or a list of strings", &other),
    }
    (Vec::new(), true)
}

/// The strings of a list; anything else in it is a fault.
pub(super) fn strings(list: Vec<Node>, pointer: &str, faults: &mut Faults) -> Vec<String> {
    let mut texts = Vec::with_capacity(list.len());
    for (at, node) in list.into_iter().enumerate() {
        if faults.is_full() {
            break;
        }
        match node {
            Node::String(text) => texts.push(text),
            other => faults.mistyped(&format!("{pointer}/{at}"), "a string", &other),
        }
    }
    texts
}

fn deciding(node: Option<Node>, model: &ServedModel, faults: &mut Faults) -> Deciding {
    let labels = model.decider.labels();
    let values = match node {
        None => return Deciding::Bundle,
        Some(Node::String(word)) if word == "none" => return Deciding::Nothing,
        Some(Node::Number(value)) => {
            check_threshold(value, "/thresholds", faults);
            vec![value; labels.len()]
        }
        Some(Node::Object(members)) => per_label(members, labels, model.decider.thresholds().values().to_vec(), faults),
        Some(other) => {
            faults.mistyped("/thresholds", "null, a number, an object of label to number, or \"none\"", &other);
            return Deciding::Bundle;
        }
    };
    // Values out of range have been noted, so the request is refused before these would count.
    Thresholds::new(values).map_or(Deciding::Bundle, Deciding::Request)
}

fn per_label(members: Vec<(String, Node)>, labels: &LabelSet, mut values: Vec<f64>, faults: &mut Faults) -> Vec<f64> {
    let mut seen = vec![false; labels.len()];
    for (name, node) in members {
        if faults.is_full() {
            break;
        }
        let pointer = step("/thresholds", &name);
        match (labels.index_of(&name), node) {
            (None, _) => {
                let known = labels.names().join(", ");
                faults.note(Violation::at(&pointer, format!("{} is no label of this model; they are {known}", subject(&pointer))));
            }
            (Some(label), _) if std::mem::replace(&mut seen[label], true) => {
                faults.note(Violation::at(&pointer, format!("{} stands twice", subject(&pointer))));
            }
            (Some(label), Node::Number(value)) => {
                check_threshold(value, &pointer, faults);
                values[label] = value;
            }
            (Some(_), other) => faults.mistyped(&pointer, "a number in [0, 1]", &other),
        }
    }
    values
}

fn check_threshold(value: f64, pointer: &str, faults: &mut Faults) {
    if !(0.0..=1.0).contains(&value) {
        faults.note(Violation::at(pointer, format!("{} is {value}: expected a number in [0, 1]", subject(pointer))));
    }
}

fn granularity(members: &mut Members, faults: &mut Faults) {
    let Some(word) = members.string("granularity", faults) else { return };
    let detail = match word.as_str() {
        "document" => return,
        "sentence" | "window" => format!("granularity {word:?} is not supported yet: expected \"document\""),
        _ => "granularity: expected \"document\"".to_owned(),
    };
    faults.note(Violation::at("/granularity", detail));
}

fn long_text(members: &mut Members, faults: &mut Faults) -> LongText {
    let Some(word) = members.string("long_text", faults) else { return LongText::Truncate };
    let detail = match word.as_str() {
        "truncate" => return LongText::Truncate,
        "error" => return LongText::Refuse,
        "window" => "long_text \"window\" is not supported yet: expected \"truncate\" or \"error\"",
        _ => "long_text: expected \"truncate\" or \"error\"",
    };
    faults.note(Violation::at("/long_text", detail));
    LongText::Truncate
}

/// The answer; members are written in this order.
#[derive(Serialize)]
pub(crate) struct EmotionsAnswer<'a> {
    pub(crate) id: String,
    pub(crate) model: ModelRef<'a>,
    pub(crate) results: Vec<TextResult<'a>>,
    pub(crate) usage: Usage,
}

/// Which model answered.
#[derive(Serialize)]
pub(crate) struct ModelRef<'a> {
    name: &'a str,
    version: &'a str,
    digest: &'a str,
    precision: &'static str,
}

impl<'a> From<&'a ServedModel> for ModelRef<'a> {
    fn from(model: &'a ServedModel) -> Self {
        Self { name: &model.name, version: &model.version, digest: &model.digest, precision: model.precision }
    }
}

/// One text's part of the answer.
#[derive(Serialize)]
pub(crate) struct TextResult<'a> {
    pub(crate) index: usize,
    /// Absent when the request asked for no decision: an empty list would read as "no emotion".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) labels: Option<Names<'a>>,
    pub(crate) scores: ByLabel<'a, f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logits: Option<ByLabel<'a, f32>>,
    pub(crate) thresholds: ThresholdsUsed<'a>,
    pub(crate) tokens: usize,
    pub(crate) truncated: bool,
}

/// The thresholds that decided, and whose they were.
#[derive(Serialize, Clone)]
pub(crate) struct ThresholdsUsed<'a> {
    source: &'static str,
    values: ByLabel<'a, f64>,
}

impl<'a> ThresholdsUsed<'a> {
    pub(crate) fn of(deciding: &'a Deciding, model: &'a ServedModel) -> Self {
        let names = model.decider.labels().names();
        let (source, values) = match deciding {
            Deciding::Bundle => ("bundle", model.decider.thresholds().values()),
            Deciding::Request(thresholds) => ("request", thresholds.values()),
            Deciding::Nothing => return Self { source: "none", values: ByLabel { names: &[], values: Vec::new() } },
        };
        Self { source, values: ByLabel::all(names, values) }
    }
}

/// What the request cost.
#[derive(Serialize)]
pub(crate) struct Usage {
    pub(crate) texts: usize,
    pub(crate) tokens: usize,
}

/// Some label names, by position.
pub(crate) struct Names<'a> {
    names: &'a [String],
    positions: Vec<usize>,
}

impl<'a> Names<'a> {
    pub(crate) fn held(names: &'a [String], prediction: Prediction) -> Self {
        Self { names, positions: prediction.labels }
    }
}

impl Serialize for Names<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.positions.len()))?;
        for &position in &self.positions {
            list.serialize_element(&self.names[position])?;
        }
        list.end()
    }
}

/// A number for some of the labels, in the bundle's order.
#[derive(Clone)]
pub(crate) struct ByLabel<'a, T> {
    names: &'a [String],
    values: Vec<(usize, T)>,
}

impl<'a, T: Copy + PartialOrd> ByLabel<'a, T> {
    pub(crate) fn all(names: &'a [String], values: &[T]) -> Self {
        Self { names, values: values.iter().copied().enumerate().collect() }
    }

    /// The `most` largest, still in the bundle's order; of equals the first.
    pub(crate) fn largest(names: &'a [String], values: &[T], most: usize) -> Self {
        let mut values: Vec<(usize, T)> = values.iter().copied().enumerate().collect();
        values.sort_by(|(_, left), (_, right)| right.partial_cmp(left).unwrap_or(std::cmp::Ordering::Equal));
        values.truncate(most);
        values.sort_by_key(|(position, _)| *position);
        Self { names, values }
    }
}

impl<T: Serialize> Serialize for ByLabel<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        for (position, value) in &self.values {
            map.serialize_entry(&self.names[*position], value)?;
        }
        map.end()
    }
}
