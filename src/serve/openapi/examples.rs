//! Requests that work: a test sends each to a server and holds the answer against its schema.

use serde_json::{Value, json};

use super::scope::Scope;

pub(super) type Examples = Vec<(&'static str, Value)>;

const TEXT: &str = "I can't believe we won, what a night!";
const OTHER: &str = "Nobody answered. I waited until the lights went out.";

fn label(scope: &Scope) -> &str {
    scope.labels.first().map_or("joy", String::as_str)
}

fn model(scope: &Scope) -> &str {
    scope.names.first().map_or("tweets", String::as_str)
}

pub(super) fn emotions(scope: &Scope) -> Examples {
    let set = scope.sets.first().map(|(name, _)| name);
    vec![
        ("one text", json!({"input": TEXT})),
        ("a batch, by a named model", json!({"input": [TEXT, OTHER], "model": model(scope), "top_k": 3, "logits": true})),
        ("thresholds of one's own", json!({"input": TEXT, "thresholds": {label(scope): 0.25}})),
        ("scores alone", json!({"input": TEXT, "thresholds": "none"})),
        ("sentence by sentence", json!({"input": format!("{TEXT} {OTHER}"), "granularity": "sentence"})),
        ("a long text", json!({"input": TEXT, "long_text": "window", "window": {"stride": 8, "aggregation": "mean"}})),
        ("the windows themselves", json!({"input": TEXT, "granularity": "window"})),
        ("when not to trust it", json!({"input": TEXT, "abstain": {"margin": 0.05, "score": 0.3}})),
        ("which words", json!({"input": TEXT, "explain": [label(scope)]})),
        ("another label set", json!({"input": TEXT, "label_set": set})),
    ]
}

pub(super) fn bulk() -> Examples {
    vec![("one line", json!({"id": "first", "input": TEXT}))]
}

pub(super) fn hugging_face() -> Examples {
    vec![
        ("one text", json!({"inputs": TEXT})),
        ("the likeliest of each", json!({"inputs": [TEXT, OTHER], "parameters": {"top_k": 1}})),
        ("raw", json!({"inputs": TEXT, "parameters": {"function_to_apply": "none"}, "options": {"wait_for_model": true}})),
    ]
}

pub(super) fn predict() -> Examples {
    vec![
        ("one text", json!({"inputs": TEXT, "truncate": true})),
        ("a batch", json!({"inputs": [[TEXT], [OTHER]], "raw_scores": true, "truncation_direction": "right"})),
    ]
}

pub(super) fn classify(scope: &Scope) -> Examples {
    vec![
        ("one text", json!({"model": model(scope), "input": TEXT})),
        ("a batch of logits", json!({"input": [TEXT, OTHER], "use_activation": false, "truncate_prompt_tokens": -1, "priority": 1})),
    ]
}

pub(super) fn moderation(scope: &Scope) -> Examples {
    vec![("one text", json!({"model": model(scope), "input": TEXT}))]
}

pub(super) fn infer() -> Examples {
    let input = json!([{"name": "text", "datatype": "BYTES", "shape": [2], "data": [TEXT, OTHER]}]);
    let ranked = json!([{"name": "labels"}, {"name": "probabilities", "parameters": {"classification": 2}}]);
    vec![
        ("both outputs", json!({"id": "42", "inputs": input})),
        (
            "a threshold, and the highest scores",
            json!({"inputs": input, "parameters": {"threshold": 0.5, "priority": 1}, "outputs": ranked}),
        ),
    ]
}
