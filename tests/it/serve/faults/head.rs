//! Headers, members and models that are not known, methods and paths that lead nowhere.

use serde_json::{Value, json};

use super::{JSON, ROUTES, Shape, speaks};
use crate::serve::harness::Plan;

#[test]
fn what_a_request_calls_itself_is_believed() {
    let server = Plan::default().start();
    let mut seen = 0;
    for route in &ROUTES {
        let body = route.raw(b"a");
        let send = |headers: &[(&str, &str)]| server.send("POST", route.path, headers, &body);
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "json", "é"]
        {
            let reply = send(&[("content-type", kind)]);
            match route.lenient {
                true => assert_eq!(reply.status, 200, "{kind}: {reply:?}"),
                false => route.check(&reply, (415, "unsupported_media_type"), kind),
            }
            seen += 1;
        }
        for encoding in ["gzip", "br", "deflate", "zstd", "gzip, gzip", "identity, gzip", "?"] {
            let reply = send(&[JSON[0], ("content-encoding", encoding)]);
            route.check(&reply, (415, "unsupported_media_type"), encoding);
            seen += 1;
        }
        for (header, value) in [
            ("x-request-timeout-ms", "0"),
            ("x-request-timeout-ms", "-1"),
            ("x-request-timeout-ms", "+5"),
            ("x-request-timeout-ms", "1.5"),
            ("x-request-timeout-ms", "soon"),
            ("x-request-timeout-ms", ""),
            ("x-request-priority", "urgent"),
            ("x-request-priority", "HIGH"),
            ("x-request-priority", ""),
        ] {
            route.check(&send(&[JSON[0], (header, value)]), (route.wrong, "validation_failed"), &format!("{header}: {value}"));
            seen += 1;
        }
        send(&[JSON[0], ("content-encoding", "identity"), ("x-request-timeout-ms", "99999999999999999999999")]).expect(200);
        send(&[]).expect(200);
    }
    assert_eq!(seen, 22 * ROUTES.len());
}

#[test]
fn a_member_or_a_model_that_is_not_here_is_refused() {
    let server = Plan::default().start();
    let mut seen = 0;
    for route in &ROUTES {
        let with = |member: &str, value: Value| {
            let mut body = route.body(&json!("a"));
            body[member] = value;
            server.post(route.path, &body)
        };
        for odd in ["Input", "texts", "", "a/b~c", "\u{0}", "é", &"a".repeat(100_000)] {
            let reply = with(odd, json!(1));
            match route.lenient {
                true => assert_eq!(reply.status, 200, "{reply:?}"),
                false => route.check(&reply, (route.wrong, "validation_failed"), "an unknown member"),
            }
            seen += 1;
        }
        for model in ["other", "", "../scripted", "%2e%2e%2f", "/etc/passwd", "scripted@0", "a\u{0}b", &"a".repeat(256)] {
            let reply = with("model", json!(model));
            match (route.names, route.lenient) {
                (true, _) => route.check(&reply, (404, "model_not_found"), model),
                (false, true) => assert_eq!(reply.status, 200, "{reply:?}"),
                (false, false) => route.check(&reply, (route.wrong, "validation_failed"), model),
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 15 * ROUTES.len());
}

#[test]
fn any_other_method_is_405_with_what_is_allowed() {
    let server = Plan::default().start();
    let mut seen = 0;
    for route in &ROUTES {
        let (root, allow) = (route.path == "/", if route.path == "/" { "GET, HEAD, POST" } else { "POST" });
        for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "BREW"] {
            if root && ["GET", "HEAD"].contains(&method) {
                continue;
            }
            let reply = server.send(method, route.path, JSON, &route.raw(b"a"));
            assert_eq!((reply.status, reply.header("allow")), (405, Some(allow)), "{method} {}: {reply:?}", route.path);
            match method {
                "HEAD" => assert_eq!(reply.body, ""),
                _ => route.check(&reply, (405, "method_not_allowed"), method),
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 9 * ROUTES.len() - 2);
}

#[test]
fn a_path_that_leads_nowhere_is_404_as_its_neighbours_say_it() {
    let server = Plan::default().start();
    let (native, inference) = (speaks("/", Shape::Problem, 422, 422), speaks("/v2", Shape::Plain, 400, 400));
    let paths = [
        ("/nowhere", &native),
        ("/v1", &native),
        ("/v1/", &native),
        ("/v1/emotions/", &native),
        ("/v1/emotions/bulk/x", &native),
        ("/V1/EMOTIONS", &native),
        ("//v1/emotions", &native),
        ("/v1/../v1/emotions", &native),
        ("/%2e%2e/%2e%2e/etc/passwd", &native),
        ("/v1/models/a/b", &native),
        ("/predict/x", &native),
        ("/docs/nothing.js", &native),
        ("/docs/../Cargo.toml", &native),
        ("/v2/", &inference),
        ("/v2/models", &inference),
        ("/v2/models/", &inference),
        ("/v2/models/scripted/infer/x", &inference),
        ("/v2/models/scripted/versions/7/x", &inference),
        ("/v2/models/scripted/unload", &inference),
    ];
    for (path, speaks) in paths {
        for method in ["GET", "POST", "DELETE"] {
            let (status, code) =
                if path.starts_with("/docs/") && method != "GET" { (405, "method_not_allowed") } else { (404, "not_found") };
            speaks.check(&server.send(method, path, &[], b""), (status, code), &format!("{method} {path}"));
        }
    }
    let names = ["other", "%2e%2e", "..%2fscripted", "scripted%00", "%00", "%ff", "%", "a%20b", &"a".repeat(256), &"%41".repeat(2000)];
    for name in names {
        for (path, speaks) in
            [(format!("/v2/models/{name}"), &inference), (format!("/v2/models/scripted/versions/{name}/ready"), &inference)]
        {
            speaks.check(&server.get(&path), (404, "model_not_found"), &path);
        }
        native.check(&server.get(&format!("/v1/models/{name}")), (404, "model_not_found"), name);
        let infer = server.post(&format!("/v2/models/{name}/infer"), &ROUTES[6].body(&json!("a")));
        inference.check(&infer, (404, "model_not_found"), name);
    }
}
