//! The model repository extension and Hugging Face's shape by model: what their clients send to a server of several models.

use serde_json::{Value, json};

use super::harness::{Plan, Reply, Running};
use super::zoo::{Zoo, ask, standing, version_of};

/// As tritonclient sends it: no content type, and often no body.
fn post(server: &Running, path: &str, body: &str) -> Reply {
    server.send_admin("POST", path, body.as_bytes())
}

fn index(server: &Running, body: &str) -> Vec<[String; 4]> {
    let entries = post(server, "/v2/repository/index", body).expect(200).json();
    let word = |entry: &Value, member: &str| entry[member].as_str().unwrap().to_owned();
    let entry = |entry: &Value| ["name", "version", "state", "reason"].map(|member| word(entry, member));
    entries.as_array().unwrap().iter().map(entry).collect()
}

#[test]
fn the_index_lists_what_serves_and_what_could() {
    let zoo = Zoo::of(&["joy-1", "joy-2", "fear-1"]);
    let server = zoo.serve(Plan::default(), "joy");
    zoo.add("anger-1");
    zoo.add("broken-1");
    post(&server, "/v2/repository/models/broken-1/load", "{}").expect(422);
    let expected =
        [["fear", "1", "READY", ""], ["joy", "2", "READY", ""], ["joy", "1", "READY", ""], ["anger-1", "", "UNAVAILABLE", "not loaded"]];
    let found = index(&server, "");
    assert_eq!(found[..4], expected.map(|entry| entry.map(str::to_owned)));
    assert!(found[4][..3] == ["broken-1", "", "UNAVAILABLE"] && found[4][3].contains("golden answers"), "{found:?}");
    assert_eq!(found.len(), 5);
    assert_eq!(index(&server, "{\"ready\": true}"), found[..3]);
}

#[test]
fn load_and_unload_are_the_admin_routes_in_other_words() {
    let zoo = Zoo::of(&["joy-1"]);
    let server = zoo.serve(Plan::default(), "joy");
    zoo.add("joy-2");
    zoo.add("fear-1");
    assert_eq!(post(&server, "/v2/repository/models/joy-2/load", "{}").expect(200).body, "");
    assert_eq!(standing(&server), ["joy@2*"], "the version that was replaced leaves");
    post(&server, "/v2/repository/models/fear-1/load", "").expect(200);
    assert_eq!(version_of(&ask(&server, "fear", "a"), "a"), "1");
    post(&server, "/v2/repository/models/fear/unload", "{\"parameters\": {\"unload_dependents\": false}}").expect(200);
    ask(&server, "fear", "a").expect(404);

    let refused = |path: &str, body: &str, status: u16, told: &str| {
        let reply = post(&server, path, body).expect(status).json();
        assert!(reply["error"].as_str().is_some_and(|error| error.contains(told)), "{path}: {reply}");
    };
    refused("/v2/repository/models/joy/unload", "", 409, "the default model");
    refused("/v2/repository/models/fear/unload", "", 404, "no model \"fear\" is loaded");
    refused("/v2/repository/models/nothing/load", "", 404, "no bundle \"nothing\"");
    refused("/v2/repository/models/..%2Fjoy-2/load", "", 404, "no bundle");
    refused("/v2/repository/models/joy-2/load", "{\"parameters\": {\"config\": \"{}\"}}", 400, "parameters.config is unknown here");
    refused("/v2/repository/index", "[]", 400, "expected an object");
    refused("/v2/repository/index", "{\"ready\": 1}", 400, "ready: expected a boolean");
    // Not on the port that everybody reaches.
    for path in ["/v2/repository/index", "/v2/repository/models/joy-2/load", "/v2/repository/models/joy/unload"] {
        server.send("POST", path, &[], b"{}").expect(404);
    }
}

#[test]
fn hugging_faces_clients_choose_a_model_by_its_path() {
    let zoo = Zoo::of(&["joy-1", "joy-2", "fear-1"]);
    let server = zoo.serve(Plan::default(), "joy");
    let body = json!({"inputs": "so happy", "parameters": {"top_k": 2}});
    let by = |model: &str| server.post(&format!("/hf/{model}"), &body).expect(200).json();
    assert_eq!(by("joy"), server.post("/", &body).expect(200).json());
    assert_eq!(by("joy@2"), by("joy"));
    assert_eq!(by("fear"), by("joy@1"), "models of this zoo answer by their version alone");
    assert_ne!(by("joy@1"), by("joy@2"));
    assert_eq!(by("fear")[0].as_array().unwrap().len(), 2);
    for (model, status) in [("anger", 404), ("joy@3", 404), ("..%2Fx", 404)] {
        let refused = server.post(&format!("/hf/{model}"), &body).expect(status).json();
        assert!(refused["error"].as_str().unwrap().contains("no such model"), "{refused}");
    }
    server.send("GET", "/hf/joy", &[], b"").expect(405);
}
