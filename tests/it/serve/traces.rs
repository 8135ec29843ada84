//! What a collector is told of requests: which spans, under which parent, with what in them, and what never.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use limbic::serve::telemetry::traces::{Protocol, Root, Sampling};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use serde_json::json;

use super::collector::{ALL, Collector, telling, words};
use super::harness::{Gate, PATIENCE, Plan, Running, asking, model};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const CANARY: &str = "zyxwcanary";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    words(&span.attributes).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Starts a server that tells `collector`, lets `ask` ask it, stops it, and returns the spans.
fn told(collector: &Collector, plan: Plan, sampling: Sampling, ask: impl FnOnce(&Running)) -> Vec<Span> {
    let mut server = plan.start_telling(model, collector.telemetry(sampling));
    ask(&server);
    server.say_stop();
    server.join().unwrap();
    collector.spans()
}

fn post_under(server: &Running, traceparent: &str) {
    let headers = [("content-type", "application/json"), ("traceparent", traceparent), ("tracestate", "vendor=opaque")];
    server.send("POST", "/v1/emotions", &headers, json!({"input": CANARY}).to_string().as_bytes()).expect(200);
}

#[test]
fn a_request_is_told_with_its_stages_under_its_parent() {
    for collector in [Collector::grpc(), Collector::http()] {
        let spans = told(&collector, Plan::default(), ALL, |server| post_under(server, &format!("00-{TRACE}-{SPAN}-01")));
        let mut names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["POST /v1/emotions", "batch", "infer", "queue", "tokenize"]);
        let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
        let request = named("POST /v1/emotions");
        assert_eq!((hex(&request.trace_id), hex(&request.parent_span_id)), (TRACE.to_owned(), SPAN.to_owned()));
        assert_eq!((request.kind(), request.trace_state.as_str()), (SpanKind::Server, "vendor=opaque"));
        let id = attribute(request, "limbic.request_id").unwrap();
        let expected = [
            ("http.request.method", "POST"),
            ("http.response.status_code", "200"),
            ("http.route", "/v1/emotions"),
            ("limbic.request_id", &id),
            ("network.protocol.version", "1.1"),
            ("url.scheme", "http"),
        ];
        assert_eq!(words(&request.attributes), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let mut clock = request.start_time_unix_nano;
        for name in ["tokenize", "queue", "infer"] {
            let stage = named(name);
            assert_eq!((&stage.trace_id, &stage.parent_span_id), (&request.trace_id, &request.span_id), "{name}");
            assert!(stage.start_time_unix_nano >= clock && stage.end_time_unix_nano >= stage.start_time_unix_nano, "{name}: {spans:#?}");
            clock = stage.end_time_unix_nano;
        }
        assert!(clock <= request.end_time_unix_nano, "{spans:#?}");
        assert_eq!(attribute(named("infer"), "limbic.model.version").as_deref(), Some("7"));
        let batch = named("batch");
        assert!(batch.trace_id != request.trace_id && batch.parent_span_id.is_empty());
        assert_eq!(batch.links.len(), 1);
        assert_eq!((&batch.links[0].trace_id, &batch.links[0].span_id), (&request.trace_id, &request.span_id));
        let resource = collector.resource();
        let of = |key: &str| resource.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        assert_eq!((of("service.name"), of("service.version")), (Some("limbic"), Some(env!("CARGO_PKG_VERSION"))));
        assert_eq!(of("service.instance.id").map(str::len), Some(36));
        assert!(!collector.written().contains(CANARY));
    }
}

