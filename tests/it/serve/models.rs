//! Several models in one process: who answers whom, and what an operator may change.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::Duration;

use limbic::serve::{ModelsConfig, ServeError, Service, Settings};
use serde_json::json;

use super::harness::{Gate, Plan, Running, until};
use super::zoo::{Zoo, animal, ask, standing, version_of};

#[test]
fn a_name_leads_to_its_newest_version_and_each_version_can_be_asked() {
    let zoo = Zoo::of(&["joy-1", "joy-10", "joy-9", "fear-3"]);
    let server = zoo.serve(Plan::default(), "joy");
    assert_eq!(standing(&server), ["fear@3*", "joy@1", "joy@10*", "joy@9"]);
    for (model, version) in [("joy", "10"), ("joy@1", "1"), ("joy@9", "9"), ("joy@10", "10"), ("fear", "3"), ("fear@3", "3")] {
        assert_eq!(version_of(&ask(&server, model, "so happy"), "so happy"), version, "{model}");
    }
    assert_eq!(version_of(&server.classify("so happy"), "so happy"), "10");
    server.post("/", &json!({"inputs": "ok"})).expect(200);
    let list = server.get("/v1/models").expect(200).json();
    let ids: Vec<&str> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["fear", "joy", "joy@1", "joy@9"]);
    assert_eq!(server.get("/v1/models/joy@9").expect(200).json()["version"], "9");
    for unknown in ["joy@2", "joy@", "@1", "anger", "joy@1@9", ""] {
        assert_eq!(ask(&server, unknown, "a").expect(404).json()["code"], "model_not_found", "{unknown:?}");
    }
}

#[test]
fn without_a_name_it_must_be_clear_who_answers() {
    let start = |names: &[&str], default: Option<&str>, bundle: Option<&str>| {
        let zoo = Zoo::of(names);
        let models = ModelsConfig {
            bundle: bundle.map(|name| zoo.path().join(name)),
            folder: Some(zoo.path().into()),
            default: default.map(str::to_owned),
            watch: None,
        };
        Service::start(Plan::default().opener(animal), &models, Settings::default()).map(|service| service.summary()[0].clone())
    };
    assert!(start(&["joy-1"], None, None).unwrap().starts_with("model joy version 1 "));
    assert!(start(&["joy-1", "fear-2"], Some("fear"), None).unwrap().starts_with("model fear version 2 "));
    assert!(start(&["joy-1", "fear-2"], None, Some("fear-2")).unwrap().starts_with("model fear version 2 "));
    let refused = |names: &[&str], default| start(names, default, None).unwrap_err().to_string();
    assert!(refused(&["joy-1", "fear-2"], None).contains("fear, joy with --default-model"));
    assert!(refused(&["joy-1"], Some("fear")).contains("\"fear\": expected one of joy"));
    assert!(refused(&[], None).contains("no bundle"));
    assert!(matches!(start(&["joy-1", "broken-1"], None, None), Err(ServeError::Engine(_))));
}

#[test]
fn nothing_outside_the_folder_is_ever_opened() {
    let (zoo, outside) = (Zoo::of(&["joy-1"]), Zoo::of(&["fear-1"]));
    symlink(outside.path().join("fear-1"), zoo.path().join("link-1")).unwrap();
    symlink(outside.path(), zoo.path().join("up-1")).unwrap();
    let server = zoo.serve(Plan::default(), "joy");
    assert_eq!((standing(&server), zoo.opened()), (vec!["joy@1*".to_owned()], 1));
    let long = "a".repeat(256);
    let outside = outside.path().join("fear-1").display().to_string();
    let bad =
        ["../x", "..", ".", "", "/etc", "a/b", "joy-1/", "joy-1\0", "%2e%2e%2f", "link-1", "up-1", "up-1/fear-1", "none", &long, &outside];
    for name in bad {
        let refused = server.change("/admin/load", &json!({"bundle": name}));
        assert_eq!((refused.status, refused.json()["code"].as_str()), (404, Some("model_not_found")), "{name:?}: {refused:?}");
        assert_eq!(ask(&server, name, "a").status, 404, "{name:?}");
    }
    for path in ["../x", "..%2f..%2fetc%2fpasswd", "%2e%2e%2f", "%2fetc", "joy%00", "joy%40..%2f", &long] {
        assert_eq!(server.get(&format!("/v1/models/{path}")).status, 404, "{path:?}");
    }
    assert_eq!(zoo.opened(), 1);
}

