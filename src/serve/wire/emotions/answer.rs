//! The answer; members are written in the order they stand in here.

use serde::Serialize;

use super::by_label::{ByLabel, Names};
use super::thresholds::ThresholdsUsed;
use crate::decide::LabelMap;
use crate::serve::label_sets::PublishedSet;
use crate::serve::model::ServedModel;
use crate::text::Span;

/// The whole answer.
#[derive(Serialize)]
pub(crate) struct EmotionsAnswer<'a> {
    pub(crate) id: String,
    pub(crate) model: ModelRef<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) label_set: Option<MappedSet<'a>>,
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

/// Whose labels these are, and what became of the model's own.
#[derive(Serialize)]
pub(crate) struct MappedSet<'a> {
    name: &'a str,
    combination: &'static str,
    calibrated: bool,
    missing: &'a [String],
    unmapped: Names<'a>,
}

impl<'a> MappedSet<'a> {
    pub(crate) fn of(set: &'a PublishedSet, map: &'a LabelMap, model: &'a ServedModel) -> Self {
        let unmapped = Names::at(model.decider.labels().names(), map.unmapped().to_vec());
        Self { name: &set.name, combination: map.combination(), calibrated: map.keeps_calibration(), missing: map.missing(), unmapped }
    }
}

/// One text's part of the answer.
#[derive(Serialize)]
pub(crate) struct TextResult<'a> {
    pub(crate) index: usize,
    #[serde(flatten)]
    pub(crate) verdict: Verdict<'a>,
    pub(crate) thresholds: ThresholdsUsed<'a>,
    pub(crate) tokens: usize,
    pub(crate) truncated: bool,
    /// How its windows became one, when it was read through windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) aggregation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spans: Option<Vec<PartResult<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) windows: Option<Vec<PartResult<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) explanation: Option<Explanation<'a>>,
}

/// What is said of a text or a part of it.
#[derive(Serialize)]
pub(crate) struct Verdict<'a> {
    /// Absent when the request asked for no decision: an empty list would read as "no emotion".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) labels: Option<Names<'a>>,
    pub(crate) scores: ByLabel<'a, f32>,
    /// The model's own; what was read in several windows has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logits: Option<ByLabel<'a, f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) abstain: Option<Abstaining<'a>>,
}

/// Whether to trust the decision.
#[derive(Serialize)]
pub(crate) struct Abstaining<'a> {
    pub(crate) abstained: bool,
    pub(crate) reasons: Vec<&'static str>,
    /// Distance to the nearest other decision, and the model's label that would turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) margin: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nearest: Option<&'a str>,
    pub(crate) top_score: f32,
}

/// A sentence or a window.
#[derive(Serialize)]
pub(crate) struct PartResult<'a> {
    start: usize,
    end: usize,
    #[serde(flatten)]
    verdict: Verdict<'a>,
    tokens: usize,
    truncated: bool,
}

impl<'a> PartResult<'a> {
    pub(crate) fn new(span: Span, verdict: Verdict<'a>, tokens: usize, truncated: bool) -> Self {
        Self { start: span.start, end: span.end, verdict, tokens, truncated }
    }
}

/// What the answer hangs on.
#[derive(Serialize)]
pub(crate) struct Explanation<'a> {
    method: &'static str,
    words: Vec<WordEffect<'a>>,
}

impl<'a> Explanation<'a> {
    pub(crate) fn by_occlusion(words: Vec<WordEffect<'a>>) -> Self {
        Self { method: "occlusion", words }
    }
}

/// One word: each label's score with it minus the score without it.
#[derive(Serialize)]
pub(crate) struct WordEffect<'a> {
    start: usize,
    end: usize,
    effects: ByLabel<'a, f32>,
}

impl<'a> WordEffect<'a> {
    pub(crate) fn new(span: Span, effects: ByLabel<'a, f32>) -> Self {
        Self { start: span.start, end: span.end, effects }
    }
}

/// What the request cost.
#[derive(Serialize)]
pub(crate) struct Usage {
    pub(crate) texts: usize,
    /// All that the model read, parts and windows counted each time; explanations not.
    pub(crate) tokens: usize,
}
