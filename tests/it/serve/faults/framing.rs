//! Bodies that come slowly, in pieces, too long, too short or not at all.

use std::io::Write;
use std::time::{Duration, Instant};

use super::{ROUTES, Speaks};
use crate::serve::harness::{Plan, Reply, until};

const LIMIT: usize = 1 << 20;
const PIECES: usize = 1 << 16;

fn head(route: &Speaks, more: &str) -> Vec<u8> {
    format!("POST {} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{more}\r\n\r\n", route.path).into_bytes()
}

/// The body of `route`, white space behind it until it has so many bytes.
fn padded(route: &Speaks, bytes: usize) -> Vec<u8> {
    let mut body = route.raw(b"a");
    body.resize(bytes.max(body.len()), b' ');
    body
}

fn chunked(route: &Speaks, body: &[u8], size: usize) -> Vec<u8> {
    let mut request = head(route, "transfer-encoding: chunked\r\nconnection: close");
    for chunk in body.chunks(size) {
        request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    request
}

#[test]
fn a_body_over_the_limit_is_413_however_it_comes() {
    let server = Plan::default().start();
    let mut seen = 0;
    for route in &ROUTES {
        for (bytes, fits) in [(LIMIT - 1, true), (LIMIT, true), (LIMIT + 1, false)] {
            let body = padded(route, bytes);
            let announced = [head(route, &format!("content-length: {bytes}\r\nconnection: close")), body.clone()].concat();
            for (how, request) in [("announced", announced), ("in pieces", chunked(route, &body, 8192))] {
                let reply = server.raw(&request);
                match fits {
                    true => assert_eq!(reply.status, 200, "{bytes} bytes {how} at {}: {reply:?}", route.path),
                    false => route.check(&reply, (413, "body_too_large"), how),
                }
                seen += 1;
            }
        }
        // It is refused for what it says of itself: nothing of it need come.
        let reply = server.raw(&head(route, "content-length: 18446744073709551615"));
        route.check(&reply, (413, "body_too_large"), "the longest length");
        seen += 1;
    }
    assert_eq!(seen, 7 * ROUTES.len());
}

#[test]
fn a_body_in_too_many_pieces_is_413() {
    let server = Plan::default().start();
    for route in &ROUTES {
        let reply = server.raw(&chunked(route, &padded(route, 20_000), 1));
        assert_eq!(reply.status, 200, "{reply:?}");
        route.check(&server.raw(&chunked(route, &padded(route, PIECES + 1), 1)), (413, "body_too_large"), "in pieces of one byte");
    }
}

#[test]
fn a_body_that_does_not_come_is_408() {
    let server = Plan::default().impatient().start();
    let mut seen = 0;
    for route in &ROUTES {
        let half = route.raw(b"a")[..5].to_vec();
        let pieces = [head(route, "transfer-encoding: chunked"), b"5\r\n".to_vec(), half.clone(), b"\r\n".to_vec()].concat();
        for (how, request) in [
            ("nothing of it", head(route, "content-length: 50")),
            ("half of it", [head(route, "content-length: 50"), half].concat()),
            ("one piece of it", pieces),
        ] {
            let start = Instant::now();
            let mut stream = server.connect();
            stream.write_all(&request).unwrap();
            let reply = Reply::read(stream);
            route.check(&reply, (408, "body_timeout"), how);
            assert_eq!(reply.header("connection"), Some("close"), "{reply:?}");
            assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
            seen += 1;
        }
    }
    assert_eq!(seen, 3 * ROUTES.len());
    server.classify("after all that").expect(200);
}

/// A byte now and then is no progress: the clock runs for the body as a whole.
#[test]
fn a_body_that_trickles_is_408() {
    let server = Plan::default().impatient().start();
    for route in &ROUTES {
        let mut stream = server.connect();
        stream.write_all(&head(route, "content-length: 1000")).unwrap();
        let writer = stream.try_clone().unwrap();
        let trickle = std::thread::spawn(move || {
            let mut writer = writer;
            // Ends when the server has closed: then writing fails.
            while writer.write_all(b" ").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        route.check(&Reply::read(stream), (408, "body_timeout"), "a byte at a time");
        trickle.join().unwrap();
    }
}

/// Who hangs up in the middle of a body is counted once, and nothing of it is computed.
#[test]
fn a_body_that_breaks_off_is_dropped() {
    let server = Plan::default().start();
    let gone = |route: &Speaks| {
        let pattern = route.path.replace("/scripted", "/{model}").replace("/7", "/{version}");
        let answered = server.metric(&format!("limbic_requests_total{{code=\"400\",route=\"{pattern}\"}}"));
        answered + server.metric("limbic_rejected_total{reason=\"abandoned\"}")
    };
    for route in &ROUTES {
        let mut left = gone(route);
        let body = route.raw(b"a");
        let open = [head(route, "transfer-encoding: chunked"), format!("{:x}\r\n", body.len()).into_bytes(), body.clone()].concat();
        for request in [[head(route, "content-length: 500"), body].concat(), open] {
            let mut stream = server.connect();
            stream.write_all(&request).unwrap();
            stream.shutdown(std::net::Shutdown::Both).unwrap();
            left += 1.0;
            until("a client that left is counted", || gone(route) >= left);
        }
    }
    assert_eq!(server.metric("limbic_queue_texts"), 0.0);
    server.classify("after all that").expect(200);
}

/// What is no HTTP at all has no route: 400, no body, and the connection ends.
#[test]
fn what_is_no_http_is_400() {
    let server = Plan::default().start();
    let with = |more: &str, body: &str| format!("POST /v1/emotions HTTP/1.1\r\nhost: a\r\n{more}\r\n\r\n{body}");
    let cases = [
        with("content-length: abc", "{}"),
        with("content-length: -1", "{}"),
        with("content-length: +2", "{}"),
        with("content-length: 2\r\ncontent-length: 3", "{}"),
        with("content-length: 2\r\ntransfer-encoding: chunked", "2\r\n{}\r\n0\r\n\r\n"),
        with("transfer-encoding: gzip", "{}"),
        with("transfer-encoding: chunked\r\ntransfer-encoding: chunked", "0\r\n\r\n"),
        with("no colon", ""),
        with("na me: a", ""),
        with("name: a\0b", ""),
        "POST /v1/emotions HTTP/9.9\r\nhost: a\r\n\r\n".to_owned(),
        "POST /v1/emo tions HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
        "POST\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n".to_owned(),
    ];
    for case in &cases {
        let reply = server.raw(case.as_bytes());
        assert_eq!((reply.status, reply.body.as_str()), (400, ""), "{case:?}: {reply:?}");
    }
    assert_eq!(cases.len(), 14);
    server.classify("after all that").expect(200);
}

/// Sizes of pieces that are none end the body: the route says so, or the connection ends.
#[test]
fn a_piece_without_a_size_is_no_body() {
    let server = Plan::default().start();
    for route in &ROUTES {
        for size in ["zz", "-1", "fffffffffffffffff", ""] {
            let request = [head(route, "transfer-encoding: chunked"), format!("{size}\r\n{{}}\r\n0\r\n\r\n").into_bytes()].concat();
            let reply = server.raw(&request);
            assert!([0, 400].contains(&reply.status), "{size:?}: {reply:?}");
            if !reply.body.is_empty() {
                route.check(&reply, (400, "malformed_json"), size);
            }
        }
    }
    server.classify("after all that").expect(200);
}
