//! The schemas of what is answered: those of the types that are written, and of what is published as it lies in a file or in a
//! protocol of others.

use serde_json::{Value, json};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{RefOr, schema::Object};
use utoipa::{PartialSchema, ToSchema};

use crate::serve::wire::about::{Health, Listed, ModelEntry, Signpost};
use crate::serve::wire::admin::{Standing, Version};
use crate::serve::wire::emotions::{BulkLine, EmotionsAnswer};
use crate::serve::wire::oip::{IndexEntry, InferBody, ModelHealth, ServerHealth};
use crate::serve::wire::openai::{ClassifyAnswer, ModerationAnswer};
use crate::serve::wire::problem::{OpenAiError, PlainError, Problem, TypedError};
use crate::serve::wire::ranked::Ranked;
use crate::serve::wire::tei::Info;

type Schemas = Vec<(String, RefOr<Schema>)>;

/// The schemas by name, with all that they refer to.
pub(super) fn schemas() -> Schemas {
    let mut found = Schemas::new();
    found.extend([named::<Problem<'_>>(), named::<PlainError>(), named::<TypedError>(), named::<OpenAiError>()]);
    found.extend([named::<EmotionsAnswer<'_>>(), named::<ClassifyAnswer<'_>>(), named::<ModerationAnswer<'_>>(), named::<Ranked<'_>>()]);
    found.extend([named::<InferBody<'_>>()]);
    found.extend([named::<ServerHealth>(), named::<ModelHealth<'_>>()]);
    found.extend([
        named::<Signpost<'_>>(),
        named::<Info<'_>>(),
        named::<Health>(),
        named::<Standing>(),
        named::<Version>(),
        named::<IndexEntry>(),
    ]);
    found.push(named::<ModelEntry>());
    found.push(("ModelList".to_owned(), Listed::<ModelEntry>::schema()));
    found.push(("LabelSetList".to_owned(), Listed::<LabelSet>::schema()));
    found.push(("BulkLine".to_owned(), BulkLine::<EmotionsAnswer<'_>>::schema()));
    Problem::schemas(&mut found);
    OpenAiError::schemas(&mut found);
    EmotionsAnswer::schemas(&mut found);
    ClassifyAnswer::schemas(&mut found);
    ModerationAnswer::schemas(&mut found);
    InferBody::schemas(&mut found);
    Info::schemas(&mut found);
    Standing::schemas(&mut found);
    Version::schemas(&mut found);
    Listed::<ModelEntry>::schemas(&mut found);
    BulkLine::<EmotionsAnswer<'_>>::schemas(&mut found);
    found
}

fn named<T: ToSchema>() -> (String, RefOr<Schema>) {
    (T::name().into_owned(), T::schema())
}

/// What lies in `serve/label_sets`; its schema is written out in [`published`].
struct LabelSet;

impl PartialSchema for LabelSet {
    fn schema() -> RefOr<Schema> {
        RefOr::T(Schema::Object(Object::new()))
    }
}

impl ToSchema for LabelSet {}

/// What no type of `wire` writes: label sets and a bundle's card, and what the Open Inference Protocol calls metadata.
pub(super) fn published() -> Vec<(&'static str, Value)> {
    let set = json!({
        "type": "object", "required": ["name", "title", "origin", "labels"],
        "properties": {
            "name": {"type": "string"}, "title": {"type": "string"},
            "origin": {"type": "string", "description": "Whose grouping it is."},
            "labels": {
                "description": "By label of the set, the labels of any model that stand behind it.",
                "type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}},
            },
        },
    });
    vec![
        ("LabelSet", set),
        ("ModelCard", card()),
        ("Figures", figures()),
        ("ServerMetadata", server_metadata()),
        ("ModelMetadata", model_metadata()),
    ]
}

fn server_metadata() -> Value {
    let word = json!({"type": "string"});
    json!({
        "type": "object", "required": ["name", "version", "extensions"],
        "properties": {"name": word, "version": word, "extensions": {"type": "array", "items": word}},
    })
}

fn model_metadata() -> Value {
    let word = json!({"type": "string"});
    let shape = json!({"type": "array", "items": {"type": "integer"}, "description": "-1 is as many as there are texts."});
    let tensor = json!({
        "type": "object", "required": ["name", "datatype", "shape"],
        "properties": {"name": word, "datatype": {"enum": ["BYTES", "FP32"]}, "shape": shape},
    });
    let tensors = json!({"type": "array", "items": tensor});
    json!({
        "type": "object", "required": ["name", "versions", "platform", "inputs", "outputs"],
        "properties": {
            "name": word, "versions": {"type": "array", "items": word}, "platform": word, "inputs": tensors, "outputs": tensors,
        },
    })
}

fn card() -> Value {
    let word = json!({"type": "string"});
    let label = json!({
        "type": "object", "required": ["name", "threshold", "calibrator", "calibration"],
        "properties": {
            "name": word, "threshold": {"type": "number"}, "calibrator": word,
            "calibration": {"type": "object", "additionalProperties": {"type": "number"}, "description": "The calibrator's numbers."},
        },
    });
    let figures = json!({"$ref": "#/components/schemas/Figures"});
    let measured = json!({
        "type": "object", "required": ["name", "rows", "tuned", "at_half"],
        "properties": {
            "name": word, "rows": {"type": "integer"}, "note": {"type": ["string", "null"]}, "tuned": figures, "at_half": figures,
        },
    });
    json!({
        "type": "object", "required": ["id", "object", "version", "digest", "labels", "metrics", "provenance", "files"],
        "properties": {
            "id": word, "object": {"const": "model"}, "created": {"type": "integer"}, "owned_by": word, "version": word,
            "digest": {"type": "string", "description": "The bundle's content hash."},
            "task": word, "activation": word, "architecture": word, "pooling": word,
            "precision": {"type": "object", "properties": {"name": word, "tolerance": {"type": "number"}}},
            "max_length": {"type": "integer", "description": "Tokens that it takes of a text."},
            "normalization": word, "parameters": {"type": "integer"}, "threshold_policy": word,
            "labels": {"type": "array", "items": label},
            "metrics": {"type": "array", "items": measured, "description": "What was measured, and on what."},
            "scores": scores(),
            "golden_texts": {"type": "integer", "description": "Texts whose answers an engine has to give before it serves."},
            "engines": {"type": "array", "items": word},
            "provenance": {"type": "object", "description": "Base model, data, recipe and seeds."},
            "files": {
                "type": "object",
                "additionalProperties": {"type": "object", "properties": {"sha256": word, "bytes": {"type": "integer"}}},
            },
        },
    })
}

fn scores() -> Value {
    let number = json!({"type": "number"});
    let bin = json!({
        "type": "object", "required": ["from", "rows", "score", "held"],
        "properties": {"from": number, "rows": {"type": "integer"}, "score": number, "held": number},
    });
    let labels = json!({"type": "object", "additionalProperties": {"type": "array", "items": bin}});
    json!({
        "type": ["object", "null"], "required": ["set", "labels"],
        "description": "Bins of each label's scores: how many rows, their mean score, and how often the label held.",
        "properties": {"set": {"type": "string"}, "labels": labels},
    })
}

fn figures() -> Value {
    let figure = json!({
        "type": "object", "required": ["value"],
        "properties": {
            "value": {"type": "number"},
            "interval": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
        },
    });
    let by_name = json!({"type": "object", "additionalProperties": figure});
    json!({
        "type": "object", "required": ["overall", "labels"],
        "properties": {"overall": by_name, "labels": {"type": "object", "additionalProperties": by_name}},
    })
}
