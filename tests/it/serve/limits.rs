//! Sizes, pieces and speeds at their limits, and text of every odd kind.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::json;

use super::harness::{Plan, Reply, Running};

const LIMIT: usize = 1 << 20;

/// A valid body of exactly this many bytes.
fn body(bytes: usize) -> Vec<u8> {
    let mut body = br#"{"input":"a text"}"#.to_vec();
    body.resize(bytes, b' ');
    body
}

fn head(extra: &str) -> String {
    format!("POST /v1/emotions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{extra}\r\n\r\n")
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut request = head("transfer-encoding: chunked\r\nconnection: close").into_bytes();
    for chunk in body.chunks(size) {
        request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    request
}

fn code(reply: &Reply) -> String {
    if reply.status == 200 { String::new() } else { reply.json()["code"].as_str().unwrap().to_owned() }
}

#[test]
fn a_body_may_have_a_mebibyte() {
    let server = Plan::default().start();
    for (bytes, status) in [(LIMIT - 1, 200), (LIMIT, 200), (LIMIT + 1, 413), (2 * LIMIT, 413)] {
        let announced = [head(&format!("content-length: {bytes}\r\nconnection: close")).into_bytes(), body(bytes)].concat();
        for (how, request) in [("announced", announced), ("chunked", chunked(&body(bytes), 8192))] {
            let reply = server.raw(&request);
            assert_eq!(reply.status, status, "{bytes} bytes {how}: {reply:?}");
            if status == 413 {
                assert_eq!((code(&reply).as_str(), reply.header("connection")), ("body_too_large", Some("close")));
            }
        }
    }
    server.classify("after").expect(200);
}

#[test]
fn a_flood_of_tiny_chunks_is_refused() {
    let server = Plan::default().start();
    let status = |chunks: usize| server.raw(&chunked(&body(chunks), 1)).status;
    assert_eq!(status(30_000), 200);
    assert_eq!(status(65_537), 413);
    server.classify("after").expect(200);
}

#[test]
fn a_slow_head_is_given_up() {
    let server = Plan::default().impatient().start();
    let mut stream = server.connect();
    stream.write_all(b"POST /v1/emotions HTTP/1.1\r\nhost:").unwrap();
    let start = Instant::now();
    assert_eq!(Reply::read(stream).status, 408);
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_slow_body_is_given_up() {
    let server = Plan::default().impatient().start();
    let mut stream = server.connect();
    stream.write_all(head("content-length: 100").as_bytes()).unwrap();
    stream.write_all(b"{").unwrap();
    let start = Instant::now();
    let reply = Reply::read(stream);
    assert_eq!((reply.status, code(&reply).as_str()), (408, "body_timeout"));
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_mebibyte_of_mistakes_is_refused_as_sixteen() {
    let server = Plan::default().start();
    let numbered = |open: &str, close: &str| {
        let members: Vec<String> = (0..80_000).map(|at| format!("\"{at}\":1")).collect();
        format!("{open}{}{close}", members.join(","))
    };
    for body in [
        format!("{{\"input\":[{}[]]}}", "[],".repeat(300_000)),
        numbered("{\"input\":\"a\",\"thresholds\":{", "}}"),
        numbered("{\"input\":\"a\",", "}"),
    ] {
        let start = Instant::now();
        let reply = server.send("POST", "/v1/emotions", &[("content-type", "application/json")], body.as_bytes());
        assert_eq!((reply.status, reply.json()["errors"].as_array().unwrap().len()), (422, 16));
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
}

#[test]
fn too_much_head_is_431() {
    let server = Plan::default().start();
    let line = format!("x-filler: {}\r\n", "a".repeat(8192));
    let reply =
        server.raw(&[b"GET /health/live HTTP/1.1\r\nhost: a\r\n".to_vec(), line.repeat(100).into_bytes(), b"\r\n".to_vec()].concat());
    assert_eq!(reply.status, 431, "{reply:?}");
}

#[track_caller]
fn counts(server: &Running, input: serde_json::Value) -> (u64, Vec<bool>) {
    let answer = server.post("/v1/emotions", &json!({"input": input})).expect(200).json();
    let cut = answer["results"].as_array().unwrap().iter().map(|result| result["truncated"].as_bool().unwrap()).collect();
    (answer["usage"]["texts"].as_u64().unwrap(), cut)
}

#[test]
fn sixty_four_texts_and_twenty_thousand_characters_are_fine() {
    let server = Plan::default().start();
    assert_eq!(counts(&server, json!(["a", "b"])), (2, vec![false, false]));
    assert_eq!(counts(&server, json!(vec!["a"; 64])).0, 64);
    assert_eq!(counts(&server, json!("é".repeat(20_000))).0, 1);
    assert_eq!(counts(&server, json!(["ok", "word ".repeat(100)])), (2, vec![false, true]));
}

#[test]
fn odd_text_is_answered() {
    let server = Plan::default().start();
    let odd = [
        "a\u{0}b",
        "\u{feff}bom",
        "\u{fffd}",
        "\u{202e}right to left \u{5e9}\u{5dc}\u{5d5}\u{5dd}",
        "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}",
        "mixed \u{43f}\u{440}\u{438}\u{432}\u{435}\u{442} \u{4f60}\u{597d} \u{645}\u{631}\u{62d}\u{628}\u{627}",
        "\u{1f62d}\u{1f62d}\u{1f62d}",
        "\u{10ffff}",
        "'; DROP TABLE texts; --",
        "&lt;b&gt; @user https://example.org \\n",
    ];
    for text in odd {
        assert_eq!(counts(&server, json!(text)).0, 1, "{text:?}");
    }
    let marks = format!("e{}", "\u{301}".repeat(10_000));
    assert_eq!(counts(&server, json!([marks, "a"])).0, 2);
    // A surrogate pair written as escapes is one character.
    let escaped = br#"{"input":"\ud83d\ude2d"}"#;
    server.send("POST", "/v1/emotions", &[("content-type", "application/json")], escaped).expect(200);
    let bom = [b"\xEF\xBB\xBF".to_vec(), body(20)].concat();
    server.send("POST", "/v1/emotions", &[("content-type", "application/json")], &bom).expect(200);
}
