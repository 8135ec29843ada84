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
fn native_parts() {
    let server = Plan::default().start();
    let ask = |body: Value| server.post("/v1/emotions", &body);
    let text = "So happy \u{1F602}! And then? no.";
    snapshot!("emotions_sentences", ask(json!({"input": text, "granularity": "sentence", "top_k": 1})), 200);
    let long = json!({"input": "again and ".repeat(20), "granularity": "window", "window": {"stride": 20, "aggregation": "mean"}, "top_k": 1, "logits": true});
    snapshot!("emotions_windows", ask(long), 200);
    snapshot!("emotions_windowed", ask(json!({"input": "again and ".repeat(20), "long_text": "window", "top_k": 1})), 200);
    snapshot!("emotions_abstain", ask(json!({"input": "so happy", "abstain": {"margin": 1, "score": 1}, "top_k": 1})), 200);
    snapshot!("emotions_undecided_abstain", ask(json!({"input": "so happy", "thresholds": "none", "abstain": {"score": 0}})), 200);
    snapshot!("emotions_explained", ask(json!({"input": "so happy, @ann \u{1F602}", "explain": ["joy", "anger"], "top_k": 1})), 200);
    snapshot!("emotions_mapped", ask(json!({"input": "so happy", "label_set": "valence", "explain": true, "logits": true})), 200);
    snapshot!("label_sets", server.get("/v1/label_sets"), 200);
}

#[test]
fn open_inference() {
    let server = Plan::default().start();
    snapshot!("oip_server", server.get("/v2"), 200);
    snapshot!("oip_live", server.get("/v2/health/live"), 200);
    snapshot!("oip_ready", server.get("/v2/health/ready"), 200);
    snapshot!("oip_model", server.get("/v2/models/scripted"), 200);
    assert_eq!(server.get("/v2/models/scripted/versions/7").body, server.get("/v2/models/scripted").body);
    snapshot!("oip_model_ready", server.get("/v2/models/scripted/ready"), 200);
    let infer = |body: Value| server.post("/v2/models/scripted/infer", &body);
    let input = json!([{"name": "text", "shape": [2], "datatype": "BYTES", "data": ["so happy", "no"]}]);
    snapshot!("oip_infer", infer(json!({"id": "42", "inputs": input})), 200);
    let outputs = json!([{"name": "labels", "parameters": {"classification": 3}}]);
    let reply = infer(json!({"inputs": input, "outputs": outputs, "parameters": {"priority": 1, "timeout": 5_000_000}}));
    snapshot!("oip_classification", reply, 200);
    snapshot!("oip_threshold", infer(json!({"inputs": input, "outputs": [{"name": "labels"}], "parameters": {"threshold": 0.1}})), 200);
    snapshot!("oip_refusal", infer(json!({"inputs": []})), 400);
    snapshot!("oip_not_found", server.get("/v2/models/other"), 404);
}

#[test]
fn openai() {
    let server = Plan::default().start();
    let steady_time = |mut reply: Reply| {
        let mut body = reply.json();
        if body["created"].is_u64() {
            body["created"] = json!("[created]");
        }
        reply.body = body.to_string();
        reply
    };
    let classify = |body: Value| steady_time(server.post("/v1/classify", &body));
    snapshot!("vllm_classify", classify(json!({"model": "scripted", "input": ["so happy", "no"]})), 200);
    snapshot!(
        "vllm_classify_raw",
        classify(json!({"input": "so happy", "use_activation": false, "truncate_prompt_tokens": -1, "user": "me"})),
        200
    );
    snapshot!("openai_moderations", server.post("/v1/moderations", &json!({"input": "so happy", "model": "scripted"})), 200);
    snapshot!("openai_refusal", server.post("/v1/moderations", &json!({"input": ["a", "b", "c", "a".repeat(20_001)]})), 400);
    snapshot!("openai_not_found", server.post("/classify", &json!({"input": "a", "model": "gpt"})), 404);
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
    snapshot!("tei_info", server.get("/info"), 200);
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
