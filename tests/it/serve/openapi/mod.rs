//! The document of each port, held against the server that gives it: every example is sent, every
//! answer must be exactly what its schema says, every member that a checker knows is described and
//! no other, and `docs/api.md` speaks of the same routes, codes and members.

mod docs;
mod document;

use std::collections::BTreeSet;

use limbic::bundle::Bundle;
use limbic::serve::model::ServedModel;
use limbic::serve::{ModelsConfig, Service, Settings};
use limbic::spec::Precision;
use serde_json::{Value, json};

use self::document::{Document, Operation};
use super::harness::{Plan, Reply, Running};
use super::zoo::Zoo;
use crate::tiny;

const UNKNOWN: &str = "no-member-is-called-this";

/// A server of the tiny bundle, whose card is a real one; its engine is scripted.
fn tiny_server(dir: &tempfile::TempDir) -> Running {
    let bundle = tiny::bundle(dir.path(), Precision::Fp32);
    let opener = Plan::default().opener(|folder| Ok(ServedModel::of(&Bundle::open(folder).unwrap())));
    let models = ModelsConfig { bundle: Some(bundle), ..ModelsConfig::default() };
    Running::start(Service::start(opener, &models, Settings::default()).unwrap())
}

#[test]
fn every_example_is_answered_as_the_document_says() {
    let dir = tempfile::tempdir().unwrap();
    let server = tiny_server(&dir);
    let document = Document::new(server.get("/openapi.json").expect(200).json());
    let (mut asked, mut told) = (0, 0);
    for operation in document.operations() {
        let path = document.filled(&operation);
        if operation.method == "GET" {
            document.check(&operation, &server.get(&path).expect(200));
            told += 1;
        }
        for (content_type, name, example) in document.examples(&operation) {
            let body = if content_type.ends_with("json") { example.to_string() } else { format!("{example}\n") };
            let reply = server.send("POST", &path, &[("content-type", &content_type)], body.as_bytes());
            assert_eq!(reply.status, 200, "{} {name}: {reply:?}", operation.id);
            document.check(&operation, &reply);
            asked += 1;
        }
    }
    assert_eq!((asked, told), (29, 17));
}

#[test]
fn the_operator_has_a_document_of_their_own() {
    let zoo = Zoo::of(&["joy-1", "joy-2", "fear-3"]);
    let server = zoo.serve(Plan::default(), "joy");
    let document = Document::new(server.get_admin("/openapi.json").expect(200).json());
    let operations = document.operations();
    for operation in operations.iter().filter(|operation| operation.method == "GET") {
        document.check(operation, &server.get_admin(&operation.path).expect(200));
    }
    let of = |path: &str| operations.iter().find(|operation| operation.path == path && operation.method == "POST").unwrap();
    for (path, body, status) in [
        ("/admin/load", json!({"bundle": "joy-2"}), 200),
        ("/admin/load", json!({"bundle": "sadness-1"}), 404),
        ("/admin/load", json!({"bundle": 7}), 422),
        ("/admin/shadow", json!({"model": "joy", "with": "fear@3", "percent": 50}), 200),
        ("/admin/shadow", json!({"model": "joy"}), 200),
        ("/admin/swap", json!({"model": "joy", "version": "1"}), 200),
        ("/admin/unload", json!({"model": "joy", "version": "1"}), 409),
        ("/admin/unload", json!({"model": "joy", "version": "2"}), 200),
    ] {
        document.check(of(path), &server.change(path, &body).expect(status));
    }
    let examples: Vec<_> =
        operations.iter().flat_map(|operation| document.examples(operation).into_iter().map(move |found| (operation, found))).collect();
    for (operation, (_, name, example)) in &examples {
        let reply = server.change(&operation.path, example);
        assert_eq!(reply.status, 200, "{name}: {reply:?}");
        document.check(operation, &reply);
    }
    assert_eq!((operations.len(), examples.len()), (10, 2));
    // Neither port has the other's.
    assert!(document.path("/v1/emotions").is_none());
    assert!(Document::new(server.get("/openapi.json").json()).path("/admin/load").is_none());
}

