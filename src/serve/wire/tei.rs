//! `POST /predict`: the shape of text-embeddings-inference, with the bundle's own activation.
//!
//! That server puts a softmax over any head with several labels; here scores are the bundle's
//! calibrated probabilities, or its raw logits when asked. Its one trap is kept out: there
//! `["a", "b"]` is one text and its pair, so here it is refused with a hint, and a batch is
//! `[["a"], ["b"]]`.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::check::{Faults, Members, TextLimits};
use super::emotions::LongText;
use super::inputs::strings;
use super::json::Node;
use super::ranked::Scoring;
use crate::serve::config::Settings;
use crate::serve::error::{ApiError, Violation};
use crate::serve::model::ServedModel;

/// A checked request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TeiRequest {
    pub(crate) texts: Vec<String>,
    /// One text alone is answered by one list, a batch by a list of lists.
    pub(crate) shape: Shape,
    pub(crate) scoring: Scoring,
    pub(crate) long_text: LongText,
}

/// How `inputs` was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One text.
    Single,
    /// A list of texts.
    Batch,
}

impl TeiRequest {
    /// # Errors
    /// Every [`ApiError`] that a body can cause.
    pub(crate) fn parse(body: Node, limits: TextLimits) -> Result<Self, ApiError> {
        let mut faults = Faults::default();
        let mut members = Members::open(body, "", &mut faults);
        let inputs = members.take("inputs", &mut faults);
        let (texts, shape) = texts(inputs, &mut faults);
        let long_text = if members.bool("truncate", true, &mut faults) { LongText::Truncate } else { LongText::Refuse };
        if members.string("truncation_direction", &mut faults).is_some_and(|word| word != "right" && word != "Right") {
            faults.note(Violation::at("/truncation_direction", "truncation_direction: only \"right\" is supported"));
        }
        let scoring = if members.bool("raw_scores", false, &mut faults) { Scoring::Raw } else { Scoring::Calibrated };
        members.finish(&mut faults);
        faults.finish()?;
        let request = Self { texts, shape, scoring, long_text };
        limits.check("/inputs", &request.texts, |at| request.pointer(at))?;
        Ok(request)
    }

    /// Where text `at` stands in the body.
    pub(crate) fn pointer(&self, at: usize) -> String {
        match self.shape {
            Shape::Single => "/inputs".to_owned(),
            Shape::Batch => format!("/inputs/{at}"),
        }
    }
}

/// `GET /info`, by that server's names.
#[derive(Serialize, ToSchema)]
pub(crate) struct Info<'a> {
    model_id: &'a str,
    model_sha: &'a str,
    /// What engines compute in, whatever the weights are stored as.
    model_dtype: &'static str,
    served_model_name: &'a str,
    model_type: ModelType,
    /// Texts that may wait.
    max_concurrent_requests: usize,
    /// Tokens that the model reads of a text.
    max_input_length: usize,
    max_batch_tokens: usize,
    max_batch_requests: Option<usize>,
    /// Texts a request.
    max_client_batch_size: usize,
    auto_truncate: bool,
    tokenization_workers: usize,
    version: &'static str,
    sha: Option<&'static str>,
    docker_label: Option<&'static str>,
}

/// What kind of model it is.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelType {
    classifier: Classifier,
}

/// Its labels.
#[derive(Serialize, ToSchema)]
pub(crate) struct Classifier {
    #[schema(value_type = BTreeMap<String, String>)]
    id2label: Map<String, Value>,
    #[schema(value_type = BTreeMap<String, usize>)]
    label2id: Map<String, Value>,
}

/// The default model and this server's limits.
pub(crate) fn info<'a>(model: &'a ServedModel, settings: &Settings) -> Info<'a> {
    let names = model.decider.labels().names();
    let classifier = Classifier {
        id2label: names.iter().enumerate().map(|(id, name)| (id.to_string(), json!(name))).collect(),
        label2id: names.iter().enumerate().map(|(id, name)| (name.clone(), json!(id))).collect(),
    };
    Info {
        model_id: &model.name,
        model_sha: &model.digest,
        model_dtype: "float32",
        served_model_name: &model.name,
        model_type: ModelType { classifier },
        max_concurrent_requests: settings.queue.texts.get(),
        max_input_length: model.encoder.max_length(),
        max_batch_tokens: settings.batch_tokens.get(),
        max_batch_requests: None,
        max_client_batch_size: settings.limits.texts.get(),
        auto_truncate: true,
        tokenization_workers: settings.async_workers.get(),
        version: env!("CARGO_PKG_VERSION"),
        sha: None,
        docker_label: None,
    }
}

fn texts(inputs: Option<Node>, faults: &mut Faults) -> (Vec<String>, Shape) {
    const HINT: &str = "a pair of texts is not supported; a batch is a list of lists: [[\"a\"], [\"b\"]]";
    match inputs {
        None => faults.note(Violation::at("/inputs", "inputs is missing: expected a string or a list of lists of one string")),
        Some(Node::String(text)) => return (vec![text], Shape::Single),
        Some(Node::Array(list)) if list.is_empty() => {
            faults.note(Violation::at("/inputs", "inputs is an empty list: expected at least one text"))
        }
        Some(Node::Array(list)) if list.iter().all(|node| matches!(node, Node::String(_))) => {
            let texts = strings(list, "/inputs", faults);
            if texts.len() == 1 {
                return (texts, Shape::Single);
            }
            faults.note(Violation::at("/inputs", HINT));
        }
        Some(Node::Array(list)) => return (batch(list, HINT, faults), Shape::Batch),
        Some(other) => faults.mistyped("/inputs", "a string or a list of lists of one string", &other),
    }
    (Vec::new(), Shape::Single)
}

fn batch(list: Vec<Node>, hint: &str, faults: &mut Faults) -> Vec<String> {
    let mut texts = Vec::with_capacity(list.len());
    for (at, node) in list.into_iter().enumerate() {
        if faults.is_full() {
            break;
        }
        let pointer = format!("/inputs/{at}");
        match node {
            Node::Array(inner) => {
                let inner = strings(inner, &pointer, faults);
                if inner.len() != 1 && faults.is_empty() {
                    faults.note(Violation::at(&pointer, hint));
                }
                texts.extend(inner);
            }
            other => faults.mistyped(&pointer, "a list of one string", &other),
        }
    }
    texts
}