#[test]
fn every_classifying_route_is_told_by_its_template_and_without_its_texts() {
    let collector = Collector::grpc();
    let spans = told(&collector, Plan::default(), ALL, |server| {
        for (_, path, body) in asking(CANARY) {
            server.post(path, &body).expect(200);
            server.post(&format!("{path}?q={CANARY}"), &json!({CANARY: CANARY}));
        }
        server.post("/v1/emotions", &json!({"input": CANARY, "explain": true, "granularity": "sentence"})).expect(200);
        server.send("POST", "/v1/emotions/bulk", &[], json!({"id": CANARY, "input": CANARY}).to_string().as_bytes()).expect(200);
        server.post(&format!("/v2/models/{CANARY}/infer"), &json!({})).expect(404);
        server.get(&format!("/{CANARY}")).expect(404);
        server.send(CANARY, "/predict", &[], b"").expect(405);
        for probe in ["/health", "/health/live", "/health/ready", "/metrics", "/v2/health/live", "/v2/health/ready"] {
            server.get(probe).expect(200);
        }
    });
    for (template, ..) in asking("") {
        let name = format!("POST {template}");
        let requests: Vec<&Span> = spans.iter().filter(|span| span.name == name).collect();
        let answered =
            |status: &str| requests.iter().filter(|span| attribute(span, "http.response.status_code").as_deref() == Some(status)).count();
        assert!(answered("200") >= 1 && requests.len() >= 2, "{name}: {requests:#?}");
        let children = |request: &Span| spans.iter().filter(|span| span.parent_span_id == request.span_id).count();
        assert!(requests.iter().any(|request| children(request) == 3), "{name} has no stages");
    }
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    assert_eq!(named("POST /v1/emotions/bulk").len(), 1);
    let [nowhere] = named("GET")[..] else { panic!("an unknown path is told by its method alone: {spans:#?}") };
    assert_eq!((attribute(nowhere, "http.route"), attribute(nowhere, "http.response.status_code").as_deref()), (None, Some("404")));
    let [other] = named("HTTP /predict")[..] else { panic!("an unknown method is told as HTTP: {spans:#?}") };
    assert_eq!(attribute(other, "http.request.method").as_deref(), Some("_OTHER"));
    assert!(!spans.iter().any(|span| span.name.contains("health") || span.name.contains("metrics")), "{spans:#?}");
    assert!(!collector.written().contains(CANARY));
}

#[test]
fn whose_trace_it_is_follows_from_the_header() {
    let good = format!("00-{TRACE}-{SPAN}-01");
    // What is sent, and whether it is taken for the parent.
    let cases = [
        (good.clone(), true),
        (format!("cc-{TRACE}-{SPAN}-01-later"), true),
        (format!("ff-{TRACE}-{SPAN}-01"), false),
        (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), false),
        (format!("00-{}-{SPAN}-01", "0".repeat(32)), false),
        (format!("00-{TRACE}-{}-01", "0".repeat(16)), false),
        (format!("00-{}-{SPAN}-01", &TRACE[..31]), false),
        (format!("00-{TRACE}-{SPAN}-01-later"), false),
        ("nonsense".to_owned(), false),
    ];
    let collector = Collector::grpc();
    let spans = told(&collector, Plan::default(), ALL, |server| {
        for (at, (header, _)) in cases.iter().enumerate() {
            let id = format!("case-{at}");
            server.send("GET", "/v1/models", &[("traceparent", header), ("x-request-id", &id)], b"").expect(200);
        }
        // Two parents are none.
        let mut twice = String::from("GET /v1/models HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-request-id: twice\r\n");
        twice.push_str(&format!("traceparent: {good}\r\ntraceparent: {good}\r\n\r\n"));
        assert_eq!(server.raw(twice.as_bytes()).status, 200);
    });
    let parent = |id: &str| {
        let span = spans.iter().find(|span| attribute(span, "limbic.request_id").as_deref() == Some(id)).unwrap();
        (hex(&span.trace_id), hex(&span.parent_span_id))
    };
    for (at, (header, taken)) in cases.iter().enumerate() {
        let (trace, span) = parent(&format!("case-{at}"));
        assert_eq!((trace == TRACE, span == SPAN), (*taken, *taken), "{header}: in trace {trace} under {span:?}");
        assert!(*taken || span.is_empty(), "{header}");
    }
    assert_ne!(parent("twice").0, TRACE);
    assert_eq!(spans.len(), cases.len() + 1);
}