#[test]
fn errors_are_shown_as_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let document = Document::new(tiny_server(&dir).get("/openapi.json").json());
    let mut seen = 0;
    for operation in document.operations() {
        for (status, example) in document.errors(&operation) {
            document.hold(&operation, &status, &example);
            if let Some(written) = example["status"].as_u64() {
                assert_eq!(written.to_string(), status, "{example}");
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 177);
}

#[test]
fn a_document_is_whole() {
    let zoo = Zoo::of(&["joy-1", "joy-2", "fear-3"]);
    let server = zoo.serve(Plan::default(), "joy");
    for reply in [server.get("/openapi.json"), server.get_admin("/openapi.json")] {
        let document = Document::new(reply.expect(200).json());
        assert_eq!(document.value["openapi"], "3.1.0");
        document.check_references();
        let operations = document.operations();
        let ids: BTreeSet<&str> = operations.iter().map(|operation| operation.id.as_str()).collect();
        assert_eq!(ids.len(), operations.len(), "an operation's id stands twice");
        assert!(operations.iter().all(|operation| !operation.summary.is_empty()));
    }
    let models = &Document::new(server.get("/openapi.json").json()).value["components"]["schemas"]["ModelId"]["enum"];
    assert_eq!(models, &json!(["fear", "fear@3", "joy", "joy@1", "joy@2"]));
}

/// A route, a body that is right, where in it an object stands, and that object's schema below the
/// request's.
fn objects() -> Vec<(&'static str, Value, &'static str, &'static str, &'static str)> {
    let text = json!({"input": "a"});
    let hf = json!({"inputs": "a", "parameters": {}});
    let with = |member: &str, value: Value| {
        let mut body = json!({"input": "a"});
        body[member] = value;
        body
    };
    let window = json!({"input": "a", "long_text": "window", "window": {}});
    let (emotions, classify) = ("EmotionsRequest", "ClassifyRequest");
    vec![
        ("/v1/emotions", text.clone(), "", emotions, ""),
        ("/v1/emotions", window, "/window", emotions, "/properties/window"),
        ("/v1/emotions", with("abstain", json!({"score": 0.1})), "/abstain", emotions, "/properties/abstain"),
        ("/v1/emotions", with("thresholds", json!({"joy": 0.5})), "/thresholds", emotions, "/properties/thresholds/anyOf/3"),
        ("/", hf.clone(), "", "HuggingFaceRequest", ""),
        ("/", hf, "/parameters", "HuggingFaceRequest", "/properties/parameters"),
        ("/predict", json!({"inputs": "a"}), "", "PredictRequest", ""),
        ("/classify", text.clone(), "", classify, ""),
        ("/v1/classify", text.clone(), "", classify, ""),
        ("/v1/moderations", text, "", "ModerationRequest", ""),
    ]
}

#[test]
fn the_checkers_know_the_members_described_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let server = tiny_server(&dir);
    let document = Document::new(server.get("/openapi.json").json());
    let cases = objects();
    assert_eq!(cases.len(), 10);
    for (path, mut body, at, schema, below) in cases {
        let schema = document.value.pointer(&format!("/components/schemas/{schema}{below}")).unwrap();
        body.pointer_mut(at).unwrap()[UNKNOWN] = json!(1);
        assert_eq!(known(&server.post(path, &body)), members(schema), "{path} {at}");
    }
    let mut bulk = members(&document.value["components"]["schemas"]["BulkRequest"]);
    assert!(bulk.remove("id"), "a line may have an id");
    assert_eq!(bulk, members(&document.value["components"]["schemas"]["EmotionsRequest"]));
    let zoo = Zoo::of(&["joy-1"]);
    let server = zoo.serve(Plan::default(), "joy");
    let document = Document::new(server.get_admin("/openapi.json").json());
    for (path, schema) in [("load", "LoadRequest"), ("swap", "SwapRequest"), ("unload", "UnloadRequest"), ("shadow", "ShadowRequest")] {
        let reply = server.change(&format!("/admin/{path}"), &json!({"model": "joy", "bundle": "joy-1", (UNKNOWN): 1}));
        let refused = known(&reply);
        assert_eq!(refused, members(&document.value["components"]["schemas"][schema]), "{path}");
    }
}

