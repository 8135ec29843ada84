//! Every way a request can be wrong, as data: what is sent, and the status, code and place that
//! come back.

use serde_json::{Value, json};

use super::harness::{Plan, Reply};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

#[track_caller]
fn check(reply: &Reply, status: u16, code: &str, pointers: &[&str]) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{reply:?}");
    let problem = reply.json();
    let found: Vec<&str> = problem["errors"].as_array().into_iter().flatten().filter_map(|error| error["pointer"].as_str()).collect();
    assert_eq!((problem["code"].as_str(), found), (Some(code), pointers.to_vec()), "{problem}");
    assert_eq!(problem["status"], status);
    assert_eq!(problem["request_id"].as_str(), reply.header("x-request-id"));
    assert!(problem["instance"].as_str().unwrap().ends_with(reply.header("x-request-id").unwrap()));
}

/// Bodies that are no JSON document, and nothing else wrong.
fn malformed() -> Vec<Vec<u8>> {
    let nested = |depth: usize| format!("{{\"input\":{}1{}}}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
    vec![
        b"".to_vec(),
        b"{".to_vec(),
        b"{\"input\":\"a\"} b".to_vec(),
        b"{\"input\":\"a\",}".to_vec(),
        br#"{"input":"\ud800"}"#.to_vec(),
        br#"{"input":"\udc00 \ud800 alone"}"#.to_vec(),
        b"{\"input\":\"\xff\"}".to_vec(),
        b"{\"input\":\"a\x01b\"}".to_vec(),
        br#"{"input":"a","thresholds":NaN}"#.to_vec(),
        br#"{"input":"a","thresholds":1e999}"#.to_vec(),
        nested(32),
        nested(120),
        nested(250_000),
        "[".repeat(250_000).into_bytes(),
    ]
}

#[test]
fn what_is_no_json_is_400() {
    let server = Plan::default().start();
    for body in malformed() {
        check(&server.send("POST", "/v1/emotions", JSON, &body), 400, "malformed_json", &[]);
        server.get("/health/live").expect(200);
    }
    // Thirty-one levels are no fault of their own, only no text.
    let deep = format!("{{\"input\":{}\"a\"{}}}", "[".repeat(31), "]".repeat(31));
    check(&server.send("POST", "/v1/emotions", JSON, deep.as_bytes()), 422, "validation_failed", &["/input/0"]);
}

/// Bodies with something wrong in them, and where.
fn invalid() -> Vec<(Value, &'static str, Vec<&'static str>)> {
    let one = |body: Value, pointer: &'static str| (body, "validation_failed", vec![pointer]);
    let with = |member: &str, value: Value| {
        let mut body = json!({"input": "a"});
        body[member] = value;
        body
    };
    let mut cases = vec![
        (json!([]), "validation_failed", vec!["", "/input"]),
        (json!("text"), "validation_failed", vec!["", "/input"]),
        one(json!({}), "/input"),
        one(json!({"input": null}), "/input"),
        one(json!({"input": 7}), "/input"),
        one(json!({"input": {"text": "a"}}), "/input"),
        one(json!({"input": []}), "/input"),
        one(json!({"input": [["a"]]}), "/input/0"),
        (json!({"input": ["a", 1, null, "b"]}), "validation_failed", vec!["/input/1", "/input/2"]),
        (json!({"input": ""}), "empty_text", vec!["/input"]),
        (json!({"input": " \t\n\u{a0}"}), "empty_text", vec!["/input"]),
        (json!({"input": ["a", "", "b", " "]}), "empty_text", vec!["/input/1", "/input/3"]),
        (json!({"input": "é".repeat(20_001)}), "text_too_long", vec!["/input"]),
        (json!({"input": ["a", "b".repeat(20_001)]}), "text_too_long", vec!["/input/1"]),
        (json!({"input": ["word ".repeat(60)], "long_text": "error"}), "text_too_long", vec!["/input/0"]),
        (json!({"input": "word ".repeat(60), "long_text": "error"}), "text_too_long", vec!["/input"]),
        (json!({"input": "a", "inputs": 1, "b/c~d": 2}), "validation_failed", vec!["/inputs", "/b~1c~0d"]),
        (json!({"input": "a", "thresholds": {"joy": 2, "fury": 0.5}}), "validation_failed", vec!["/thresholds/joy", "/thresholds/fury"]),
        one(with("model", json!(7)), "/model"),
        one(with("logits", json!("yes")), "/logits"),
    ];
    for value in [json!(-0.1), json!(1.1), json!("x"), json!(true), json!([0.5])] {
        cases.push(one(with("thresholds", value), "/thresholds"));
    }
    for value in [json!("0.5"), json!(null), json!(-1)] {
        cases.push(one(with("thresholds", json!({"joy": value})), "/thresholds/joy"));
    }
    for value in [json!(0), json!(-1), json!(1_000_000_000), json!(1.5), json!("5"), json!([1])] {
        cases.push(one(with("top_k", value), "/top_k"));
    }
    for value in [json!("word"), json!(""), json!(1)] {
        cases.push(one(with("granularity", value.clone()), "/granularity"));
        cases.push(one(with("long_text", value), "/long_text"));
    }
    cases.extend(invalid_combinations());
    cases
}

/// Members that are wrong in themselves or beside one another.
fn invalid_combinations() -> Vec<(Value, &'static str, Vec<&'static str>)> {
    let wrong = |more: Value, pointers: &[&'static str]| {
        let mut body = json!({"input": "a"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        (body, "validation_failed", pointers.to_vec())
    };
    vec![
        wrong(json!({"granularity": "window", "long_text": "truncate"}), &["/long_text"]),
        wrong(json!({"granularity": "window", "long_text": "error"}), &["/long_text"]),
        wrong(json!({"window": {"stride": 4}}), &["/window"]),
        wrong(json!({"long_text": "error", "window": {}}), &["/window"]),
        wrong(json!({"long_text": "window", "window": 4}), &["/window"]),
        wrong(json!({"long_text": "window", "window": {"stride": 0}}), &["/window/stride"]),
        wrong(json!({"long_text": "window", "window": {"stride": 33}}), &["/window/stride"]),
        wrong(json!({"long_text": "window", "window": {"aggregation": "sum"}}), &["/window/aggregation"]),
        wrong(json!({"long_text": "window", "window": {"size": 9}}), &["/window/size"]),
        wrong(json!({"explain": "joy"}), &["/explain"]),
        wrong(json!({"explain": []}), &["/explain"]),
        wrong(json!({"explain": ["joy", "fury", 7, "joy"]}), &["/explain/1", "/explain/2", "/explain/3"]),
        wrong(json!({"explain": true, "long_text": "window"}), &["/explain"]),
        wrong(json!({"explain": true, "granularity": "window"}), &["/explain"]),
        wrong(json!({"label_set": "ekman-6", "explain": ["optimism"]}), &["/explain/0"]),
        wrong(json!({"abstain": true}), &["/abstain"]),
        wrong(json!({"abstain": {}}), &["/abstain"]),
        wrong(json!({"abstain": {"margin": 1.5, "score": "x"}}), &["/abstain/margin", "/abstain/score"]),
        wrong(json!({"abstain": {"entropy": 1}}), &["/abstain/entropy"]),
        wrong(json!({"abstain": {"margin": 0.1}, "thresholds": "none"}), &["/abstain/margin"]),
        wrong(json!({"label_set": "ekman"}), &["/label_set"]),
        wrong(json!({"label_set": 6}), &["/label_set"]),
    ]
}

#[test]
fn what_comes_to_too_much_is_refused_with_its_limit() {
    let mut plan = Plan::default();
    plan.settings.limits.passages = std::num::NonZeroUsize::new(8).unwrap();
    plan.settings.limits.words = std::num::NonZeroUsize::new(4).unwrap();
    let server = plan.start();
    let sentences = |count: usize| json!({"input": "So it is. ".repeat(count), "granularity": "sentence"});
    server.post("/v1/emotions", &sentences(7)).expect(200);
    let reply = server.post("/v1/emotions", &sentences(8));
    check(&reply, 413, "too_many_texts", &[""]);
    assert_eq!(reply.json()["errors"][0]["limit"], 8);
    let words = |input: Value| server.post("/v1/emotions", &json!({"input": input, "explain": true}));
    words(json!("one two three four")).expect(200);
    check(&words(json!("one two three four five")), 422, "text_too_long", &["/explain"]);
    check(&words(json!(["one two", "three four five"])), 422, "text_too_long", &["/explain"]);
    // Read through windows a text may be longer, and nothing of it is refused for its tokens.
    let long = |long_text: &str, characters: usize| json!({"input": "é".repeat(characters), "long_text": long_text});
    check(&server.post("/v1/emotions", &long("truncate", 20_001)), 422, "text_too_long", &["/input"]);
    check(&server.post("/v1/emotions", &long("window", 100_001)), 422, "text_too_long", &["/input"]);
    // The sentence that does not fit is what makes the text too long.
    let asked = json!({"input": format!("Short. {}", "word ".repeat(60)), "long_text": "error", "granularity": "sentence"});
    check(&server.post("/v1/emotions", &asked), 422, "text_too_long", &["/input"]);
}

#[test]
fn what_is_wrong_is_422_with_its_place() {
    let server = Plan::default().start();
    let cases = invalid();
    assert!(cases.len() >= 40, "saw {} cases", cases.len());
    for (body, code, pointers) in cases {
        check(&server.post("/v1/emotions", &body), 422, code, &pointers);
    }
    let twice = br#"{"input":"a","input":"b","thresholds":{"joy":0.1,"joy":0.2}}"#;
    check(&server.send("POST", "/v1/emotions", JSON, twice), 422, "validation_failed", &["/input", "/thresholds/joy"]);
}

#[test]
fn other_refusals_have_their_status() {
    let server = Plan::default().start();
    let body = json!({"input": "a"}).to_string();
    let send = |method: &str, path: &str, headers: &[(&str, &str)]| server.send(method, path, headers, body.as_bytes());
    check(&server.post("/v1/emotions", &json!({"input": "a", "model": "other"})), 404, "model_not_found", &[]);
    check(&server.get("/v1/models/other"), 404, "model_not_found", &[]);
    for path in ["/nowhere", "/v1/emotions/", "/v1", "/v1/models/a/b", "/v1/models/../models", "/%2e%2e/x"] {
        check(&server.get(path), 404, "not_found", &[]);
    }
    check(&server.post("/v1/emotions", &json!({"input": vec!["a"; 65]})), 413, "too_many_texts", &["/input"]);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx"] {
        check(&send("POST", "/v1/emotions", &[("content-type", kind)]), 415, "unsupported_media_type", &[]);
    }
    check(&send("POST", "/v1/emotions", &[JSON[0], ("content-encoding", "gzip")]), 415, "unsupported_media_type", &[]);
    for bad in ["0", "-1", "1.5", "soon", ""] {
        check(&send("POST", "/v1/emotions", &[JSON[0], ("x-request-timeout-ms", bad)]), 422, "validation_failed", &[]);
    }
    for good in ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"] {
        send("POST", "/v1/emotions", &[("content-type", good)]).expect(200);
    }
    for (method, path, allow) in [
        ("GET", "/v1/emotions", "POST"),
        ("DELETE", "/v1/emotions", "POST"),
        ("OPTIONS", "/v1/emotions", "POST"),
        ("POST", "/health/ready", "GET, HEAD"),
        ("PUT", "/metrics", "GET, HEAD"),
        ("POST", "/v1/models/scripted", "GET, HEAD"),
    ] {
        let reply = server.send(method, path, &[], b"");
        check(&reply, 405, "method_not_allowed", &[]);
        assert_eq!(reply.header("allow"), Some(allow));
    }
}

/// Bodies for `/predict` and `/`, and the status and word that come back.
#[test]
fn the_other_shapes_refuse_in_their_own() {
    let server = Plan::default().start();
    let refused = |path: &str, body: Value| {
        let reply = server.post(path, &body);
        assert_eq!(reply.header("content-type"), Some("application/json"), "{reply:?}");
        let body = reply.json();
        assert!(!body["error"].as_str().unwrap().is_empty());
        (reply.status, body["error_type"].as_str().unwrap_or("").to_owned())
    };
    for (body, status, word) in [
        (json!({"inputs": ["a", "b"]}), 422, "Validation"),
        (json!({"inputs": [["a", "b"]]}), 422, "Validation"),
        (json!({"inputs": [["a"], 7]}), 422, "Validation"),
        (json!({"inputs": []}), 422, "Validation"),
        (json!({"inputs": ""}), 400, "Empty"),
        (json!({"inputs": [["a"], [" "]]}), 400, "Empty"),
        (json!({"inputs": "a", "truncation_direction": "left"}), 422, "Validation"),
        (json!({"inputs": "word ".repeat(60), "truncate": false}), 422, "Validation"),
        (json!({"inputs": vec![["a"]; 65]}), 413, "Validation"),
        (json!({"input": "a"}), 422, "Validation"),
    ] {
        assert_eq!(refused("/predict", body.clone()), (status, word.to_owned()), "{body}");
    }
    for (body, status) in [
        (json!({"inputs": 7}), 422),
        (json!({"inputs": ""}), 422),
        (json!({"inputs": "a", "parameters": {"function_to_apply": "tanh"}}), 422),
        (json!({"inputs": "a", "parameters": {"top_k": 0}}), 422),
        (json!({"inputs": "a", "parameters": {"padding": true}}), 422),
        (json!({"inputs": "a", "parameters": []}), 422),
        (json!({"inputs": vec!["a"; 65]}), 413),
    ] {
        assert_eq!(refused("/", body.clone()), (status, String::new()), "{body}");
    }
    assert_eq!(server.send("PUT", "/predict", &[], b"").json()["error_type"], "Validation");
}

#[test]
fn request_ids_are_taken_over_when_they_are_good() {
    let server = Plan::default().start();
    let id = |given: &str| server.send("GET", "/health/live", &[("x-request-id", given)], b"").header("x-request-id").unwrap().to_owned();
    let longest = "a".repeat(128);
    for good in ["a", "0198-ab.C_d", longest.as_str()] {
        assert_eq!(id(good), good);
    }
    for bad in ["", "a b", "é", "a/b", &"a".repeat(129), "a\tb"] {
        let own = id(bad);
        assert_eq!((own.len(), own.as_bytes()[14]), (36, b'7'), "{own} is no UUIDv7");
    }
    let named = server.send("GET", "/nowhere", &[("x-request-id", "mine")], b"").json();
    assert_eq!(named["instance"], "urn:limbic:request:mine");
}

#[test]
fn every_answer_has_its_headers() {
    let server = Plan::default().start();
    for reply in [server.get("/health/live"), server.get("/nowhere"), server.classify("a"), server.get("/metrics")] {
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert!(reply.header("x-request-id").is_some());
    }
}
