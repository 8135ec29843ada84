//! Many at once: batching that changes no answer, overload, deadlines, clients that leave,
//! engines that fail.

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use limbic::backend::{Backend, BackendError, Cost};
use limbic::decide::Logits;
use limbic::serve::batching::Priority;
use limbic::serve::engine::BackendFactory;
use limbic::serve::registry::{Opened, Opener};
use limbic::serve::{ModelsConfig, Service, Settings};
use limbic::text::Batch;
use serde_json::{Value, json};

use super::harness::{Gate, LABELS, Plan, Reply, Running, model, until};

fn scores(reply: &Reply) -> Value {
    reply.json()["results"][0]["scores"].clone()
}

/// Sends every text at once, each on a thread of its own.
fn all_at_once(server: &Running, texts: &[String]) -> Vec<Reply> {
    thread::scope(|scope| {
        let sent: Vec<_> = texts.iter().map(|text| scope.spawn(|| server.classify(text))).collect();
        sent.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("{} number {at} {}", ["ok", "so happy", "no"][at % 3], "again ".repeat(at % 11))).collect()
}

#[test]
fn every_text_gets_its_own_answer_in_any_company() {
    let server = Plan { workers: 2, ..Plan::default() }.start();
    let texts = texts(96);
    let alone: Vec<Value> = texts.iter().map(|text| scores(&server.classify(text).expect(200))).collect();
    let together: Vec<Value> = all_at_once(&server, &texts).into_iter().map(|reply| scores(&reply.expect(200))).collect();
    assert_eq!(alone, together);
    for (input, expected) in texts.chunks(48).zip(alone.chunks(48)) {
        let answer = server.post("/v1/emotions", &json!({"input": input})).expect(200).json();
        let found: Vec<&Value> = answer["results"].as_array().unwrap().iter().map(|result| &result["scores"]).collect();
        assert_eq!(found, expected.iter().collect::<Vec<_>>());
    }
    let distinct: std::collections::HashSet<String> = alone.iter().map(Value::to_string).collect();
    assert!(distinct.len() > 90, "only {} different answers: the test could not see a mix-up", distinct.len());
}

/// Holds the only worker with one request of `texts` texts in one batch.
fn occupy<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    server: &'scope Running,
    gate: &Gate,
    texts: usize,
) -> thread::ScopedJoinHandle<'scope, Reply> {
    gate.close();
    let before = gate.batches();
    let held = scope.spawn(move || server.post("/v1/emotions", &json!({"input": vec!["ok"; texts]})));
    gate.wait_for_batches(before + 1);
    held
}

#[test]
fn a_full_queue_refuses_exactly_the_rest() {
    let gate = Arc::new(Gate::default());
    let server = Plan { gate: Arc::clone(&gate), ..Plan::default() }.queue_texts(8).start();
    thread::scope(|scope| {
        let held = occupy(scope, &server, &gate, 8);
        let singles: Vec<_> = (0..10).map(|_| scope.spawn(|| server.classify("one more"))).collect();
        until("eight wait and two are refused", || {
            server.metric("limbic_queue_texts") == 8.0 && server.metric("limbic_rejected_total{reason=\"overloaded\"}") == 2.0
        });
        // Several texts are refused together, and none of them takes a place.
        server.post("/predict", &json!({"inputs": [["a"], ["b"]]})).expect(429);
        gate.open();
        let replies: Vec<Reply> = singles.into_iter().map(|single| single.join().unwrap()).collect();
        let refused: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 429).collect();
        assert_eq!((replies.iter().filter(|reply| reply.status == 200).count(), refused.len()), (8, 2));
        for reply in refused {
            assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
            assert_eq!(reply.json()["retryable"], true);
        }
        held.join().unwrap().expect(200);
    });
    assert_eq!(server.metric("limbic_queue_texts"), 0.0);
}