#[test]
fn changes_that_contradict_how_things_stand_are_refused() {
    let zoo = Zoo::of(&["joy-1", "joy-2", "fear-1"]);
    let server = zoo.serve(Plan::default(), "joy");
    let check = |path: &str, body: serde_json::Value, status: u16, code: &str| {
        let reply = server.change(path, &body);
        assert_eq!((reply.status, reply.json()["code"].as_str()), (status, Some(code)), "{path} {body}: {reply:?}");
    };
    check("/admin/unload", json!({"model": "joy"}), 409, "conflict");
    check("/admin/unload", json!({"model": "joy", "version": "2"}), 409, "conflict");
    check("/admin/unload", json!({"model": "joy", "version": "3"}), 404, "model_not_found");
    check("/admin/unload", json!({"model": "anger"}), 404, "model_not_found");
    check("/admin/swap", json!({"model": "joy", "version": "3"}), 404, "model_not_found");
    check("/admin/swap", json!({"model": "joy"}), 422, "validation_failed");
    check("/admin/load", json!({}), 422, "validation_failed");
    check("/admin/load", json!({"bundle": 1}), 422, "validation_failed");
    check("/admin/load", json!({"bundle": "joy-1", "previous": "eat"}), 422, "validation_failed");
    check("/admin/load", json!({"bundle": "joy-1", "path": "x"}), 422, "validation_failed");
    check("/admin/shadow", json!({"model": "joy", "with": "fear"}), 422, "validation_failed");
    check("/admin/shadow", json!({"model": "joy", "with": "fear", "percent": 101}), 422, "validation_failed");
    check("/admin/shadow", json!({"model": "joy", "with": "anger", "percent": 1}), 404, "model_not_found");
    check("/admin/nothing", json!({}), 404, "not_found");
    assert_eq!(standing(&server), ["fear@1*", "joy@1", "joy@2*"]);

    server.change("/admin/swap", &json!({"model": "joy", "version": "1"})).expect(200);
    assert_eq!(version_of(&server.classify("a"), "a"), "1");
    server.change("/admin/unload", &json!({"model": "joy", "version": "2"})).expect(200);
    server.change("/admin/unload", &json!({"model": "fear"})).expect(200);
    assert_eq!(standing(&server), ["joy@1*"]);
    check("/admin/unload", json!({"model": "joy", "version": "1"}), 409, "conflict");
    ask(&server, "fear", "a").expect(404);
    // None of this is to be had on the port that everybody reaches.
    for path in ["/admin/models", "/metrics"] {
        server.get(path).expect(404);
        server.get_admin(path).expect(200);
    }
    server.post("/admin/load", &json!({"bundle": "joy-2"})).expect(404);
    assert_eq!(server.send("GET", "/admin/load", &[], b"").status, 404);
}

#[test]
fn a_bundle_that_is_refused_changes_nothing_and_says_why() {
    let zoo = Zoo::of(&["joy-1"]);
    let server = zoo.serve(Plan::default(), "joy");
    zoo.add("broken-2");
    let refused = server.change("/admin/load", &json!({"bundle": "broken-2"})).expect(422).json();
    assert_eq!(refused["code"], "bundle_refused");
    assert!(refused["detail"].as_str().unwrap().contains("its golden answers are others"), "{refused}");
    let listed = server.get_admin("/admin/models").json()["refused"].clone();
    assert_eq!((listed[0]["bundle"].as_str(), listed.as_array().unwrap().len()), (Some("broken-2"), 1));
    assert_eq!(version_of(&server.classify("a"), "a"), "1");
    assert_eq!(server.metric("limbic_model_loads_total{outcome=\"refused\"}"), 1.0);
}

/// A server that looks at its folder all the time.
fn watched(zoo: &Zoo) -> Running {
    zoo.serve_by(zoo.counted(Plan::default().opener(animal)), "joy", Some(Duration::from_millis(10)))
}

#[test]
fn a_folder_that_is_watched_is_what_is_served() {
    let zoo = Zoo::of(&["joy-1"]);
    let server = watched(&zoo);
    zoo.add("joy-2");
    until("the new version answers", || version_of(&server.classify("a"), "a") == "2");
    zoo.add("fear-1");
    zoo.add("broken-1");
    until("both were tried", || server.metric("limbic_model_loads_total{outcome=\"refused\"}") == 1.0 && standing(&server).len() == 3);
    // An older version is there to be asked, and no more.
    zoo.add("joy-0");
    until("it can be asked", || ask(&server, "joy@0", "a").status == 200);
    assert_eq!(version_of(&server.classify("a"), "a"), "2");
    zoo.remove("fear-1");
    zoo.remove("broken-1");
    zoo.remove("joy-2");
    until("the newest that is left answers", || standing(&server) == ["joy@1*", "joy@0"]);
    assert_eq!(server.get_admin("/admin/models").json()["refused"], json!([]));
    zoo.remove("joy-0");
    zoo.remove("joy-1");
    until("one is left", || standing(&server) == ["joy@1*"]);
    assert_eq!(version_of(&server.classify("a"), "a"), "1");
    assert_eq!(zoo.opened(), 5, "something was tried twice");
}

#[test]
fn a_request_is_answered_by_the_version_it_began_with() {
    let gate = Arc::new(Gate::default());
    let zoo = Zoo::of(&["joy-1", "joy-2"]);
    let server = zoo.serve(Plan { gate: Arc::clone(&gate), ..Plan::default() }, "joy");
    server.change("/admin/swap", &json!({"model": "joy", "version": "1"})).expect(200);
    gate.close();
    std::thread::scope(|scope| {
        let (held, waiting) = (scope.spawn(|| server.classify("held")), scope.spawn(|| server.classify("waiting")));
        until("both are inside", || gate.texts() as f64 + server.metric("limbic_queue_texts") == 2.0);
        server.change("/admin/swap", &json!({"model": "joy", "version": "2"})).expect(200);
        server.change("/admin/unload", &json!({"model": "joy", "version": "1"})).expect(200);
        assert_eq!(standing(&server), ["joy@2*"]);
        gate.open();
        assert_eq!(version_of(&held.join().unwrap(), "held"), "1");
        assert_eq!(version_of(&waiting.join().unwrap(), "waiting"), "1");
    });
    assert_eq!(version_of(&server.classify("new"), "new"), "2");
    let page = server.get_admin("/metrics").body;
    let infos: Vec<&str> = page.lines().filter(|line| line.starts_with("limbic_model_info")).collect();
    assert_eq!(infos.len(), 1, "{infos:?}");
    assert!(infos[0].contains("version=\"2\""), "{infos:?}");
}
