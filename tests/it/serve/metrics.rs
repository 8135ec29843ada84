//! The figures agree with what clients saw, and no client can make more of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use super::harness::{Gate, Plan, Running, asking, until};

fn page(server: &Running) -> Vec<String> {
    server.get("/metrics").body.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn series(server: &Running) -> BTreeSet<String> {
    page(server).into_iter().map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

#[test]
fn counters_agree_with_clients() {
    let server = Plan { workers: 2, ..Plan::default() }.start();
    let mut seen: BTreeMap<(&str, u16), u32> = BTreeMap::new();
    let mut note = |route: &'static str, status: u16| *seen.entry((route, status)).or_default() += 1;
    for round in 0..7 {
        note("/v1/emotions", server.classify("so happy").status);
        note("/v1/emotions", server.post("/v1/emotions", &json!({"input": 1})).status);
        note("/predict", server.post("/predict", &json!({"inputs": "ok"})).status);
        note("/predict", server.send("PUT", "/predict", &[], b"").status);
        note("/", server.post("/", &json!({"inputs": ["ok", "no"]})).status);
        note("/v1/models/{id}", server.get("/v1/models/scripted").status);
        note("/v1/models/{id}", server.get(&format!("/v1/models/no-{round}")).status);
        note("unmatched", server.get(&format!("/no/{round}")).status);
    }
    let page = page(&server);
    assert_eq!(seen.len(), 8);
    for ((route, status), count) in &seen {
        let line = format!("limbic_requests_total{{code=\"{status}\",route=\"{route}\"}} {count}");
        assert!(page.contains(&line), "no {line}");
    }
    let has = |line: &str| assert!(page.iter().any(|found| found == line), "no {line} in {page:#?}");
    has("limbic_request_duration_seconds_count 35");
    has("limbic_stage_duration_seconds_count{stage=\"infer\"} 21");
    has("limbic_stage_duration_seconds_count{stage=\"post\"} 21");
    has("limbic_batch_texts_sum 28");
    has("limbic_queue_texts 0");
    has("limbic_queue_tokens 0");
}

#[test]
fn what_clients_invent_makes_no_series() {
    let server = Plan::default().start();
    let everything = || {
        server.classify("so happy").expect(200);
        server.get("/nowhere").expect(404);
        server.get("/v1/models/other").expect(404);
        server.get("/metrics").expect(200);
    };
    everything();
    let before = series(&server);
    for at in 0..200 {
        server.get(&format!("/nowhere/{at}")).expect(404);
        server.get(&format!("/v1/models/{at}")).expect(404);
        server.send("GET", "/nowhere", &[("x-request-id", &format!("id-{at}"))], b"").expect(404);
        server.post("/v1/emotions", &json!({"input": "ok", "model": format!("m{at}")})).expect(404);
    }
    everything();
    let mut after = series(&server);
    after.remove("limbic_requests_total{code=\"404\",route=\"/v1/emotions\"}");
    assert_eq!(before, after);
}

#[test]
fn what_happened_is_told_under_the_agreed_names() {
    let server = Plan::default().start();
    server.post("/v1/emotions", &json!({"input": ["so happy", "word ".repeat(80)]})).expect(200);
    let body = server.get("/metrics").expect(200).body;
    for line in [
        "limbic_truncated_texts_total 1",
        "limbic_model_loads_total{outcome=\"loaded\"} 1",
        "limbic_requests_in_flight 0",
        "limbic_model_info{backend=\"scripted\",digest=\"sha256:0123\",model=\"scripted\",precision=\"fp32\",version=\"7\"} 1",
    ] {
        assert!(body.lines().any(|found| found == line), "no {line} in {body}");
    }
    assert!(!body.contains("gpu"), "no engine here uses one");
}

#[test]
fn what_is_in_flight_is_counted_while_it_is() {
    let gate = Arc::new(Gate::default());
    let server = Plan { gate: Arc::clone(&gate), ..Plan::default() }.start();
    gate.close();
    let address = server.address;
    let held = std::thread::spawn(move || ureq::post(format!("http://{address}/predict")).send_json(json!({"inputs": "ok"})).unwrap());
    gate.wait_for_batches(1);
    // A scrape does not count itself.
    assert_eq!(server.metric("limbic_requests_in_flight"), 1.0);
    gate.open();
    held.join().unwrap();
    until("it is over", || server.metric("limbic_requests_in_flight") == 0.0);
}

#[test]
fn every_classifying_answer_says_where_its_time_went() {
    let server = Plan::default().start();
    let mut checked = 0;
    for (template, path, body) in asking("so happy") {
        let reply = server.post(path, &body).expect(200);
        let timing = reply.header("server-timing").unwrap_or_else(|| panic!("{template} has no Server-Timing"));
        let parts: Vec<(&str, f64)> =
            timing.split(", ").filter_map(|part| part.split_once(";dur=")).map(|(name, ms)| (name, ms.parse().unwrap())).collect();
        assert_eq!(parts.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["tok", "queue", "infer"], "{template}");
        assert!(parts.iter().all(|(_, ms)| (0.0..10_000.0).contains(ms)), "{template}: {timing}");
        assert!(reply.header("x-request-id").is_some());
        // What has no answer of the model's has no such header.
        assert_eq!(server.post(path, &json!({"nothing": 1})).header("server-timing"), None, "{template}");
        checked += 1;
    }
    assert_eq!(checked, 8);
}
