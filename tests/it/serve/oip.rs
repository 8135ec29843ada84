//! The Open Inference Protocol as its clients speak it: what they really send, byte for byte.

use serde_json::{Value, json};

use super::harness::{LABELS, Plan, Running};

/// A body of JSON and bytes, as tritonclient lays it out.
fn binary(request: &Value, tensors: &[u8]) -> (String, Vec<u8>) {
    let json = request.to_string();
    (json.len().to_string(), [json.as_bytes(), tensors].concat())
}

fn packed(texts: &[&str]) -> Vec<u8> {
    texts.iter().flat_map(|text| [&u32::try_from(text.len()).unwrap().to_le_bytes()[..], text.as_bytes()].concat()).collect()
}

/// Sends as a client that announces the JSON's length; status, the answer's JSON and the bytes
/// behind it.
fn send(server: &Running, headers: &[(&str, &str)], body: &[u8]) -> (u16, Value, Vec<u8>) {
    let request = ureq::http::Request::builder().method("POST").uri(format!("http://{}/v2/models/scripted/infer", server.address));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut response = agent.run(request.body(body.to_vec()).unwrap()).unwrap();
    let length = response.headers().get("inference-header-content-length").map(|length| length.to_str().unwrap().parse().unwrap());
    let bytes = response.body_mut().read_to_vec().unwrap();
    let (json, rest) = bytes.split_at(length.unwrap_or(bytes.len()));
    (response.status().as_u16(), serde_json::from_slice(json).unwrap(), rest.to_vec())
}

#[test]
fn tritonclient_speaks_binary_without_a_content_type() {
    let server = Plan::default().start();
    let texts = ["so happy", "\u{1F602} no"];
    let tensor = packed(&texts);
    let input = json!({"name": "text", "shape": [2, 1], "datatype": "BYTES", "parameters": {"binary_data_size": tensor.len()}});
    let (length, body) = binary(&json!({"id": "7", "inputs": [input], "parameters": {"binary_data_output": true}}), &tensor);
    let (status, answer, bytes) = send(&server, &[("inference-header-content-length", &length)], &body);
    assert_eq!((status, &answer["id"], &answer["model_version"]), (200, &json!("7"), &json!("7")), "{answer}");
    let size = |at: usize| usize::try_from(answer["outputs"][at]["parameters"]["binary_data_size"].as_u64().unwrap()).unwrap();
    assert_eq!(size(0) + size(1), bytes.len());
    assert!(answer["outputs"][0].get("data").is_none());
    let (scores, labels) = bytes.split_at(size(0));
    let native = server.post("/v1/emotions", &json!({"input": texts})).json();
    assert_eq!((answer["outputs"][0]["shape"].clone(), scores.len()), (json!([2, 4]), 2 * 4 * 4));
    for (at, value) in scores.as_chunks::<4>().0.iter().enumerate() {
        let expected = &native["results"][at / 4]["scores"][LABELS[at % 4]];
        assert_eq!(f64::from(f32::from_le_bytes(*value)) as f32, expected.as_f64().unwrap() as f32, "of {at}");
    }
    let held: Vec<String> = (0..2).map(|at| native["results"][at]["labels"].to_string()).collect();
    assert_eq!(labels, packed(&held.iter().map(String::as_str).collect::<Vec<_>>()));
}

