//! What a request may bring, in JSON Schema: each member, and how members go together.

use serde_json::{Map, Value, json};

use super::scope::Scope;
use crate::spec::MAX_LABELS;

/// Some character that is not Unicode white space; spelt out, as dialects of patterns differ in what
/// they call a space.
const NOT_BLANK: &str = r"[^\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]";
/// Larger whole numbers cannot be told exactly in JSON.
const EXACT: u64 = 1 << 52;

/// The schemas by name.
pub(super) fn schemas(scope: &Scope) -> Vec<(&'static str, Value)> {
    let limits = scope.limits;
    vec![
        ("Text", text(limits.characters)),
        ("WindowedText", text(limits.windowed_characters)),
        ("Texts", texts("Text", scope)),
        ("WindowedTexts", texts("WindowedText", scope)),
        ("Share", json!({"type": "number", "minimum": 0, "maximum": 1})),
        ("ModelId", json!({"enum": scope.models, "description": "`name`, or `name@version`."})),
        ("EmotionsRequest", emotions(scope, Map::new())),
        ("BulkRequest", bulk(scope)),
        ("HuggingFaceRequest", hugging_face()),
        ("PredictRequest", predict(scope)),
        ("ClassifyRequest", classify(scope)),
        ("ModerationRequest", moderation()),
        ("InferRequest", infer(scope)),
    ]
}

pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn maybe(name: &str) -> Value {
    json!({"anyOf": [reference(name), {"type": "null"}]})
}

fn text(characters: usize) -> Value {
    json!({
        "type": "string", "minLength": 1, "maxLength": characters, "pattern": NOT_BLANK,
        "description": "A text; not blank, lengths in Unicode code points.",
    })
}

fn texts(of: &str, scope: &Scope) -> Value {
    json!({
        "description": "One text, or a list of texts, which is always a batch.",
        "anyOf": [reference(of), {"type": "array", "items": reference(of), "minItems": 1, "maxItems": scope.limits.texts}],
    })
}

/// `schema` with what there is to say of it.
fn told(about: &str, mut schema: Value) -> Value {
    schema["description"] = json!(about);
    schema
}

/// `more` are members before the native ones.
fn emotions(scope: &Scope, more: Map<String, Value>) -> Value {
    let mut properties = more;
    if let Value::Object(own) = emotions_members(scope) {
        properties.extend(own);
    }
    json!({
        "type": "object", "additionalProperties": false, "required": ["input"], "properties": properties,
        "allOf": [{"anyOf": readings()}, {"anyOf": explained(scope)}, {"anyOf": margins()}],
    })
}

fn emotions_members(scope: &Scope) -> Value {
    let flag = || json!({"type": ["boolean", "null"]});
    let labels = json!({"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": true});
    let sets: Vec<Value> = scope.sets.iter().map(|(name, _)| json!(name)).chain([Value::Null]).collect();
    json!({
        "input": told("One text or a list of texts; longer ones where they are read through windows.", reference("WindowedTexts")),
        "model": told("Who answers; the default model when absent.", maybe("ModelId")),
        "thresholds": told("Instead of the bundle's: one for all labels, some by label, or \"none\" for scores alone.", thresholds(scope)),
        "top_k": told(
            "Keep the scores of only so many labels, the highest.",
            json!({"type": ["integer", "null"], "minimum": 1, "maximum": MAX_LABELS})
        ),
        "logits": told("Add every label's raw logit.", flag()),
        "granularity": told(
            "`sentence` adds `spans`, `window` adds `windows`.",
            json!({"enum": ["document", "sentence", "window", null]})
        ),
        "long_text": told(
            "What to do with a text of more tokens than the model takes.",
            json!({"enum": ["truncate", "error", "window", null]})
        ),
        "window": told("How to read through windows.", window(scope)),
        "label_set": told("Answer in the words of another label set.", json!({"enum": sets})),
        "explain": told("Which words the decided labels hang on, or these labels.", json!({"anyOf": [flag(), labels]})),
        "abstain": told("When not to trust the decision: a smaller margin, no score so high, or either.", abstain()),
    })
}

