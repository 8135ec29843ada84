//! The limits of a request, at every route that takes a body: each has its status there, and a body in
//! the route's own shape.

use serde_json::{Value, json};

use super::harness::{Plan, Reply, Running};

/// A route, a request that it answers with these texts, and how it writes an error.
struct Case {
    path: &'static str,
    shape: Shape,
    body: fn(Vec<String>) -> Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Problem,
    HuggingFace,
    Tei,
    OpenInference,
    OpenAi,
}

fn input(texts: Vec<String>) -> Value {
    json!({"input": texts})
}

fn tensor(texts: Vec<String>) -> Value {
    json!({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [texts.len()], "data": texts}]})
}

const CASES: [Case; 8] = [
    Case { path: "/v1/emotions", shape: Shape::Problem, body: input },
    Case { path: "/", shape: Shape::HuggingFace, body: |texts| json!({"inputs": texts}) },
    Case { path: "/predict", shape: Shape::Tei, body: |texts| json!({"inputs": texts.into_iter().map(|text| [text]).collect::<Vec<_>>()}) },
    Case { path: "/classify", shape: Shape::OpenAi, body: input },
    Case { path: "/v1/classify", shape: Shape::OpenAi, body: input },
    Case { path: "/v1/moderations", shape: Shape::OpenAi, body: input },
    Case { path: "/v2/models/scripted/infer", shape: Shape::OpenInference, body: tensor },
    Case { path: "/v2/models/scripted/versions/7/infer", shape: Shape::OpenInference, body: tensor },
];

impl Case {
    /// Refused with this status, in the route's shape and with the code where the shape has one.
    #[track_caller]
    fn refused(&self, what: &str, reply: &Reply, status: u16, code: &str) {
        assert_eq!(reply.status, status, "{} {what}: {reply:?}", self.path);
        let body = reply.json();
        let object = body.as_object().unwrap();
        let kind = reply.header("content-type");
        let members: Vec<&str> = object.keys().map(String::as_str).collect();
        match self.shape {
            Shape::Problem => {
                assert_eq!((kind, &body["code"], &body["status"]), (Some("application/problem+json"), &json!(code), &json!(status)));
            }
            Shape::HuggingFace | Shape::OpenInference => assert_eq!((kind, &members[..]), (Some("application/json"), &["error"][..])),
            Shape::Tei => assert_eq!((kind, &members[..]), (Some("application/json"), &["error", "error_type"][..])),
            Shape::OpenAi => {
                assert_eq!((kind, &members[..], &body["error"]["code"]), (Some("application/json"), &["error"][..], &json!(code)))
            }
        }
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }

    /// What is wrong inside a body is 422 or 400, as the shape's clients expect.
    fn wrong(&self) -> u16 {
        if matches!(self.shape, Shape::OpenAi | Shape::OpenInference) { 400 } else { 422 }
    }
}

fn post(server: &Running, path: &str, body: &[u8], more: &[(&str, &str)]) -> Reply {
    server.send("POST", path, &[&[("content-type", "application/json")], more].concat(), body)
}

fn texts(count: usize) -> Vec<String> {
    vec!["a text".to_owned(); count]
}

#[test]
fn every_route_has_every_limit() {
    let server = Plan::default().start();
    for case in CASES {
        let send = |body: Value| post(&server, case.path, body.to_string().as_bytes(), &[]);
        let raw = |body: &[u8]| post(&server, case.path, body, &[]);
        send((case.body)(texts(64))).expect(200);
        case.refused("65 texts", &send((case.body)(texts(65))), 413, "too_many_texts");
        // Of few tokens, which the model's length would refuse at some routes.
        let long = |characters: usize| send((case.body)(vec![format!("é{}", " ".repeat(characters - 1))]));
        long(20_000).expect(200);
        case.refused("a long text", &long(20_001), case.wrong(), "text_too_long");
        let empty = if case.shape == Shape::Tei { 400 } else { case.wrong() };
        case.refused("an empty text", &send((case.body)(vec!["a".to_owned(), " ".to_owned()])), empty, "empty_text");
        let mut long = (case.body)(texts(1)).to_string().into_bytes();
        long.resize(1 << 20, b' ');
        raw(&long).expect(200);
        long.push(b' ');
        case.refused("a long body", &raw(&long), 413, "body_too_large");
        for depth in [33, 120, 250_000] {
            let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            case.refused("a deep body", &raw(nested.as_bytes()), 400, "malformed_json");
        }
        let levels = format!("{}{}", "[".repeat(32), "]".repeat(32));
        case.refused("a body as deep as may be", &raw(levels.as_bytes()), case.wrong(), "validation_failed");
        case.refused("no JSON", &raw(b"{"), 400, "malformed_json");
        case.refused("a lone surrogate", &raw(br#"{"input":"\ud800","inputs":"\ud800"}"#), 400, "malformed_json");
        case.refused("an unknown member", &send(json!({"input": "a", "inputs": "a", "surprise": 1})), case.wrong(), "validation_failed");
        case.refused("gzip", &post(&server, case.path, b"\x1f\x8b", &[("content-encoding", "gzip")]), 415, "unsupported_media_type");
        let text = server.send("POST", case.path, &[("content-type", "text/plain")], b"a");
        // The clients of this protocol send no content type, or any.
        let (status, code) = if case.shape == Shape::OpenInference { (400, "malformed_json") } else { (415, "unsupported_media_type") };
        case.refused("text", &text, status, code);
        case.refused("no time", &post(&server, case.path, b"{}", &[("x-request-timeout-ms", "0")]), case.wrong(), "validation_failed");
        server.get("/health/live").expect(200);
    }
}

#[test]
fn the_admin_port_has_them_too() {
    let server = Plan::default().start_with_admin();
    let send = |path: &str, body: &[u8]| {
        let headers = [("content-type", "application/json")];
        server.send_to(server.admin.unwrap(), ("POST", path), &headers, body)
    };
    let case = Case { path: "/admin", shape: Shape::Problem, body: input };
    for path in ["/admin/load", "/admin/swap", "/admin/unload", "/admin/shadow"] {
        case.refused(path, &send(path, &vec![b' '; (1 << 20) + 1]), 413, "body_too_large");
        case.refused(path, &send(path, "[".repeat(250_000).as_bytes()), 400, "malformed_json");
        case.refused(path, &send(path, b"{\"surprise\":1}"), 422, "validation_failed");
    }
    server.get_admin("/admin/models").expect(200);
}

#[test]
fn a_line_of_the_bulk_route_has_them_as_well() {
    let mut plan = Plan::default();
    plan.settings.limits.body_bytes = 4096;
    let server = plan.start();
    let lines = [
        json!({"input": texts(64)}).to_string(),
        json!({"input": vec!["a"; 65]}).to_string(),
        "[".repeat(33),
        format!("{{\"input\":\"{}\"}}", "a".repeat(5000)),
        json!({"input": ""}).to_string(),
        json!({"input": "last"}).to_string(),
    ];
    let reply = server.send("POST", "/v1/emotions/bulk", &[("content-type", "application/x-ndjson")], lines.join("\n").as_bytes());
    let answers: Vec<Value> = reply.expect(200).body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let codes: Vec<&str> = answers.iter().map(|answer| answer["error"]["code"].as_str().unwrap_or("")).collect();
    assert_eq!(codes, ["", "too_many_texts", "malformed_json", "body_too_large", "empty_text", ""]);
}
