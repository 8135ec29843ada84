//! What everybody may ask, route by route.

use utoipa::openapi::path::{HttpMethod, Parameter};

use super::examples::{self, Examples};
use super::operation::{Answer, Operation, Shape, Taken};
use super::parameters;
use super::refusals::Refusals;
use super::scope::Scope;
use crate::serve::routes::Route;

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

/// The operations, in the order in which they are told.
pub(super) fn operations(scope: &Scope) -> Vec<Operation> {
    let mut operations = Vec::from(native(scope));
    operations.extend(compatible(scope));
    operations.extend(open_inference(scope));
    operations.extend(about(scope));
    operations
}

/// A route that takes texts as JSON.
fn asks(scope: &Scope, route: Route, id: &'static str, (takes, examples): (&'static str, Examples), shape: Shape) -> Operation {
    Operation {
        method: HttpMethod::Post,
        path: route.pattern().to_owned(),
        id,
        tag: "classify",
        summary: "",
        description: "",
        parameters: parameters::scheduling().into(),
        takes: vec![Taken { content_type: JSON, schema: Some(takes), examples }],
        needs_body: true,
        answers: vec![Answer { status: 200, description: "The answer.", bodies: vec![(JSON, shape)], timed: true }],
        refusals: Refusals::Texts { model: true },
        dialect: route.dialect(),
        limits: scope.limits,
        keyed: true,
    }
}

fn native(scope: &Scope) -> [Operation; 2] {
    let emotions = asks(scope, Route::Emotions, "emotions", ("EmotionsRequest", examples::emotions(scope)), Shape::Of("EmotionsAnswer"));
    let lines = |content_type| Taken { content_type, schema: Some("BulkRequest"), examples: examples::bulk() };
    let bulk = Operation {
        summary: "Labels and calibrated scores, a line at a time",
        description: "Newline-delimited JSON in and out: each line of the body is a request, each line of the answer is its answer or its \
                      error, in the order of the lines. Read while you write, or both sides wait for each other.",
        takes: vec![lines(LINES), lines("application/jsonl")],
        answers: vec![Answer {
            status: 200,
            description: "A line for each line.",
            bodies: vec![(LINES, Shape::Of("BulkLine"))],
            timed: false,
        }],
        refusals: Refusals::Lines,
        ..asks(scope, Route::Bulk, "emotionsBulk", ("BulkRequest", Vec::new()), Shape::Object)
    };
    let emotions = Operation {
        summary: "Labels and calibrated scores of texts",
        description: "A text's scores do not depend on the texts beside it. `null` means absent; any other member is refused. Positions \
                      count Unicode code points of the text as it was sent.",
        ..emotions
    };
    [emotions, bulk]
}

fn compatible(scope: &Scope) -> [Operation; 6] {
    let root = Operation {
        summary: "Hugging Face's text classification",
        description: "One list a text, always in a list, the highest score first.",
        refusals: Refusals::Texts { model: false },
        ..asks(scope, Route::Root, "huggingFace", ("HuggingFaceRequest", examples::hugging_face()), Shape::Lists("Ranked"))
    };
    let one = Operation {
        summary: "The same by one of several models",
        parameters: paths(scope, &["model"]).into_iter().chain(parameters::scheduling()).collect(),
        ..asks(scope, Route::Hf, "huggingFaceOf", ("HuggingFaceRequest", examples::hugging_face()), Shape::Lists("Ranked"))
    };
    let predict = Operation {
        summary: "text-embeddings-inference's classification",
        description: "A list for one text, a list of lists for a batch; scores under the bundle's own activation.",
        refusals: Refusals::Texts { model: false },
        ..asks(scope, Route::Predict, "predict", ("PredictRequest", examples::predict()), Shape::ListOrLists("Ranked"))
    };
    let classify = |route, id| Operation {
        summary: "vLLM's classification",
        description: "`label` is the likeliest; `labels` are those decided.",
        ..asks(scope, route, id, ("ClassifyRequest", examples::classify(scope)), Shape::Of("ClassifyAnswer"))
    };
    let moderations = Operation {
        summary: "OpenAI's moderation, a category for each label",
        ..asks(scope, Route::Moderations, "moderations", ("ModerationRequest", examples::moderation(scope)), Shape::Of("ModerationAnswer"))
    };
    [root, one, predict, classify(Route::Classify, "classify"), classify(Route::V1Classify, "classifyV1"), moderations]
}