#[test]
fn a_deadline_ends_the_wait_and_the_work() {
    let gate = Arc::new(Gate::default());
    let server = Plan { gate: Arc::clone(&gate), ..Plan::default() }.start();
    thread::scope(|scope| {
        let held = occupy(scope, &server, &gate, 1);
        let start = Instant::now();
        let headers = [("content-type", "application/json"), ("x-request-timeout-ms", "100")];
        let late = server.send("POST", "/v1/emotions", &headers, br#"{"input":"late"}"#).expect(504);
        let took = start.elapsed();
        assert!((Duration::from_millis(100)..Duration::from_secs(2)).contains(&took), "{took:?}");
        assert_eq!(late.json()["code"], "deadline_exceeded");
        assert_eq!(server.metric("limbic_queue_texts"), 0.0);
        gate.open();
        held.join().unwrap().expect(200);
    });
    server.classify("next").expect(200);
    assert_eq!(gate.texts(), 2, "the late text reached the engine");
    assert_eq!(server.metric("limbic_rejected_total{reason=\"deadline\"}"), 1.0);
}

#[test]
fn work_of_clients_that_left_is_dropped() {
    use std::io::Write;
    let gate = Arc::new(Gate::default());
    let server = Plan { gate: Arc::clone(&gate), ..Plan::default() }.start();
    thread::scope(|scope| {
        let held = occupy(scope, &server, &gate, 1);
        let body = r#"{"input":["one","two","three"]}"#;
        let head =
            format!("POST /v1/emotions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        let clients: Vec<_> = (0..20)
            .map(|_| {
                let mut stream = server.connect();
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
                stream
            })
            .collect();
        until("sixty texts wait", || server.metric("limbic_queue_texts") == 60.0);
        drop(clients);
        until("nothing waits", || server.metric("limbic_queue_texts") == 0.0);
        gate.open();
        held.join().unwrap().expect(200);
    });
    assert_eq!(gate.texts(), 1, "work that nobody waits for reached the engine");
    assert_eq!(server.metric("limbic_rejected_total{reason=\"abandoned\"}"), 20.0);
}

#[test]
fn a_panicking_engine_fails_its_batch_and_is_replaced() {
    let gate = Arc::new(Gate::default());
    let server = Plan { gate: Arc::clone(&gate), ..Plan::default() }.start();
    for round in 1..=3 {
        gate.panic_next(1);
        assert_eq!(server.classify("unlucky").expect(500).json()["code"], "internal", "round {round}");
        server.classify("lucky").expect(200);
        server.get("/health/ready").expect(200);
    }
}

#[test]
fn without_any_engine_left_readiness_falls_and_nothing_hangs() {
    let gate = Arc::new(Gate::default());
    let server = Plan { gate: Arc::clone(&gate), rebuilds: false, ..Plan::default() }.start();
    server.get("/health/ready").expect(200);
    gate.panic_next(1);
    server.classify("unlucky").expect(500);
    until("readiness falls", || server.get("/health/ready").status == 503);
    let refused = server.classify("too late").expect(503);
    assert_eq!(refused.json()["code"], "not_ready");
    assert!(refused.header("retry-after").is_some());
    server.get("/health/live").expect(200);
}

#[test]
fn one_bad_text_does_not_fail_its_batch_mates() {
    let gate = Arc::new(Gate::default());
    let server = Plan { gate: Arc::clone(&gate), ..Plan::default() }.start();
    // The batch is refused, then the first of its texts alone; the others pass.
    gate.refuse_next(2);
    server.post("/v1/emotions", &json!({"input": ["a", "b", "c"]})).expect(500);
    thread::scope(|scope| {
        let held = occupy(scope, &server, &gate, 1);
        let (server, texts) = (&server, ["a", "b", "c"]);
        let waiting = texts.map(|text| scope.spawn(move || server.classify(text)));
        until("three wait", || server.metric("limbic_queue_texts") == 3.0);
        gate.refuse_next(2);
        gate.open();
        held.join().unwrap().expect(200);
        let mut statuses: Vec<u16> = waiting.into_iter().map(|thread| thread.join().unwrap().status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 500]);
    });
}

#[test]
fn what_waits_twice_is_computed_once() {
    let gate = Arc::new(Gate::default());
    // Ragged: whatever their lengths, all that waits fits one batch.
    let server = Plan { gate: Arc::clone(&gate), cost: Cost::Ragged, ..Plan::default() }.start();
    let alone: Vec<Value> = ["again", "another"].map(|text| scores(&server.classify(text).expect(200))).into();
    assert_ne!(alone[0], alone[1]);
    let (texts, batches) = (gate.texts(), gate.batches());
    thread::scope(|scope| {
        let held = occupy(scope, &server, &gate, 1);
        let singles: Vec<_> = (0..5).map(|_| scope.spawn(|| server.classify("again"))).collect();
        let list = scope.spawn(|| server.post("/v1/emotions", &json!({"input": ["another", "again", "again"]})));
        until("eight wait", || server.metric("limbic_queue_texts") == 8.0);
        gate.open();
        for single in singles {
            assert_eq!(scores(&single.join().unwrap().expect(200)), alone[0]);
        }
        let answer = list.join().unwrap().expect(200).json();
        for (at, expected) in [(0, &alone[1]), (1, &alone[0]), (2, &alone[0])] {
            assert_eq!(&answer["results"][at]["scores"], expected);
        }
        held.join().unwrap().expect(200);
    });
    assert_eq!((gate.texts(), gate.batches()), (texts + 3, batches + 2), "the held text, and two of eight");
    assert_eq!(server.metric("limbic_coalesced_texts_total"), 6.0);
}

#[test]
fn an_answer_is_kept_only_where_that_is_asked_for() {
    for (bytes, computed) in [(None, 4), (NonZeroU64::new(1 << 20), 2)] {
        let gate = Arc::new(Gate::default());
        let mut plan = Plan { gate: Arc::clone(&gate), ..Plan::default() };
        plan.settings.cache_bytes = bytes;
        let server = plan.start();
        let first = server.classify("so happy").expect(200).json();
        let again = server.classify("so happy").expect(200).json();
        assert_eq!(first["results"], again["results"]);
        // Kept are logits: what is decided of them is each request's own business.
        let undecided = json!({"input": ["so happy", "new"], "thresholds": "none", "logits": true});
        let undecided = server.post("/v1/emotions", &undecided).expect(200).json();
        assert_eq!(undecided["results"][0]["scores"], first["results"][0]["scores"]);
        assert!(undecided["results"][0].get("labels").is_none());
        assert_eq!(gate.texts(), computed, "with {bytes:?}");
        let lookups = ["hit", "miss"].map(|outcome| server.metric(&format!("limbic_cache_lookups_total{{outcome=\"{outcome}\"}}")));
        assert_eq!(lookups, if bytes.is_some() { [2.0, 2.0] } else { [0.0, 0.0] });
    }
}

#[test]
fn what_is_urgent_goes_first() {
    let gate = Arc::new(Gate::default());
    let mut plan = Plan { gate: Arc::clone(&gate), ..Plan::default() };
    plan.settings.batch_tokens = NonZeroUsize::MIN;
    let server = plan.start();
    let ask = |priority: &str, text: &str| {
        let headers = [("content-type", "application/json"), ("x-request-priority", priority)];
        server.send("POST", "/v1/emotions", &headers, json!({"input": text}).to_string().as_bytes())
    };
    let attempt = || {
        thread::scope(|scope| {
            let held = occupy(scope, &server, &gate, 1);
            let start = Instant::now();
            let patient = scope.spawn(|| ask("low", "whenever"));
            let waiting = server.queues_beyond(0.0);
            let usual = scope.spawn(|| server.classify("as usual"));
            let waiting = server.queues_beyond(waiting);
            let urgent = scope.spawn(|| ask("high", "at once"));
            server.queues_beyond(waiting);
            let took = start.elapsed();
            // The next two batches fail, each of one text: that shows whose they were.
            gate.refuse_next(2);
            gate.open();
            held.join().unwrap().expect(200);
            let statuses = [urgent, usual, patient].map(|thread| thread.join().unwrap().status);
            (took < Priority::Normal.yields()).then_some(statuses)
        })
    };
    // Where the three came further apart than a head start, a busy machine decided and not the server.
    let statuses = (0..50).find_map(|_| attempt());
    assert_eq!(statuses, Some([500, 500, 200]));
    let wrong = ask("soon", "never").expect(422).json();
    assert_eq!(wrong["errors"][0]["header"], "x-request-priority");
}

/// Logits that are none, for texts of more than `MANY` tokens.
struct Broken;

const MANY: usize = 8;

impl Backend for Broken {
    fn forward(&mut self, batch: &Batch) -> Result<Logits, BackendError> {
        let value = |ids: &[u32]| if ids.len() > MANY { f32::NAN } else { 1e4 };
        let rows = batch.rows().flat_map(|ids| [value(ids), -value(ids), 0.0, 0.0]).collect();
        Ok(Logits::new(LABELS.len(), rows)?)
    }

    fn cost(&self) -> Cost {
        Cost::Ragged
    }

    fn name(&self) -> &'static str {
        "broken"
    }
}

#[test]
fn logits_that_are_no_numbers_fail_their_text_alone() {
    let broken = || -> Box<dyn Backend> { Box::new(Broken) };
    let factory: BackendFactory = Arc::new(move || Ok(broken()));
    let opener: Opener = Arc::new(move |_| Ok(Opened { model: model(), backends: vec![broken()], factory: Arc::clone(&factory) }));
    let models = ModelsConfig { bundle: Some("broken".into()), ..ModelsConfig::default() };
    let server = Running::start(Service::start(opener, &models, Settings::default()).unwrap());
    let long = "again ".repeat(MANY);
    assert_eq!(server.classify(&long).expect(500).json()["code"], "internal");
    server.post("/v1/emotions", &json!({"input": ["ok", long]})).expect(500);
    // Far from zero, and still numbers between 0 and 1.
    let result = server.classify("ok").expect(200).json()["results"][0].clone();
    for label in LABELS {
        let score = result["scores"][label].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&score), "{result}");
    }
    server.get("/health/ready").expect(200);
}
