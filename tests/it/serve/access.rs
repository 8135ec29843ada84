//! Keys: who gets in where, in whose words the others are refused, and how fast a key may go.

use limbic::serve::access::KeyHash;
use serde_json::{Value, json};

use super::harness::{Plan, Reply, Running};

const LAB: &str = "limbic_lab";
const SECOND: &str = "limbic_second";
const OPERATOR: &str = "limbic_operator";
const JSON: (&str, &str) = ("content-type", "application/json");

fn key(name: &str, key: &str, more: &str) -> String {
    format!("{name}:{}{more}", KeyHash::of(key.as_bytes()))
}

fn guarded(more: &str) -> Plan {
    Plan::default().keys([key("lab", LAB, more), key("second", SECOND, ""), key("operator", OPERATOR, ":admin")])
}

/// A request with a key, to everybody's port.
fn ask(server: &Running, key: &str, (method, path): (&str, &str), body: &Value) -> Reply {
    let body = if method == "POST" { body.to_string() } else { String::new() };
    server.send(method, path, &[JSON, ("x-api-key", key)], body.as_bytes())
}

#[test]
fn a_key_is_asked_for_and_either_header_may_hold_it() {
    let server = guarded("").start();
    let body = json!({"input": "a"}).to_string();
    let status = |headers: &[(&str, &str)]| {
        let headers = [&[JSON], headers].concat();
        server.send("POST", "/v1/emotions", &headers, body.as_bytes()).status
    };
    let bearer = |scheme: &str, key: &str| status(&[("authorization", &format!("{scheme} {key}"))]);
    assert_eq!(status(&[]), 401);
    assert_eq!([LAB, SECOND, OPERATOR].map(|key| bearer("Bearer", key)), [200, 200, 200]);
    assert_eq!((bearer("bearer", LAB), status(&[("x-api-key", LAB)])), (200, 200));
    assert_eq!(
        (bearer("Bearer", "revoked"), bearer("Basic", LAB), bearer("Bearer", ""), status(&[("x-api-key", "")])),
        (401, 401, 401, 401)
    );
    assert_eq!(status(&[("authorization", "Bearer of-a-proxy"), ("x-api-key", LAB)]), 200);
    assert_eq!(status(&[("x-api-key", &"k".repeat(4096))]), 401);
    let long = format!("GET /v1/models HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\n\r\n", "k".repeat(1 << 20));
    assert_eq!(server.raw(long.as_bytes()).status, 431);
    ask(&server, LAB, ("GET", "/v1/models"), &json!(null)).expect(200);
}

