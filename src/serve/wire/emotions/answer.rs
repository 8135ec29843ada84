//! The answer; members are written in the order they stand in here.

use serde::Serialize;
use utoipa::ToSchema;

use super::by_label::{ByLabel, Names};
use super::thresholds::ThresholdsUsed;
use crate::decide::LabelMap;
use crate::serve::label_sets::PublishedSet;
use crate::serve::model::ServedModel;
use crate::text::Span;

/// What was found in the texts, and which model found it.
#[derive(Serialize, ToSchema)]
pub(crate) struct EmotionsAnswer<'a> {
    /// Of this answer.
    pub(crate) id: String,
    pub(crate) model: ModelRef<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = MappedSet<'a>)]
    pub(crate) label_set: Option<MappedSet<'a>>,
    /// One a text, in the order of the request.
    pub(crate) results: Vec<TextResult<'a>>,
    pub(crate) usage: Usage,
}

/// Which model answered.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelRef<'a> {
    /// What requests call it.
    name: &'a str,
    /// Another answers under `name@version`.
    version: &'a str,
    /// The bundle's content hash, `sha256:…`.
    digest: &'a str,
    /// How its weights are stored: `fp32` or `int8_weights`.
    precision: &'static str,
}

impl<'a> From<&'a ServedModel> for ModelRef<'a> {
    fn from(model: &'a ServedModel) -> Self {
        Self { name: &model.name, version: &model.version, digest: &model.digest, precision: model.precision }
    }
}

/// Whose labels these are, and what became of the model's own.
#[derive(Serialize, ToSchema)]
pub(crate) struct MappedSet<'a> {
    /// The set's name.
    name: &'a str,
    /// How the scores of several of the model's labels became one: `max` or `sum`.
    combination: &'static str,
    /// Whether the scores are still calibrated.
    calibrated: bool,
    /// Labels of the set that the model has nothing for.
    missing: &'a [String],
    /// Labels of the model that stand behind none of the set.
    #[schema(value_type = Vec<String>)]
    unmapped: Names<'a>,
}

impl<'a> MappedSet<'a> {
    pub(crate) fn of(set: &'a PublishedSet, map: &'a LabelMap, model: &'a ServedModel) -> Self {
        let unmapped = Names::at(model.decider.labels().names(), map.unmapped().to_vec());
        Self { name: &set.name, combination: map.combination(), calibrated: map.keeps_calibration(), missing: map.missing(), unmapped }
    }
}

/// One text's part of the answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct TextResult<'a> {
    /// Of the text in the request, from zero.
    pub(crate) index: usize,
    #[serde(flatten)]
    pub(crate) verdict: Verdict<'a>,
    pub(crate) thresholds: ThresholdsUsed<'a>,
    /// What the model read of this text, its parts counted each time.
    pub(crate) tokens: usize,
    /// Whether some of the text was cut off.
    pub(crate) truncated: bool,
    /// How its windows became one, `max` or `mean`, when it was read through windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub(crate) aggregation: Option<&'static str>,
    /// Its sentences, with `"granularity": "sentence"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<PartResult<'a>>)]
    pub(crate) spans: Option<Vec<PartResult<'a>>>,
    /// Its windows, with `"granularity": "window"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<PartResult<'a>>)]
    pub(crate) windows: Option<Vec<PartResult<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Explanation<'a>)]
    pub(crate) explanation: Option<Explanation<'a>>,
}

/// What is said of a text or a part of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Verdict<'a> {
    /// The labels that hold, the one furthest above its threshold first. Absent when the request asked
    /// for no decision: an empty list would read as "no emotion".
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>)]
    pub(crate) labels: Option<Names<'a>>,
    /// A calibrated probability by label, in the label set's order.
    #[schema(value_type = BTreeMap<String, f32>)]
    pub(crate) scores: ByLabel<'a, f32>,
    /// The model's own; what was read in several windows has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = BTreeMap<String, f32>)]
    pub(crate) logits: Option<ByLabel<'a, f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Abstaining<'a>)]
    pub(crate) abstain: Option<Abstaining<'a>>,
}

/// Whether to trust the decision.
#[derive(Serialize, ToSchema)]
pub(crate) struct Abstaining<'a> {
    /// Whether the request's policy would rather not decide.
    pub(crate) abstained: bool,
    /// Why: `margin`, `score`.
    pub(crate) reasons: Vec<&'static str>,
    /// Distance to the nearest other decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    pub(crate) margin: Option<f64>,
    /// The model's label that would turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub(crate) nearest: Option<&'a str>,
    /// The highest score.
    pub(crate) top_score: f32,
}

/// A sentence or a window.
#[derive(Serialize, ToSchema)]
pub(crate) struct PartResult<'a> {
    /// Its first code point in the text as it was sent, from zero.
    start: usize,
    /// The code point behind its last.
    end: usize,
    #[serde(flatten)]
    verdict: Verdict<'a>,
    /// What the model read of it.
    tokens: usize,
    /// Whether some of it was cut off.
    truncated: bool,
}

impl<'a> PartResult<'a> {
    pub(crate) fn new(span: Span, verdict: Verdict<'a>, tokens: usize, truncated: bool) -> Self {
        Self { start: span.start, end: span.end, verdict, tokens, truncated }
    }
}

/// What the answer hangs on.
#[derive(Serialize, ToSchema)]
pub(crate) struct Explanation<'a> {
    /// `occlusion`: the text was read again without each of its words.
    method: &'static str,
    /// In the order of the text.
    words: Vec<WordEffect<'a>>,
}

impl<'a> Explanation<'a> {
    pub(crate) fn by_occlusion(words: Vec<WordEffect<'a>>) -> Self {
        Self { method: "occlusion", words }
    }
}

/// One word: each label's score with it minus the score without it.
#[derive(Serialize, ToSchema)]
pub(crate) struct WordEffect<'a> {
    /// Its first code point in the text as it was sent, from zero.
    start: usize,
    /// The code point behind its last.
    end: usize,
    /// By label; positive speaks for it.
    #[schema(value_type = BTreeMap<String, f32>)]
    effects: ByLabel<'a, f32>,
}

impl<'a> WordEffect<'a> {
    pub(crate) fn new(span: Span, effects: ByLabel<'a, f32>) -> Self {
        Self { start: span.start, end: span.end, effects }
    }
}

/// What the request cost.
#[derive(Serialize, ToSchema)]
pub(crate) struct Usage {
    /// Texts of the request.
    pub(crate) texts: usize,
    /// All that the model read, parts and windows counted each time; explanations not.
    pub(crate) tokens: usize,
}
