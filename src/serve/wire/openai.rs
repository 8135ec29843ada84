//! Two shapes of OpenAI's family: vLLM's `/classify`, with the labels that its one `label` cannot
//! hold, and a moderation answer, which is decisions and scores by label and so fits this task best.
//!
//! What those clients send by habit (`user`, `request_id`) is passed over; what would change an
//! answer there and cannot here is refused.

use serde::Serialize;
use utoipa::ToSchema;

use super::check::{Faults, Members, TextLimits};
use super::emotions::{ByLabel, LongText, Names};
use super::inputs::Inputs;
use super::json::Node;
use super::ranked::Scoring;
use crate::decide::Prediction;
use crate::serve::batching::Priority;
use crate::serve::error::{ApiError, Violation};
use crate::serve::model::ServedModel;

/// A checked `/classify`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClassifyRequest {
    pub(crate) inputs: Inputs,
    /// Calibrated probabilities, or logits.
    pub(crate) scoring: Scoring,
    pub(crate) long_text: LongText,
    /// Where the body says one.
    pub(crate) priority: Option<Priority>,
}

impl ClassifyRequest {
    /// # Errors
    /// Every [`ApiError`] that a body can cause.
    pub(crate) fn parse(body: Node, model: &ServedModel, limits: TextLimits) -> Result<Self, ApiError> {
        let mut faults = Faults::default();
        let mut members = Members::open(body, "", &mut faults);
        // Looked up already; here it is only checked to be a string, and to stand once.
        let _ = members.string("model", &mut faults);
        let inputs = Inputs::parse(members.take("input", &mut faults), "/input", &mut faults);
        let scoring = if members.bool("use_activation", true, &mut faults) { Scoring::Calibrated } else { Scoring::Raw };
        let long_text = truncation(&mut members, model.encoder.max_length(), &mut faults);
        // There the lower number goes first, and zero is the usual one.
        let priority = match members.number("priority", &mut faults) {
            Some(value) if value < 0.0 => Some(Priority::High),
            Some(value) if value > 0.0 => Some(Priority::Low),
            Some(_) | None => None,
        };
        pass_over(&mut members, &mut faults);
        members.finish(&mut faults);
        faults.finish()?;
        limits.check(inputs.pointer, &inputs.texts, |at| inputs.place(at))?;
        Ok(Self { inputs, scoring, long_text, priority })
    }
}

/// A checked `/v1/moderations`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ModerationRequest {
    pub(crate) inputs: Inputs,
}

impl ModerationRequest {
    /// # Errors
    /// Every [`ApiError`] that a body can cause.
    pub(crate) fn parse(body: Node, limits: TextLimits) -> Result<Self, ApiError> {
        let mut faults = Faults::default();
        let mut members = Members::open(body, "", &mut faults);
        let _ = members.string("model", &mut faults);
        let inputs = Inputs::parse(members.take("input", &mut faults), "/input", &mut faults);
        pass_over(&mut members, &mut faults);
        members.finish(&mut faults);
        faults.finish()?;
        limits.check(inputs.pointer, &inputs.texts, |at| inputs.place(at))?;
        Ok(Self { inputs })
    }
}

fn pass_over(members: &mut Members, faults: &mut Faults) {
    for habit in ["user", "request_id"] {
        let _ = members.take(habit, faults);
    }
}

/// Without `truncate_prompt_tokens` a text that is too long is refused, as there.
fn truncation(members: &mut Members, max_length: usize, faults: &mut Faults) -> LongText {
    if members.string("truncation_side", faults).is_some_and(|side| side != "right") {
        faults.note(Violation::at("/truncation_side", "truncation_side: only \"right\" is supported"));
    }
    match members.number("truncate_prompt_tokens", faults) {
        None => LongText::Refuse,
        Some(tokens) if tokens == -1.0 || tokens.fract() == 0.0 && tokens >= max_length as f64 => LongText::Truncate,
        Some(tokens) => {
            let detail = format!("truncate_prompt_tokens is {tokens}: expected -1, or a whole number from the model's {max_length} on");
            faults.note(Violation::at("/truncate_prompt_tokens", detail));
            LongText::Refuse
        }
    }
}

/// vLLM's answer; members are written in this order.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClassifyAnswer<'a> {
    pub(crate) id: String,
    /// `list`.
    pub(crate) object: &'static str,
    /// Seconds since 1970.
    pub(crate) created: u64,
    pub(crate) model: &'a str,
    pub(crate) data: Vec<Classification<'a>>,
    pub(crate) usage: TokenUsage,
}

/// One text's part of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Classification<'a> {
    index: usize,
    /// The likeliest label, decided or not.
    label: &'a str,
    /// The labels decided: ours, for a head of several.
    #[schema(value_type = Vec<String>)]
    labels: Names<'a>,
    /// Calibrated probabilities (or logits) in the bundle's label order.
    probs: Vec<f32>,
    num_classes: usize,
}

impl<'a> Classification<'a> {
    /// `values` are what was asked for, logits or the prediction's own scores.
    pub(crate) fn new(names: &'a [String], index: usize, prediction: Prediction, values: Vec<f32>) -> Self {
        // The first of equals.
        let top = (0..values.len()).rev().max_by(|&left, &right| values[left].total_cmp(&values[right])).unwrap_or(0);
        Self { index, label: &names[top], labels: Names::at(names, prediction.labels), num_classes: values.len(), probs: values }
    }
}

/// Tokens, by OpenAI's names.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenUsage {
    prompt_tokens: usize,
    total_tokens: usize,
    completion_tokens: usize,
}

impl TokenUsage {
    pub(crate) fn of(tokens: usize) -> Self {
        Self { prompt_tokens: tokens, total_tokens: tokens, completion_tokens: 0 }
    }
}

/// A moderation answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModerationAnswer<'a> {
    pub(crate) id: String,
    pub(crate) model: &'a str,
    pub(crate) results: Vec<Moderation<'a>>,
}

/// One text's part of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Moderation<'a> {
    /// Whether any label holds.
    flagged: bool,
    /// Whether each label holds.
    #[schema(value_type = BTreeMap<String, bool>)]
    categories: ByLabel<'a, bool>,
    /// Each label's calibrated probability.
    #[schema(value_type = BTreeMap<String, f32>)]
    category_scores: ByLabel<'a, f32>,
}

impl<'a> Moderation<'a> {
    pub(crate) fn new(names: &'a [String], prediction: &Prediction) -> Self {
        let held: Vec<bool> = (0..names.len()).map(|label| prediction.labels.contains(&label)).collect();
        Self {
            flagged: !prediction.labels.is_empty(),
            categories: ByLabel::all(names, &held),
            category_scores: ByLabel::all(names, &prediction.scores),
        }
    }
}