fn window(scope: &Scope) -> Value {
    let stride = json!({"type": ["integer", "null"], "minimum": 1, "maximum": scope.max_length});
    json!({
        "type": ["object", "null"], "additionalProperties": false,
        "properties": {
            "stride": told("Tokens between the starts of two windows; half a window when absent.", stride),
            "aggregation": told("How a text's windows become one.", json!({"enum": ["max", "mean", null]})),
        },
    })
}

fn thresholds(scope: &Scope) -> Value {
    let labels: Map<String, Value> = scope.labels.iter().map(|label| (label.clone(), reference("Share"))).collect();
    json!({"anyOf": [
        {"type": "null"},
        reference("Share"),
        {"const": "none"},
        {"type": "object", "additionalProperties": false, "properties": labels},
    ]})
}

fn abstain() -> Value {
    let given = |member: &str| json!({"required": [member], "properties": {(member): {"type": "number"}}});
    json!({
        "type": ["object", "null"], "additionalProperties": false,
        "properties": {"margin": maybe("Share"), "score": maybe("Share")},
        "anyOf": [{"type": "null"}, given("margin"), given("score")],
    })
}

/// The ways to read a text, and what goes with each.
fn readings() -> Value {
    json!([
        {
            "title": "As a whole, or by sentences",
            "properties": {
                "input": reference("Texts"),
                "granularity": {"enum": ["document", "sentence", null]},
                "long_text": {"enum": ["truncate", "error", null]},
                "window": {"type": "null"},
            },
        },
        {
            "title": "Through windows",
            "required": ["long_text"],
            "properties": {"long_text": {"const": "window"}, "explain": {"enum": [false, null]}},
        },
        {
            "title": "By windows",
            "required": ["granularity"],
            "properties": {
                "granularity": {"const": "window"},
                "long_text": {"enum": ["window", null]},
                "explain": {"enum": [false, null]},
            },
        },
    ])
}

/// Labels to explain are of the label set asked for.
fn explained(scope: &Scope) -> Vec<Value> {
    let own = json!({
        "title": "The model's own labels",
        "properties": {"label_set": {"type": "null"}, "explain": {"items": {"enum": scope.labels}}},
    });
    let other = |(name, labels): &(String, Vec<String>)| {
        json!({
            "title": name, "required": ["label_set"],
            "properties": {"label_set": {"const": name}, "explain": {"items": {"enum": labels}}},
        })
    };
    std::iter::once(own).chain(scope.sets.iter().map(other)).collect()
}

/// Without thresholds there is no margin to them.
fn margins() -> Value {
    json!([
        {"title": "With thresholds", "properties": {"thresholds": {"not": {"const": "none"}}}},
        {"title": "Without a margin", "properties": {"abstain": {"properties": {"margin": {"type": "null"}}}}},
    ])
}

fn bulk(scope: &Scope) -> Value {
    let id = json!({"type": ["string", "null"], "description": "Of the line; given back."});
    emotions(scope, Map::from_iter([("id".to_owned(), id)]))
}

fn hugging_face() -> Value {
    let function = json!({"enum": ["sigmoid", "softmax", "none", null]});
    let top_k = json!({"type": ["integer", "null"], "minimum": 1, "maximum": EXACT - 1});
    let all = json!({"type": ["boolean", "null"]});
    json!({
        "type": "object", "additionalProperties": false, "required": ["inputs"],
        "properties": {
            "inputs": reference("Texts"),
            "parameters": {
                "type": ["object", "null"], "additionalProperties": false,
                "properties": {
                    "function_to_apply": told("Of the raw logits; the bundle's calibrated probabilities when absent.", function),
                    "top_k": told("Only so many labels; all when absent.", top_k),
                    "return_all_scores": told("The older word for all labels, which come anyway.", all),
                },
            },
            "options": {"description": "Passed over."},
        },
    })
}

fn predict(scope: &Scope) -> Value {
    let one = json!({"type": "array", "items": reference("Text"), "minItems": 1, "maxItems": 1});
    let batch = json!({"type": "array", "items": one, "minItems": 1, "maxItems": scope.limits.texts});
    let about = "One text, alone or in a list, or a batch: a list of lists of one text. `[\"a\", \"b\"]` would be a pair of texts there, \
                 and is refused.";
    json!({
        "type": "object", "additionalProperties": false, "required": ["inputs"],
        "properties": {
            "inputs": told(about, json!({"anyOf": [reference("Text"), one, batch]})),
            "truncate": told("Cut a text that is too long (as when absent), or refuse it.", json!({"type": ["boolean", "null"]})),
            "truncation_direction": {"enum": ["right", "Right", null]},
            "raw_scores": told("Logits instead of calibrated probabilities.", json!({"type": ["boolean", "null"]})),
        },
    })
}

