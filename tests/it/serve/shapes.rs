//! Every body the server writes, as a snapshot. Scores are rounded and what differs from run to
//! run is replaced; the order of members is kept.

use serde_json::{Number, Value, json};

use super::harness::{Plan, Reply};

/// Numbers to four places, ids to a word.
fn steady(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            let rounded = (number.as_f64().unwrap() * 1e4).round() / 1e4;
            Value::Number(Number::from_f64(rounded).unwrap())
        }
        Value::Array(list) => list.into_iter().map(steady).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| {
                let changes = ["id", "request_id", "instance"].contains(&name.as_str()) && value.as_str().is_some_and(|id| id.len() >= 36);
                (name.clone(), if changes { json!(format!("[{name}]")) } else { steady(value) })
            })
            .collect(),
        other => other,
    }
}

fn body(reply: &Reply) -> Value {
    steady(reply.json())
}

macro_rules! snapshot {
    ($name:literal, $reply:expr, $status:literal) => {
        insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_json_snapshot!($name, body(&$reply.expect($status)));
        })
    };
}

#[test]
fn native() {
    let server = Plan::default().start();
    let ask = |body: Value| server.post("/v1/emotions", &body);
    snapshot!("emotions_one", ask(json!({"input": "so happy"})), 200);
    snapshot!(
        "emotions_nulls",
        ask(json!({"input": ["so happy", "no"], "model": null, "thresholds": null, "top_k": null, "logits": false,
        "granularity": "document", "long_text": "truncate", "explain": null, "label_set": null})),
        200
    );
    snapshot!(
        "emotions_asked",
        ask(json!({"input": ["so happy"], "model": "scripted", "thresholds": {"sadness": 0.05, "joy": 1},
        "top_k": 2, "logits": true})),
        200
    );
    snapshot!("emotions_one_threshold", ask(json!({"input": "so happy", "thresholds": 0})), 200);
    snapshot!("emotions_undecided", ask(json!({"input": "so happy", "thresholds": "none"})), 200);
    snapshot!("emotions_cut", ask(json!({"input": "again ".repeat(50)})), 200);
}

#[test]
fn compatible() {
    let server = Plan::default().start();
    let hf = |body: Value| server.post("/", &body);
    snapshot!("hf_one", hf(json!({"inputs": "so happy"})), 200);
    snapshot!("hf_two", hf(json!({"inputs": ["so happy", "no"], "parameters": {"top_k": 1}, "options": {"wait_for_model": true}})), 200);
    snapshot!("hf_softmax", hf(json!({"inputs": "so happy", "parameters": {"function_to_apply": "softmax", "top_k": 50}})), 200);
    snapshot!("hf_none", hf(json!({"inputs": "so happy", "parameters": {"function_to_apply": "none"}})), 200);
    let tei = |body: Value| server.post("/predict", &body);
    snapshot!("tei_one", tei(json!({"inputs": "so happy", "truncate": true, "truncation_direction": "right", "raw_scores": false})), 200);
    snapshot!("tei_batch", tei(json!({"inputs": [["so happy"], ["no"]], "raw_scores": true})), 200);
    // One text is one text, in a list of its own or not.
    assert_eq!(tei(json!({"inputs": ["so happy"]})).json(), tei(json!({"inputs": "so happy"})).json());
}

#[test]
fn about() {
    let server = Plan::default().start();
    snapshot!("signpost", server.get("/"), 200);
    snapshot!("models", server.get("/v1/models"), 200);
    snapshot!("live", server.get("/health/live"), 200);
    snapshot!("ready", server.get("/health/ready"), 200);
    assert_eq!(server.get("/health").body, server.get("/health/ready").body);
    assert_eq!(server.send("HEAD", "/health/ready", &[], b"").expect(200).body, "");
}

#[test]
fn refusals() {
    let server = Plan::default().start();
    let long = "a".repeat(20_001);
    snapshot!("problem_too_long", server.post("/v1/emotions", &json!({"input": ["a", "b", "c", long]})), 422);
    snapshot!("problem_several", server.post("/v1/emotions", &json!({"input": 7, "top_k": 0, "wat": 1})), 422);
    snapshot!("problem_not_found", server.get("/nowhere"), 404);
    snapshot!("hf_refusal", server.post("/", &json!({"inputs": long})), 422);
    snapshot!("tei_refusal", server.post("/predict", &json!({"inputs": ["a", "b"]})), 422);
}

#[test]
fn labels_are_those_above_their_thresholds_by_margin() {
    let server = Plan::default().start();
    for at in 0..50 {
        let answer = server.classify(&format!("text {at}")).expect(200).json();
        let result = &answer["results"][0];
        let margin = |label: &str| result["scores"][label].as_f64().unwrap() - result["thresholds"]["values"][label].as_f64().unwrap();
        let held: Vec<&str> = result["labels"].as_array().unwrap().iter().map(|label| label.as_str().unwrap()).collect();
        assert!(held.windows(2).all(|pair| margin(pair[0]) >= margin(pair[1])), "{answer}");
        for label in super::harness::LABELS {
            assert_eq!(held.contains(&label), margin(label) >= 0.0, "{label} in {answer}");
        }
    }
}