#[test]
fn kserve_adds_members_of_its_own() {
    let server = Plan::default().start();
    let mut body = json!({"id": "a-b", "model_name": "scripted", "inputs": [
        {"name": "text", "shape": [2], "datatype": "BYTES", "data": [["so happy"], ["no"]], "parameters": {}}]});
    let plain = send(&server, &[("content-type", "application/json")], body.to_string().as_bytes());
    assert_eq!((plain.0, &plain.1["id"], plain.2.len()), (200, &json!("a-b"), 0));
    let tensor = packed(&["so happy", "no"]);
    body["inputs"][0] = json!({"name": "text", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": tensor.len()}});
    let (length, bytes) = binary(&body, &tensor);
    let headers = [("content-type", "application/octet-stream"), ("inference-header-content-length", length.as_str())];
    assert_eq!(send(&server, &headers, &bytes).1, plain.1);
    body["outputs"] = json!([{"name": "labels", "parameters": {"classification": 2, "binary_data": true}}, {"name": "probabilities"}]);
    let (length, bytes) = binary(&body, &tensor);
    let (status, answer, rest) = send(&server, &[("inference-header-content-length", &length)], &bytes);
    assert_eq!((status, &answer["outputs"][0]["shape"]), (200, &json!([2, 2])));
    assert_eq!(answer["outputs"][1]["data"], plain.1["outputs"][0]["data"]);
    let first = usize::try_from(u32::from_le_bytes(rest[..4].try_into().unwrap())).unwrap();
    let (value, name) = (String::from_utf8(rest[4..4 + first].to_vec()).unwrap(), native_top(&server));
    assert!(value.ends_with(&name), "{value} is not of {name}");
}

/// `:index:label` of the highest score of "so happy".
fn native_top(server: &Running) -> String {
    let result = server.classify("so happy").json()["results"][0].clone();
    let score = |at: &usize| result["scores"][LABELS[*at]].as_f64().unwrap();
    let top = (0..LABELS.len()).max_by(|left, right| score(left).total_cmp(&score(right))).unwrap();
    format!(":{top}:{}", LABELS[top])
}

#[test]
fn what_is_wrong_is_400_and_says_what() {
    let server = Plan::default().start();
    let input = |more: Value| {
        let mut input = json!({"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"inputs": [input]})
    };
    let with = |more: Value| {
        let mut body = input(json!({}));
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let cases = [
        (json!({}), "inputs: missing"),
        (json!([]), "the body: expected an object"),
        (json!({"inputs": [1, 2]}), "expected one input"),
        (input(json!({"name": "input"})), "inputs[0].name: expected \"text\""),
        (input(json!({"datatype": "FP32"})), "inputs[0].datatype: expected \"BYTES\""),
        (input(json!({"shape": [2]})), "expected [1] or [1, 1]"),
        (input(json!({"shape": [1, 1, 1]})), "expected [n] or [n, 1]"),
        (input(json!({"shape": [-1]})), "expected [n] or [n, 1]"),
        (input(json!({"shape": [1e300]})), "expected [n] or [n, 1]"),
        (input(json!({"data": [1]})), "expected a string, or a list of one, found a number"),
        (input(json!({"data": "a"})), "expected a list of strings"),
        (input(json!({"data": [""]})), "is empty"),
        (input(json!({"data": [], "shape": [0]})), "at least one text"),
        (input(json!({"parameters": {"binary_data_size": 1}})), "has both"),
        (with(json!({"id": 7})), "id: expected a string"),
        (with(json!({"outputs": [{"name": "logits"}]})), "expected \"probabilities\" or \"labels\""),
        (with(json!({"outputs": [{"name": "labels"}, {"name": "labels"}]})), "stands twice"),
        (with(json!({"parameters": {"threshold": 2}})), "expected a number in [0, 1]"),
        (with(json!({"parameters": {"priority": -1}})), "expected a whole number"),
        (with(json!({"parameters": {"timeout": 0.5}})), "expected a whole number"),
    ];
    for (body, told) in cases {
        let (status, answer, _) = send(&server, &[], body.to_string().as_bytes());
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(status == 400 && error.contains(told), "{status} {error:?} does not say {told:?}");
    }
    let (status, answer, _) = send(&server, &[("inference-header-content-length", "99")], b"{}");
    assert!(status == 400 && answer["error"].as_str().unwrap().contains("more than the 2 bytes"), "{answer}");
    for length in ["-1", "x", ""] {
        assert_eq!(send(&server, &[("inference-header-content-length", length)], b"{}").0, 400);
    }
    let (length, body) = binary(&with(json!({})), b"rest");
    assert_eq!(send(&server, &[("inference-header-content-length", &length)], &body).0, 400);
    assert_eq!(send(&server, &[("content-encoding", "gzip")], b"x").0, 415);
    let many = json!({"inputs": [{"name": "text", "shape": [65], "datatype": "BYTES", "data": vec!["a"; 65]}]});
    assert_eq!(send(&server, &[], many.to_string().as_bytes()).0, 413);
}

#[test]
fn a_timeout_of_the_request_counts() {
    let plan = Plan::default();
    let gate = std::sync::Arc::clone(&plan.gate);
    let server = plan.start();
    gate.close();
    let body = json!({"parameters": {"timeout": 50_000}, "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}]});
    let (status, answer, _) = send(&server, &[], body.to_string().as_bytes());
    assert_eq!((status, answer["error"].as_str()), (504, Some("no answer within 50 ms")));
    gate.open();
}

#[test]
fn models_and_versions_have_their_paths() {
    let server = Plan::default().start();
    for path in ["/v2/models/scripted/versions/7", "/v2/models/scripted/versions/7/ready", "/v2/models/scripted/ready"] {
        server.get(path).expect(200);
    }
    for path in ["/v2/models/other", "/v2/models/other/ready", "/v2/models/scripted/versions/8", "/v2/models/scripted/versions/8/ready"] {
        assert!(server.get(path).expect(404).json()["error"].is_string());
    }
    server.post("/v2/models/scripted/versions/8/infer", &json!({})).expect(404);
    assert_eq!(server.get("/v2/models/scripted/infer").expect(405).header("allow"), Some("POST"));
}