fn members(schema: &Value) -> BTreeSet<String> {
    assert_eq!(schema["additionalProperties"], false, "{schema}");
    schema["properties"].as_object().unwrap().keys().cloned().collect()
}

/// The members that a refusal says are known.
#[track_caller]
fn known(reply: &Reply) -> BTreeSet<String> {
    let marks = ["are unknown here; known are ", "is unknown here; known are ", "is no label here; they are "];
    let body = reply.body.replace("\\\"", "");
    let list = marks.iter().find_map(|mark| body.split_once(mark)).unwrap_or_else(|| panic!("{reply:?}")).1;
    list.split('"').next().unwrap().split(" (and ").next().unwrap().split(", ").map(str::to_owned).collect()
}

/// What OIP's checker knows it checks: each member of the wrong kind is named.
#[test]
fn open_inference_checks_every_member_described() {
    let dir = tempfile::tempdir().unwrap();
    let server = tiny_server(&dir);
    let document = Document::new(server.get("/openapi.json").json());
    let schema = &document.value["components"]["schemas"]["InferRequest"];
    let whole = json!({
        "id": "1", "parameters": {}, "outputs": [{"name": "labels", "parameters": {}}],
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"], "parameters": {}}],
    });
    server.post("/v2/models/tiny/infer", &whole).expect(200);
    let mut seen = 0;
    for (at, below) in [
        ("", ""),
        ("/parameters", "/properties/parameters"),
        ("/inputs/0", "/properties/inputs/items"),
        ("/outputs/0", "/properties/outputs/items"),
        ("/outputs/0/parameters", "/properties/outputs/items/properties/parameters"),
    ] {
        for member in schema.pointer(&format!("{below}/properties")).unwrap().as_object().unwrap().keys() {
            let mut body = whole.clone();
            // Nothing here is an object with a member of that name.
            body.pointer_mut(at).unwrap()[member] = json!([[{(UNKNOWN): 1}]]);
            let error = server.post("/v2/models/tiny/infer", &body).expect(400).json()["error"].as_str().unwrap().to_owned();
            assert!(error.contains(member.as_str()) || member == "data" || member == "inputs", "{at}/{member}: {error}");
            seen += 1;
        }
    }
    assert_eq!(seen, 17);
}

#[test]
fn the_page_brings_all_that_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    let server = tiny_server(&dir);
    assert_eq!(server.send("GET", "/docs", &[], b"").expect(200).header("content-type"), Some("text/html"));
    let page = server.get("/docs/").expect(200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    let files: Vec<&str> =
        ["src=\"", "href=\""].iter().flat_map(|mark| page.body.split(mark).skip(1).map(|rest| rest.split('"').next().unwrap())).collect();
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let file = file.strip_prefix("./").unwrap_or(file);
        assert!(!file.contains("//"), "{file} lies elsewhere");
        server.send("HEAD", &format!("/docs/{file}"), &[], b"").expect(200);
    }
    let start = server.get("/docs/swagger-initializer.js").expect(200).body;
    assert!(start.contains("../openapi.json") && start.contains("\"validatorUrl\": \"none\""), "{start}");
    server.get("/docs/nothing.js").expect(404);
}

/// An operation of which nothing is left out fails, so that none of the above can pass by seeing nothing.
#[test]
fn an_answer_that_says_more_than_its_schema_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let server = tiny_server(&dir);
    let document = Document::new(server.get("/openapi.json").json());
    let operations: Vec<Operation> = document.operations();
    let emotions = operations.iter().find(|operation| operation.id == "emotions").unwrap();
    let answer = server.post("/v1/emotions", &json!({"input": "a", "granularity": "sentence"})).expect(200).json();
    assert_eq!(document.faults(emotions, "200", &answer), Vec::<String>::new());
    for at in ["", "/model", "/usage", "/results/0", "/results/0/thresholds", "/results/0/spans/0"] {
        let mut more = answer.clone();
        more.pointer_mut(at).unwrap()[UNKNOWN] = json!(1);
        assert_ne!(document.faults(emotions, "200", &more), Vec::<String>::new(), "{at}");
    }
    let mut less = answer;
    less["results"][0].as_object_mut().unwrap().remove("scores");
    assert_ne!(document.faults(emotions, "200", &less), Vec::<String>::new());
}