#[test]
fn who_is_told_of_is_the_parents_choice_and_then_the_samplers() {
    let (yes, no) = (format!("00-{TRACE}-{SPAN}-01"), format!("00-{TRACE}-{SPAN}-00"));
    for (parent_based, root, expected) in [
        (true, Root::On, [true, false, true]),
        (true, Root::Off, [true, false, false]),
        (true, Root::Ratio(0.0), [true, false, false]),
        (false, Root::On, [true, true, true]),
        (false, Root::Off, [false, false, false]),
    ] {
        let mut found = Vec::new();
        for header in [yes.as_str(), no.as_str(), "none"] {
            let collector = Collector::grpc();
            let spans = told(&collector, Plan::default(), Sampling { parent_based, root }, |server| post_under(server, header));
            // A request is told whole, its batch with it, or not at all.
            assert!(matches!(spans.len(), 0 | 5), "{parent_based} {root:?} {header}: {spans:#?}");
            found.push(!spans.is_empty());
        }
        assert_eq!(found, expected, "parent based {parent_based}, root {root:?}: sampled parent, unsampled parent, none");
    }
}

#[test]
fn a_batch_is_linked_to_every_request_in_it() {
    let (collector, gate) = (Collector::grpc(), Arc::new(Gate::default()));
    let plan = Plan { gate: Arc::clone(&gate), ..Plan::default() };
    let spans = told(&collector, plan, ALL, |server| {
        gate.close();
        let address = server.address;
        let ask = move |text: &'static str| {
            std::thread::spawn(move || {
                ureq::post(format!("http://{address}/v1/emotions")).send_json(json!({"input": [text, text]})).unwrap()
            })
        };
        let first = ask("one");
        gate.wait_for_batches(1);
        let second = ask("two");
        let waiting = server.queues_beyond(0.0);
        let third = ask("three");
        server.queues_beyond(waiting);
        gate.open();
        [first, second, third].into_iter().for_each(|asked| drop(asked.join().unwrap()));
    });
    let mut links: Vec<usize> = spans.iter().filter(|span| span.name == "batch").map(|span| span.links.len()).collect();
    links.sort_unstable();
    assert_eq!(links, [1, 2], "each request once, however many of its texts: {spans:#?}");
}

#[test]
fn only_a_failure_of_the_servers_own_is_an_error() {
    let (collector, gate) = (Collector::grpc(), Arc::new(Gate::default()));
    let plan = Plan { gate: Arc::clone(&gate), ..Plan::default() };
    let spans = told(&collector, plan, ALL, |server| {
        server.post("/v1/emotions", &json!({"input": 1})).expect(422);
        gate.refuse_next(1);
        server.classify("refused").expect(500);
        gate.close();
        let headers = [("content-type", "application/json"), ("x-request-timeout-ms", "30")];
        server.send("POST", "/v1/emotions", &headers, br#"{"input":"late"}"#).expect(504);
        gate.open();
    });
    let of = |status: &str| {
        let span = spans.iter().find(|span| attribute(span, "http.response.status_code").as_deref() == Some(status)).unwrap();
        (span.status.as_ref().map_or(StatusCode::Unset, |status| status.code()), attribute(span, "error.type"))
    };
    assert_eq!(of("422"), (StatusCode::Unset, None));
    assert_eq!(of("500"), (StatusCode::Error, Some("internal".to_owned())));
    assert_eq!(of("504"), (StatusCode::Error, Some("deadline_exceeded".to_owned())));
}

/// A server that tells whoever listens there answers as ever, and stops in time.
fn is_not_held_up(protocol: Protocol, collector: SocketAddr) {
    let mut server = Plan::default().start_telling(model, telling(protocol, collector, ALL));
    // More spans than the exporter's queue holds.
    let start = Instant::now();
    for _ in 0..600 {
        server.classify("so happy").expect(200);
    }
    let asked = start.elapsed();
    assert!(asked < PATIENCE, "600 requests took {asked:?}");
    let start = Instant::now();
    server.say_stop();
    server.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(6), "the stop took {:?}", start.elapsed());
}

#[test]
fn a_collector_that_is_gone_holds_nothing_up() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    is_not_held_up(Protocol::Grpc, gone);
    is_not_held_up(Protocol::HttpProtobuf, gone);
}

#[test]
fn a_collector_that_hangs_holds_nothing_up() {
    // Connections are made by the system, and nobody ever reads from them.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    is_not_held_up(Protocol::Grpc, deaf.local_addr().unwrap());
    is_not_held_up(Protocol::HttpProtobuf, deaf.local_addr().unwrap());
}
