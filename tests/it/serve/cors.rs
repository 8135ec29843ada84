//! Web pages: none may read an answer unless its origin is listed; then refusals can be read too. And
//! the headers that every answer carries.

use serde_json::json;

use super::harness::{Plan, Reply, Running};

const LISTED: &str = "https://app.example.org";

fn open_to(origins: &[&str]) -> Plan {
    let mut plan = Plan::default();
    plan.safety.origins = origins.iter().map(|origin| origin.parse().unwrap()).collect();
    plan
}

fn from(server: &Running, origin: &str, (method, path): (&str, &str), more: &[(&str, &str)]) -> Reply {
    let headers = [&[("origin", origin), ("content-type", "application/json")], more].concat();
    let body = if method == "POST" { json!({"input": "a"}).to_string() } else { String::new() };
    server.send(method, path, &headers, body.as_bytes())
}

const PREFLIGHT: &[(&str, &str)] =
    &[("access-control-request-method", "POST"), ("access-control-request-headers", "x-api-key, content-type")];

#[test]
fn no_page_may_read_an_answer() {
    let server = Plan::default().start();
    for (method, path, more, status) in
        [("POST", "/v1/emotions", &[][..], 200), ("OPTIONS", "/v1/emotions", PREFLIGHT, 405), ("GET", "/nowhere", &[], 404)]
    {
        let reply = from(&server, LISTED, (method, path), more).expect(status);
        let allowed = reply.headers.iter().filter(|(name, _)| name.starts_with("access-control")).count();
        assert_eq!((allowed, reply.header("vary")), (0, None), "{reply:?}");
    }
}

#[test]
fn a_listed_origin_may() {
    let server = open_to(&["http://localhost:3000", LISTED]).start();
    let preflight = from(&server, LISTED, ("OPTIONS", "/v1/emotions"), PREFLIGHT).expect(204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some(LISTED));
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, HEAD, POST"));
    let sent = preflight.header("access-control-allow-headers").unwrap();
    assert!(["authorization", "content-type", "x-api-key", "x-request-id"].iter().all(|name| sent.contains(name)), "{sent}");
    assert_eq!((preflight.header("access-control-max-age"), preflight.header("access-control-allow-credentials")), (Some("7200"), None));
    for (method, path, status) in [("POST", "/v1/emotions", 200), ("GET", "/nowhere", 404), ("PUT", "/predict", 405)] {
        let reply = from(&server, LISTED, (method, path), &[]).expect(status);
        assert_eq!((reply.header("access-control-allow-origin"), reply.header("vary")), (Some(LISTED), Some("origin")), "{reply:?}");
        assert!(reply.header("access-control-expose-headers").unwrap().contains("retry-after"));
    }
    for other in ["https://example.org", "http://app.example.org", "https://app.example.org:8443", "https://APP.example.org", "null"] {
        assert_eq!(from(&server, other, ("POST", "/v1/emotions"), &[]).expect(200).header("access-control-allow-origin"), None, "{other}");
        from(&server, other, ("OPTIONS", "/v1/emotions"), PREFLIGHT).expect(405);
    }
    // An OPTIONS that asks nothing is what it was.
    from(&server, LISTED, ("OPTIONS", "/v1/emotions"), &[]).expect(405);
    let all = open_to(&["*"]).start();
    assert_eq!(from(&all, "null", ("POST", "/v1/emotions"), &[]).expect(200).header("access-control-allow-origin"), Some("*"));
}

#[test]
fn a_page_is_asked_for_no_key_before_it_may_send_one() {
    let hash = limbic::serve::access::KeyHash::of(b"limbic_lab");
    let server = open_to(&[LISTED]).keys([format!("lab:{hash}")]).start();
    from(&server, LISTED, ("OPTIONS", "/v1/emotions"), PREFLIGHT).expect(204);
    from(&server, "https://example.org", ("OPTIONS", "/v1/emotions"), PREFLIGHT).expect(401);
    let refused = from(&server, LISTED, ("POST", "/v1/emotions"), &[]).expect(401);
    assert_eq!(refused.header("access-control-allow-origin"), Some(LISTED));
    from(&server, LISTED, ("POST", "/v1/emotions"), &[("x-api-key", "limbic_lab")]).expect(200);
}

#[test]
fn every_answer_keeps_to_itself_and_says_not_what_made_it() {
    let server = open_to(&[LISTED]).start_with_admin();
    let admin = server.get_admin("/admin/models").expect(200);
    for reply in
        [server.get("/health/live"), server.get("/nowhere"), server.classify("a"), server.get("/"), server.get_admin("/metrics"), admin]
    {
        let header = |name: &str| reply.header(name);
        assert_eq!(header("x-content-type-options"), Some("nosniff"));
        assert_eq!((header("x-frame-options"), header("referrer-policy")), (Some("DENY"), Some("no-referrer")));
        assert_eq!((header("cache-control"), header("cross-origin-resource-policy")), (Some("no-store"), Some("same-origin")));
        let policy = header("content-security-policy").unwrap();
        assert_eq!(policy, "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
        assert_eq!((header("server"), header("x-powered-by")), (None, None));
    }
    // A page may load what is this server's own, and nothing that stands in it.
    let page = server.send("GET", "/", &[("accept", "text/html")], b"").expect(200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'self'; ") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!((page.header("x-frame-options"), page.header("cross-origin-resource-policy")), (Some("DENY"), Some("same-origin")));
}
