//! Every kind of wrong input on every route that takes texts: the status, the code and the shape of
//! the body are the route's own, and the server answers on. `body` is about what is sent, `head` about
//! what stands around it, `framing` about how it is sent.

mod body;
mod framing;
mod head;

use serde_json::{Value, json};

use super::harness::Reply;

/// A route that takes texts, and how it says that they are wrong.
struct Speaks {
    path: &'static str,
    shape: Shape,
    /// The status of members that are wrong, and of empty texts.
    wrong: u16,
    empty: u16,
    /// Whether a body is what it is whatever it calls itself, and members it does not know are passed over.
    lenient: bool,
    /// Whether a body may name a model.
    names: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Problem,
    Plain,
    Typed,
    OpenAi,
}

const ROUTES: [Speaks; 8] = [
    speaks("/v1/emotions", Shape::Problem, 422, 422),
    Speaks { names: false, ..speaks("/", Shape::Plain, 422, 422) },
    Speaks { names: false, ..speaks("/predict", Shape::Typed, 422, 400) },
    speaks("/classify", Shape::OpenAi, 400, 400),
    speaks("/v1/classify", Shape::OpenAi, 400, 400),
    speaks("/v1/moderations", Shape::OpenAi, 400, 400),
    Speaks { lenient: true, names: false, ..speaks("/v2/models/scripted/infer", Shape::Plain, 400, 400) },
    Speaks { lenient: true, names: false, ..speaks("/v2/models/scripted/versions/7/infer", Shape::Plain, 400, 400) },
];

const fn speaks(path: &'static str, shape: Shape, wrong: u16, empty: u16) -> Speaks {
    Speaks { path, shape, wrong, empty, lenient: false, names: true }
}

impl Speaks {
    /// A body with `texts` where texts go.
    fn body(&self, texts: &Value) -> Value {
        let count = texts.as_array().map_or(1, Vec::len);
        match self.path {
            "/" => json!({"inputs": texts}),
            "/predict" => match texts {
                Value::Array(list) => json!({"inputs": list.iter().map(|text| json!([text])).collect::<Vec<_>>()}),
                one => json!({"inputs": one}),
            },
            path if path.starts_with("/v2") => {
                let data = if texts.is_string() { json!([texts]) } else { texts.clone() };
                json!({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [count], "data": data}]})
            }
            _ => json!({"input": texts}),
        }
    }

    /// The same as bytes, with `text` written into it as it is.
    fn raw(&self, text: &[u8]) -> Vec<u8> {
        let body = self.body(&json!("@")).to_string();
        let (head, tail) = body.split_once('@').unwrap();
        [head.as_bytes(), text, tail.as_bytes()].concat()
    }

    fn member(&self) -> &'static str {
        if self.path == "/" || self.path == "/predict" || self.lenient { "inputs" } else { "input" }
    }

    /// Holds an answer against what the route should say: `code` in the words of the two shapes that have any.
    #[track_caller]
    fn check(&self, reply: &Reply, (status, code): (u16, &str), case: &str) {
        let case = format!("{case} at {}: {reply:?}", self.path);
        assert_eq!(reply.status, status, "{case}");
        let kind = if self.shape == Shape::Problem { "application/problem+json" } else { "application/json" };
        assert_eq!(reply.header("content-type"), Some(kind), "{case}");
        assert!(reply.header("x-request-id").is_some(), "{case}");
        let body = reply.json();
        let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        let said = match self.shape {
            Shape::Problem => {
                assert_eq!((body["status"].as_u64(), body["code"].as_str()), (Some(status.into()), Some(code)), "{case}");
                &body["detail"]
            }
            Shape::Plain => {
                assert_eq!(members, ["error"], "{case}");
                &body["error"]
            }
            Shape::Typed => {
                assert_eq!(members, ["error", "error_type"], "{case}");
                let kind = if code == "empty_text" { "Empty" } else { "Validation" };
                assert_eq!(body["error_type"], kind, "{case}");
                &body["error"]
            }
            Shape::OpenAi => {
                assert_eq!((members, body["error"]["code"].as_str()), (vec!["error"], Some(code)), "{case}");
                assert_eq!(body["error"]["type"], "invalid_request_error", "{case}");
                &body["error"]["message"]
            }
        };
        assert!(said.as_str().is_some_and(|said| !said.is_empty()), "{case}");
    }
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