fn open_inference(scope: &Scope) -> Vec<Operation> {
    let infer = |route: Route, id, named: &[&str]| Operation {
        tag: "open inference",
        summary: "Classification by the Open Inference Protocol",
        description: "What the body is its headers and members say, whatever its content type: with \
                      `inference-header-content-length` it is JSON and then the tensors that have a `binary_data_size` instead of `data`.",
        parameters: paths(scope, named).into_iter().chain(parameters::scheduling()).chain([parameters::json_bytes()]).collect(),
        takes: vec![
            Taken { content_type: JSON, schema: Some("InferRequest"), examples: examples::infer() },
            Taken { content_type: "application/octet-stream", schema: None, examples: Vec::new() },
        ],
        answers: vec![Answer {
            status: 200,
            description: "The outputs.",
            bodies: vec![(JSON, Shape::Of("InferAnswer")), ("application/octet-stream", Shape::Bytes)],
            timed: true,
        }],
        ..asks(scope, route, id, ("InferRequest", Vec::new()), Shape::Object)
    };
    let tells = |route, id, summary, named: &[&str], shape| Operation {
        tag: "open inference",
        parameters: paths(scope, named),
        refusals: if named.is_empty() { Refusals::None } else { Refusals::Named },
        ..tells(scope, route, id, summary, shape)
    };
    let (model, version) = (&["model"][..], &["model", "version"][..]);
    vec![
        infer(Route::V2Infer, "infer", model),
        infer(Route::V2VersionInfer, "inferByVersion", version),
        tells(Route::V2, "v2", "The server", &[], Shape::Of("ServerMetadata")),
        tells(Route::V2Live, "v2Live", "Whether the process runs", &[], Shape::Of("ServerHealth")),
        or_503(tells(Route::V2Ready, "v2Ready", "Whether to send traffic here", &[], Shape::Of("ServerHealth"))),
        tells(Route::V2Model, "v2Model", "A model", model, Shape::Of("ModelMetadata")),
        tells(Route::V2Version, "v2Version", "A model's version", version, Shape::Of("ModelMetadata")),
        or_503(tells(Route::V2ModelReady, "v2ModelReady", "Whether a model answers", model, Shape::Of("ModelHealth"))),
        or_503(tells(Route::V2VersionReady, "v2VersionReady", "Whether a version answers", version, Shape::Of("ModelHealth"))),
    ]
}

/// A route that only tells something.
fn tells(scope: &Scope, route: Route, id: &'static str, summary: &'static str, shape: Shape) -> Operation {
    Operation {
        method: HttpMethod::Get,
        path: route.pattern().to_owned(),
        id,
        tag: "about",
        summary,
        description: "",
        parameters: Vec::new(),
        takes: Vec::new(),
        needs_body: false,
        answers: vec![Answer { status: 200, description: "The answer.", bodies: vec![(JSON, shape)], timed: false }],
        refusals: Refusals::None,
        dialect: route.dialect(),
        limits: scope.limits,
        keyed: true,
    }
}

/// One that answers alike, but with 503, where the server or the model cannot answer requests.
fn or_503(mut operation: Operation) -> Operation {
    let bodies = operation.answers.iter().flat_map(|answer| answer.bodies.clone()).collect();
    operation.answers.push(Answer { status: 503, description: "Not now.", bodies, timed: false });
    operation
}

fn about(scope: &Scope) -> Vec<Operation> {
    let open = |operation: Operation| Operation { tag: "health", keyed: false, ..operation };
    let health = |route, id, summary| open(tells(scope, route, id, summary, Shape::Of("Health")));
    let page = Answer { status: 200, description: "Every series.", bodies: vec![("text/plain", Shape::Text)], timed: false };
    let metrics = tells(scope, Route::Metrics, "metrics", "Prometheus' text format", Shape::Text);
    let bodies = vec![(JSON, Shape::Of("Signpost")), ("text/html", Shape::Text)];
    let signpost = Answer { status: 200, description: "The routes; a page, for whoever asks for HTML.", bodies, timed: false };
    let model = tells(scope, Route::Model, "model", "A model's card", Shape::Of("ModelCard"));
    let mut operations = vec![
        Operation { answers: vec![signpost], ..tells(scope, Route::Root, "signpost", "Where to go from here", Shape::Object) },
        tells(scope, Route::Models, "models", "The models, as OpenAI's clients list them", Shape::Of("ModelList")),
        Operation { parameters: paths(scope, &["id"]), refusals: Refusals::Named, ..model },
        tells(scope, Route::LabelSets, "labelSets", "The label sets that answers can be given in", Shape::Of("LabelSetList")),
        tells(scope, Route::Info, "info", "The default model and the limits, as text-embeddings-inference tells them", Shape::Of("Info")),
        tells(scope, Route::Document, "document", "This document", Shape::Object),
        health(Route::Live, "live", "Whether the process runs"),
        or_503(health(Route::Ready, "ready", "Whether to send traffic here")),
        or_503(health(Route::Health, "health", "The same")),
    ];
    if scope.metrics {
        operations.push(open(Operation { answers: vec![page], ..metrics }));
    }
    operations
}

fn paths(scope: &Scope, named: &[&str]) -> Vec<Parameter> {
    named.iter().map(|name| parameters::path(name, scope)).collect()
}