/// What both of OpenAI's shapes take.
fn openai(more: Value) -> Value {
    let mut properties = Map::new();
    for (name, schema) in [("input", reference("Texts")), ("model", maybe("ModelId"))] {
        properties.insert(name.to_owned(), schema);
    }
    if let Value::Object(more) = more {
        properties.extend(more);
    }
    properties.extend(["user", "request_id"].map(|habit| (habit.to_owned(), json!({"description": "Passed over."}))));
    json!({"type": "object", "additionalProperties": false, "required": ["input"], "properties": properties})
}

fn classify(scope: &Scope) -> Value {
    openai(json!({
        "use_activation": {"type": ["boolean", "null"], "description": "`false` gives logits."},
        "truncate_prompt_tokens": {
            "description": "-1, or at least the model's length: cut a text that is too long. Absent: refuse it.",
            "anyOf": [{"const": -1}, {"type": "integer", "minimum": scope.max_length}, {"type": "null"}],
        },
        "truncation_side": {"enum": ["right", null]},
        "priority": {"type": ["number", "null"], "description": "Less than zero goes first, more than zero last."},
    }))
}

fn moderation() -> Value {
    openai(json!({}))
}

/// As JSON alone; what stands behind it in binary no schema can say.
fn infer(scope: &Scope) -> Value {
    let whole = |most: u64, about: &str| json!({"type": ["integer", "null"], "minimum": 0, "maximum": most, "description": about});
    let data = json!({"anyOf": [reference("Text"), {"type": "array", "items": reference("Text"), "minItems": 1, "maxItems": 1}]});
    let count = json!({"type": "integer", "minimum": 1, "maximum": scope.limits.texts});
    let shape = json!({"type": "array", "minItems": 1, "maxItems": 2, "prefixItems": [count, {"const": 1}]});
    let input = json!({
        "type": "object", "required": ["name", "datatype", "shape", "data"],
        "properties": {
            "name": {"const": "text"},
            "datatype": {"const": "BYTES"},
            "shape": told("`[n]` or `[n, 1]`, where n is how many texts there are.", shape),
            "data": {"type": "array", "items": data, "minItems": 1, "maxItems": scope.limits.texts},
            "parameters": {"type": ["object", "null"]},
        },
    });
    json!({
        "type": "object", "required": ["inputs"], "description": "Members that are not here are passed over.",
        "properties": {
            "id": {"type": ["string", "null"], "description": "Given back."},
            "parameters": {
                "type": ["object", "null"],
                "properties": {
                    "threshold": maybe("Share"),
                    "priority": whole(EXACT, "1 goes first, 3 or more last."),
                    "timeout": whole(EXACT, "Microseconds, where that is sooner than the server's own limit."),
                    "binary_data_output": {"type": ["boolean", "null"], "description": "Give all outputs in binary."},
                },
            },
            "inputs": {"type": "array", "minItems": 1, "maxItems": 1, "items": input},
            "outputs": outputs(whole(MAX_LABELS as u64, "So many highest scores as `score:index:label` instead.")),
        },
    })
}

/// Each output once; both when none is asked for.
fn outputs(classification: Value) -> Value {
    let named = |name: &str| json!({"properties": {"name": {"const": name}}});
    let both = |first: &str, second: &str| json!({"minItems": 2, "prefixItems": [named(first), named(second)]});
    json!({
        "type": ["array", "null"], "maxItems": 2,
        "anyOf": [{"maxItems": 1}, both("probabilities", "labels"), both("labels", "probabilities")],
        "items": {
            "type": "object", "required": ["name"],
            "properties": {
                "name": {"enum": ["probabilities", "labels"]},
                "parameters": {
                    "type": ["object", "null"],
                    "properties": {"classification": classification, "binary_data": {"type": ["boolean", "null"]}},
                },
            },
        },
    })
}
