//! The page at `/`: who gets it, how its files are kept by a browser, and that it can live under a
//! strict content security policy. What it does in a browser is tested by `tests/page`.

use std::collections::BTreeSet;
use std::fs;

use serde_json::json;

use super::harness::{Plan, Reply, Running, until};
use crate::support::repo_root;

/// What a browser sends for an address somebody typed.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";

fn ask(server: &Running, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    server.send(method, path, headers, b"")
}

#[test]
fn html_is_for_those_who_name_it() {
    let server = Plan::default().start();
    let cases = [
        (BROWSER, true),
        ("text/html", true),
        ("TEXT/HTML;level=1", true),
        ("text/html;q=0.9, */*;q=0.1", true),
        ("application/json;q=0.5, text/html", true),
        ("*/*", false),
        ("text/*", false),
        ("application/json", false),
        ("application/json, text/html", false),
        ("application/json, text/html;q=0.5", false),
        ("text/html;q=0", false),
        ("not a type", false),
        ("", false),
    ];
    for (accept, html) in cases {
        for method in ["GET", "HEAD"] {
            let reply = ask(&server, method, "/", &[("accept", accept)]).expect(200);
            let kind = if html { "text/html; charset=utf-8" } else { "application/json" };
            assert_eq!(reply.header("content-type"), Some(kind), "{method} {accept}");
            assert!(reply.header("vary").is_some_and(|vary| vary.eq_ignore_ascii_case("accept")), "{reply:?}");
            assert_eq!(reply.body.is_empty(), method == "HEAD", "{method} {accept}");
        }
    }
    assert_eq!(server.get("/").expect(200).json()["model"], "scripted");
    let refused = ask(&server, "PUT", "/", &[("accept", BROWSER)]).expect(405);
    assert_eq!(refused.header("allow"), Some("GET, HEAD, POST"));
}

/// Latency is of those who bring texts: a browser that opens the page is not one.
#[test]
fn looking_at_it_is_no_classification() {
    let server = Plan::default().start();
    let measured = || server.metric("limbic_request_duration_seconds_count");
    for (method, accept) in [("GET", BROWSER), ("HEAD", BROWSER), ("GET", "*/*")] {
        ask(&server, method, "/", &[("accept", accept)]).expect(200);
    }
    server.get("/page/main.js").expect(200);
    assert_eq!(measured(), 0.0);
    server.post("/", &json!({"inputs": "so happy"})).expect(200);
    until("the answer is counted", || measured() == 1.0);
    until("all are counted", || server.metric("limbic_requests_total{code=\"200\",route=\"/\"}") == 4.0);
}

/// Everything that the page asks for, found by following what it names, with its content.
fn crawl(server: &Running) -> Vec<(String, Reply)> {
    let mut found = vec![("".to_owned(), ask(server, "GET", "/", &[("accept", BROWSER)]).expect(200))];
    let mut seen = BTreeSet::new();
    let mut at = 0;
    while at < found.len() {
        for name in named(&found[at].1.body) {
            if seen.insert(name.clone()) {
                let reply = server.get(&format!("/page/{name}")).expect(200);
                found.push((name, reply));
            }
        }
        at += 1;
    }
    found
}

/// Files that a text names: attributes of the page, imports of a module.
fn named(text: &str) -> Vec<String> {
    let marks = ["src=\"page/", "href=\"page/", "from \"./"];
    let after = |mark: &'static str| text.split(mark).skip(1).filter_map(|rest| rest.split_once('"')).map(|(name, _)| name.to_owned());
    marks.into_iter().flat_map(after).collect()
}

#[test]
fn every_file_is_served_and_kept_until_it_changes() {
    let server = Plan::default().start();
    let files = crawl(&server);
    let served: BTreeSet<String> = files.iter().skip(1).map(|(name, _)| name.clone()).collect();
    let folder = fs::read_dir(repo_root().join("src/serve/page")).unwrap();
    let written = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let written: BTreeSet<String> = written.filter(|name| name != "mod.rs" && name != "index.html").collect();
    assert_eq!(served, written);
    assert!(served.len() >= 20, "{served:?}");
    let mut tags = BTreeSet::new();
    for (name, reply) in &files {
        let path = if name.is_empty() { "/".to_owned() } else { format!("/page/{name}") };
        let kind = match name.rsplit_once('.') {
            None => "text/html; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            Some(_) => "text/javascript; charset=utf-8",
        };
        assert_eq!(reply.header("content-type"), Some(kind), "{path}");
        check_cached(&server, &path, reply);
        tags.insert(reply.header("etag").unwrap().to_owned());
    }
    assert_eq!(tags.len(), files.len(), "a tag for each content");
}

/// A browser that has the file is told so, and one that has another gets it.
fn check_cached(server: &Running, path: &str, first: &Reply) {
    let tag = first.header("etag").expect("a tag");
    assert_eq!(first.header("cache-control"), Some("no-cache"), "{path}");
    assert_eq!(first.header("x-content-type-options"), Some("nosniff"), "{path}");
    let weak = format!("W/{tag}");
    let among = format!("\"other\", {tag}");
    for (known, status) in [(tag, 304), (weak.as_str(), 304), (among.as_str(), 304), ("*", 304), ("\"other\"", 200), ("", 200)] {
        let reply = ask(server, "GET", path, &[("accept", BROWSER), ("if-none-match", known)]).expect(status);
        assert_eq!(reply.header("etag"), Some(tag), "{path}");
        assert_eq!(reply.body.is_empty(), status == 304, "{path}");
    }
}

#[test]
fn nothing_on_it_needs_a_looser_policy() {
    let server = Plan::default().start();
    let files = crawl(&server);
    let policy = files[0].1.header("content-security-policy").expect("a policy");
    for loose in ["unsafe-inline", "unsafe-eval", "http:", "https:", "*", "blob:"] {
        assert!(!policy.contains(loose), "{policy}");
    }
    let complaints: Vec<String> = files.iter().flat_map(|(name, reply)| breaches(name, &reply.body)).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    // The rule sees what it should.
    let bad = "<p style=\"a\" onclick='b'><script>c</script><style></style><a href=\"https://example.org\">";
    assert_eq!(breaches("bad.html", bad).len(), 5);
    assert_eq!(breaches("bad.js", "a.innerHTML = b; eval(c); d.setAttribute(\"style\", e)").len(), 3);
}

/// What a strict policy would refuse, or what could reach another origin.
fn breaches(name: &str, text: &str) -> Vec<String> {
    let refused = [
        " style=",
        " onclick=",
        " onload=",
        " onerror=",
        " onchange=",
        "<script>",
        "<style",
        "javascript:",
        "://",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "setAttribute(\"style\"",
        "cssText",
        "@import",
        "url(",
    ];
    // A namespace is a name, not an address.
    let text = text.replace("http://www.w3.org/2000/svg", "");
    refused.into_iter().filter(|part| text.contains(part)).map(|part| format!("{name} holds {part:?}")).collect()
}

#[test]
fn what_is_not_its_own_is_not_found() {
    let server = Plan::default().start();
    for path in ["/page/", "/page/index.html", "/page/mod.rs", "/page/..%2fmod.rs", "/page/a/b.js", "/page/none.js"] {
        let reply = server.get(path).expect(404);
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{path}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
    }
    assert_eq!(ask(&server, "POST", "/page/main.js", &[]).expect(405).header("allow"), Some("GET, HEAD"));
    assert_eq!(ask(&server, "HEAD", "/page/main.js", &[]).expect(200).body, "");
}