#[test]
fn what_tells_nothing_is_open() {
    let server = guarded("").start();
    for path in ["/health", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready", "/metrics", "/", "/page/main.js"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    for path in
        ["/v1/models", "/v1/models/scripted", "/v1/label_sets", "/info", "/v2", "/v2/models/scripted", "/v2/models/scripted/ready", "/x"]
    {
        assert_eq!(server.get(path).status, 401, "{path}");
        assert_ne!(ask(&server, LAB, ("GET", path), &json!(null)).status, 401, "{path}");
    }
    assert_eq!(server.send("DELETE", "/health", &[], b"").status, 401);
    let mut plan = guarded("");
    plan.safety.access.guards_metrics = true;
    let server = plan.start();
    server.get("/metrics").expect(401);
    ask(&server, LAB, ("GET", "/metrics"), &json!(null)).expect(200);
}

#[test]
fn a_refusal_speaks_as_its_route_does() {
    let server = guarded("").start();
    let body = json!({"input": "a", "inputs": "a"});
    let refused = |path: &str| {
        let reply = server.post(path, &body).expect(401);
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{path}");
        reply.json()
    };
    let mut seen = 0;
    for path in ["/v1/emotions", "/v1/emotions/bulk", "/nowhere"] {
        let problem = refused(path);
        assert_eq!((&problem["code"], &problem["status"], &problem["retryable"]), (&json!("unauthorized"), &json!(401), &json!(false)));
        seen += 1;
    }
    for path in ["/", "/v2/models/scripted/infer", "/v2/models/scripted/versions/7/infer"] {
        assert!(refused(path)["error"].as_str().unwrap().starts_with("no key"), "{path}");
        seen += 1;
    }
    assert_eq!(refused("/predict")["error_type"], "Validation");
    for path in ["/classify", "/v1/classify", "/v1/moderations"] {
        let error = &refused(path)["error"];
        assert_eq!((&error["type"], &error["code"]), (&json!("authentication_error"), &json!("unauthorized")), "{path}");
        seen += 1;
    }
    assert_eq!(seen, 9);
    assert_eq!(server.metric("limbic_rejected_total{reason=\"unauthorized\"}"), 10.0);
}

#[test]
fn the_admin_port_asks_for_an_admin_key() {
    let server = guarded("").start_with_admin();
    let admin = server.admin.unwrap();
    let get = |path: &str, headers: &[(&str, &str)]| server.send_to(admin, ("GET", path), headers, b"");
    let reply = get("/admin/models", &[]).expect(401);
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    let reply = get("/admin/models", &[("x-api-key", LAB)]).expect(403);
    assert_eq!((reply.json()["code"].as_str(), reply.header("www-authenticate")), (Some("forbidden"), None));
    get("/admin/models", &[("x-api-key", OPERATOR)]).expect(200);
    get("/nowhere", &[("x-api-key", LAB)]).expect(403);
    get("/nowhere", &[("x-api-key", OPERATOR)]).expect(404);
    get("/metrics", &[]).expect(200);
    let swap = json!({"model": "scripted", "version": "7"}).to_string();
    let send = |headers: &[(&str, &str)]| server.send_to(admin, ("POST", "/admin/swap"), headers, swap.as_bytes()).status;
    assert_eq!((send(&[JSON, ("x-api-key", LAB)]), send(&[JSON, ("authorization", &format!("Bearer {OPERATOR}"))])), (403, 200));
}

/// A browser sends some requests for any page it shows, without asking, and to addresses that only the
/// machine it runs on can reach.
#[test]
fn no_page_in_a_browser_reaches_the_admin_port() {
    let server = Plan::default().start_with_admin();
    let send = |method: &str, headers: &[(&str, &str)]| {
        let path = if method == "GET" { "/admin/models" } else { "/admin/unload" };
        server.send_to(server.admin.unwrap(), (method, path), headers, br#"{"model":"scripted"}"#)
    };
    for headers in
        [[("origin", "https://example.org")], [("origin", "null")], [("sec-fetch-site", "cross-site")], [("sec-fetch-site", "same-origin")]]
    {
        assert_eq!(send("POST", &headers).expect(403).json()["code"], "forbidden");
        send("GET", &headers).expect(403);
    }
    send("GET", &[]).expect(200);
    send("GET", &[("sec-fetch-site", "none")]).expect(200);
    server.classify("a").expect(200);
}

#[test]
fn a_rate_of_texts_is_refused_in_every_shape_and_says_when() {
    let server = guarded(":texts=0.01:burst=5").start();
    let texts = |count: usize| json!({"input": vec!["a"; count]});
    let reply = ask(&server, LAB, ("POST", "/v1/emotions"), &texts(3)).expect(200);
    assert_eq!(reply.header("ratelimit-policy"), Some("\"texts\";q=5;w=500"));
    assert_eq!(reply.header("ratelimit"), Some("\"texts\";r=2;t=300"));
    let mut seen = 0;
    for (path, body) in [
        ("/v1/emotions", texts(3)),
        ("/classify", texts(3)),
        ("/v1/classify", texts(3)),
        ("/v1/moderations", texts(3)),
        ("/", json!({"inputs": ["a", "b", "c"]})),
        ("/predict", json!({"inputs": [["a"], ["b"], ["c"]]})),
        ("/v2/models/scripted/infer", json!({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [3], "data": ["a", "b", "c"]}]})),
    ] {
        let reply = ask(&server, LAB, ("POST", path), &body);
        assert_eq!(reply.status, 429, "{path}: {reply:?}");
        let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((90..=100).contains(&wait), "{path}: {wait}");
        assert_eq!(reply.header("ratelimit"), Some(&*format!("\"texts\";r=0;t={wait}")), "{path}");
        let body = reply.json();
        let code = body["code"].as_str().or(body["error"]["code"].as_str()).or(body["error_type"].as_str());
        let error = body["error"].as_str().unwrap_or_default();
        assert!(matches!(code, Some("rate_limited" | "Overloaded")) || error.starts_with("this key may bring 5 texts"), "{path}: {body}");
        seen += 1;
    }
    assert_eq!(seen, 7);
    // What could never pass is no matter of waiting, and others are not held up.
    let reply = ask(&server, LAB, ("POST", "/v1/emotions"), &texts(6)).expect(413);
    assert_eq!((reply.json()["code"].as_str(), reply.json()["errors"][0]["limit"].as_u64()), (Some("too_many_texts"), Some(5)));
    ask(&server, LAB, ("GET", "/v1/models"), &json!(null)).expect(200);
    assert_eq!(ask(&server, SECOND, ("POST", "/v1/emotions"), &texts(6)).expect(200).header("ratelimit"), None);
    assert_eq!(server.metric("limbic_rejected_total{reason=\"rate_limited\"}"), 7.0);
    assert_eq!(server.metric("limbic_key_texts_total{key=\"lab\"}"), 3.0);
    assert_eq!(server.metric("limbic_key_texts_total{key=\"second\"}"), 6.0);
    assert_eq!(server.metric("limbic_key_requests_total{key=\"lab\"}"), 10.0);
}

#[test]
fn a_rate_of_requests_counts_each() {
    let server = guarded(":requests=0.01:burst=2").start();
    let get = || ask(&server, LAB, ("GET", "/v1/models"), &json!(null));
    assert_eq!(get().expect(200).header("ratelimit-policy"), Some("\"requests\";q=2;w=200"));
    assert_eq!(get().expect(200).header("ratelimit"), Some("\"requests\";r=0;t=200"));
    assert_eq!(get().expect(429).json()["code"], "rate_limited");
    // Health is nobody's.
    ask(&server, LAB, ("GET", "/health/ready"), &json!(null)).expect(200);
    ask(&server, SECOND, ("GET", "/v1/models"), &json!(null)).expect(200);
}

#[test]
fn the_bulk_route_waits_for_its_keys_rate() {
    let server = guarded(":texts=20:burst=4").start();
    let lines: String = (0..12).map(|at| format!("{{\"input\": \"text {at}\"}}\n")).collect();
    let headers = [("content-type", "application/x-ndjson"), ("x-api-key", LAB)];
    let start = std::time::Instant::now();
    let reply = server.send("POST", "/v1/emotions/bulk", &headers, lines.as_bytes()).expect(200);
    let answers: Vec<Value> = reply.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((answers.len(), answers.iter().filter(|answer| answer["answer"]["results"].is_array()).count()), (12, 12), "{}", reply.body);
    // Eight texts beyond the burst, at twenty a second.
    assert!(start.elapsed().as_millis() >= 390, "{:?}", start.elapsed());
    assert_eq!(server.metric("limbic_key_texts_total{key=\"lab\"}"), 12.0);
}
