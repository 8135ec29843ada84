//! What an operator's requests may bring, in JSON Schema.

use serde_json::{Value, json};

/// The schemas by name.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("LoadRequest", load()),
        ("SwapRequest", swap()),
        ("UnloadRequest", unload()),
        ("ShadowRequest", shadow()),
        ("RepositoryIndex", index()),
        ("RepositoryChange", repository_change()),
    ]
}

fn request(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties})
}

fn load() -> Value {
    let activate = json!({"type": ["boolean", "null"], "description": "Whether it answers for its name at once; it does when absent."});
    let previous = json!({"enum": ["keep", "unload", null], "description": "What becomes of the version that answered before."});
    let bundle = json!({"type": "string", "description": "The name of a folder in the folder of models."});
    request(&["bundle"], json!({"bundle": bundle, "activate": activate, "previous": previous}))
}

fn swap() -> Value {
    let version = json!({"type": "string", "description": "The version that is to answer for the name."});
    request(&["model", "version"], json!({"model": {"type": "string"}, "version": version}))
}

fn unload() -> Value {
    let version = json!({"type": ["string", "null"], "description": "All of the name when absent."});
    request(&["model"], json!({"model": {"type": "string"}, "version": version}))
}

fn index() -> Value {
    request(&[], json!({"ready": {"type": ["boolean", "null"], "description": "Only those that answer."}}))
}

fn repository_change() -> Value {
    let parameters = json!({
        "type": ["object", "null"], "additionalProperties": false,
        "properties": {"unload_dependents": {"type": ["boolean", "null"], "description": "No model here is made of others."}},
    });
    request(&[], json!({"parameters": parameters}))
}

/// Both or neither of `with` and `percent`.
fn shadow() -> Value {
    let with =
        json!({"type": ["string", "null"], "description": "Who sees the requests too: `name@version`. Nobody any more when absent."});
    let percent = json!({"type": ["number", "null"], "minimum": 0.01, "maximum": 100, "description": "Of the requests."});
    let mut request = request(&["model"], json!({"model": {"type": "string"}, "with": with, "percent": percent}));
    let given = json!({"with": {"type": "string"}, "percent": {"type": "number"}});
    request["anyOf"] = json!([
        {"title": "From now on", "required": ["with", "percent"], "properties": given},
        {"title": "No longer", "properties": {"with": {"type": "null"}, "percent": {"type": "null"}}},
    ]);
    request
}
