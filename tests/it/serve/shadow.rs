//! A shadow sees what was answered, counts, and never stands in anybody's way.

use std::sync::Arc;

use limbic::serve::registry::Opener;
use serde_json::json;

use super::harness::{Gate, LABELS, Plan, Running, until};
use super::zoo::{Zoo, animal, version_of};

fn texts(server: &Running, outcome: &str) -> f64 {
    server.metric(&format!("limbic_shadow_texts_total{{model=\"joy\",outcome=\"{outcome}\"}}"))
}

fn decisions(server: &Running, label: &str, decision: &str) -> f64 {
    server.metric(&format!("limbic_shadow_decisions_total{{decision=\"{decision}\",label=\"{label}\",model=\"joy\"}}"))
}

#[test]
fn agreement_and_shift_are_counted_for_each_label() {
    let zoo = Zoo::of(&["joy-1", "joy-2"]);
    let server = zoo.serve(Plan::default(), "joy");
    server.change("/admin/swap", &json!({"model": "joy", "version": "1"})).expect(200);
    let shadow = json!({"model": "joy", "with": "joy@2", "percent": 100});
    let standing = server.change("/admin/shadow", &shadow).expect(200).json();
    assert_eq!(standing["models"][0]["shadow"], json!({"with": "joy@2", "percent": 100.0}));
    // Scores of the two: both sides of 0.5 alike, for a calibrator without an offset keeps it.
    let (mut held, mut shift) = ([0.0; LABELS.len()], [0.0; LABELS.len()]);
    for number in 0..40 {
        let text = format!("text number {number}");
        let one = server.classify(&text);
        assert_eq!(version_of(&one, &text), "1");
        until("it was compared", || texts(&server, "compared") == f64::from(number + 1));
        let two = super::zoo::ask(&server, "joy@2", &text).json();
        for (at, label) in LABELS.iter().enumerate() {
            let score = |answer: &serde_json::Value| answer["results"][0]["scores"][label].as_f64().unwrap();
            held[at] += f64::from(u8::from(score(&one.json()) >= 0.5));
            shift[at] += score(&two) - score(&one.json());
        }
    }
    for (at, label) in LABELS.iter().enumerate() {
        assert_eq!(decisions(&server, label, "both"), held[at], "{label}");
        assert_eq!(decisions(&server, label, "neither"), 40.0 - held[at], "{label}");
        assert_eq!(decisions(&server, label, "serving_only") + decisions(&server, label, "shadow_only"), 0.0);
        let found = server.metric(&format!("limbic_shadow_score_shift{{label=\"{label}\",model=\"joy\"}}"));
        assert!((found - shift[at] / 40.0).abs() < 1e-6, "{label}: {found} is not {}", shift[at] / 40.0);
        assert!(shift[at] != 0.0, "the two versions score alike: the test sees nothing");
    }
    // What is asked of the shadow itself, or by a version, is not compared.
    super::zoo::ask(&server, "joy@1", "a").expect(200);
    let ended = server.change("/admin/shadow", &json!({"model": "joy"})).expect(200).json();
    assert_eq!(ended["models"][0]["shadow"], json!(null));
    server.classify("unseen").expect(200);
    assert_eq!(["compared", "dropped", "failed"].map(|outcome| texts(&server, outcome)), [40.0, 0.0, 0.0]);
}

#[test]
fn a_shadow_that_hangs_costs_nobody_anything() {
    let zoo = Zoo::of(&["joy-1", "fear-1"]);
    let (gate, usual) = (Arc::new(Gate::default()), Plan::default().opener(animal));
    let gated = Plan { gate: Arc::clone(&gate), ..Plan::default() }.opener(animal);
    let opener: Opener = Arc::new(move |folder| if folder.ends_with("fear-1") { gated(folder) } else { usual(folder) });
    let server = zoo.serve_by(opener, "joy", None);
    server.change("/admin/shadow", &json!({"model": "joy", "with": "fear", "percent": 50})).expect(200);
    gate.close();
    for number in 0..100 {
        server.classify(&format!("text {number}")).expect(200);
    }
    // One is with the shadow's engine, a few wait for it, the rest went without.
    gate.wait_for_batches(1);
    let dropped = texts(&server, "dropped");
    assert!((40.0..50.0).contains(&dropped), "{dropped}");
    assert_eq!(texts(&server, "compared"), 0.0);
    gate.open();
    until("those that waited are compared", || texts(&server, "compared") == 50.0 - dropped);
}

#[test]
fn a_share_of_requests_is_that_share() {
    let zoo = Zoo::of(&["joy-1", "fear-1"]);
    let server = zoo.serve(Plan::default(), "joy");
    server.change("/admin/shadow", &json!({"model": "joy", "with": "fear", "percent": 25})).expect(200);
    for number in 0..80 {
        server.classify(&format!("text {number}")).expect(200);
    }
    until("all that it should see was seen or dropped", || texts(&server, "compared") + texts(&server, "dropped") == 20.0);
    // A shadow keeps the version that it asks, and nobody else can ask it.
    server.change("/admin/unload", &json!({"model": "fear"})).expect(200);
    super::zoo::ask(&server, "fear", "a").expect(404);
    server.classify("still").expect(200);
}
