//! The bulk route: order, one error a line, bounded memory, back-pressure.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::harness::{Plan, Reply, Running, until};

const NDJSON: &[(&str, &str)] = &[("content-type", "application/x-ndjson")];

fn send(server: &Running, body: &[u8]) -> Vec<Value> {
    let reply = server.send("POST", "/v1/emotions/bulk", NDJSON, body).expect(200);
    assert_eq!(reply.header("content-type"), Some("application/x-ndjson"));
    lines(&reply)
}

fn lines(reply: &Reply) -> Vec<Value> {
    reply.body.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn every_line_is_answered_in_order_as_the_native_route_would() {
    let server = Plan { workers: 2, ..Plan::default() }.start();
    let count = 300;
    let body: Vec<String> =
        (1..=count).map(|at| json!({"id": format!("row-{at}"), "input": format!("text {at}"), "top_k": 2}).to_string()).collect();
    let answers = send(&server, body.join("\n").as_bytes());
    assert_eq!(answers.len(), count);
    for (at, answer) in (1..=count).zip(&answers) {
        assert_eq!((&answer["line"], &answer["id"]), (&json!(at), &json!(format!("row-{at}"))));
        if at % 50 == 0 {
            let alone = server.post("/v1/emotions", &json!({"input": format!("text {at}"), "top_k": 2})).json();
            assert_eq!(answer["answer"]["results"], alone["results"]);
            assert_eq!(answer["answer"]["model"], alone["model"]);
        }
    }
}

#[test]
fn a_wrong_line_is_told_and_the_next_one_answered() {
    let mut plan = Plan::default();
    plan.settings.limits.body_bytes = 1000;
    let server = plan.start();
    let long = format!("{{\"input\":\"{}\"}}", "a".repeat(5000));
    let body = [
        "{\"input\":\"a\"}",
        "",
        "not json",
        "{\"input\":\"\"}",
        "{\"id\":7,\"input\":\"a\"}",
        "{\"id\":\"x\",\"input\":\"a\",\"wat\":1}",
        &long,
        "   \r",
        "{\"input\":[\"a\",\"b\"],\"model\":\"other\"}",
        "\u{feff}[]",
        "{\"input\":[\"a\",\"b\"]}\r",
    ];
    let found = send(&server, body.join("\n").as_bytes());
    let told: Vec<(u64, &str)> =
        found.iter().map(|line| (line["line"].as_u64().unwrap(), line["error"]["code"].as_str().unwrap_or("answer"))).collect();
    let expected = [
        (1, "answer"),
        (3, "malformed_json"),
        (4, "empty_text"),
        (5, "validation_failed"),
        (6, "validation_failed"),
        (7, "body_too_large"),
        (9, "model_not_found"),
        (10, "validation_failed"),
        (11, "answer"),
    ];
    assert_eq!(told, expected);
    assert_eq!((&found[3]["error"]["errors"][0]["pointer"], &found[4]["id"]), (&json!("/id"), &json!("x")));
    assert_eq!(found[8]["answer"]["usage"]["texts"], 2);
    assert_eq!(send(&server, b""), Vec::<Value>::new());
    assert_eq!(send(&server, b"\n\n").len(), 0);
}

#[test]
fn what_is_no_list_of_lines_is_refused_at_once() {
    let server = Plan::default().start();
    let refused = |headers: &[(&str, &str)]| server.send("POST", "/v1/emotions/bulk", headers, b"{}").status;
    assert_eq!(refused(&[("content-type", "text/csv")]), 415);
    assert_eq!(refused(&[("content-type", "application/x-ndjson"), ("content-encoding", "gzip")]), 415);
    assert_eq!(refused(&[("x-request-timeout-ms", "0")]), 422);
    assert_eq!(server.get("/v1/emotions/bulk").expect(405).header("allow"), Some("POST"));
    server.send("POST", "/v1/emotions/bulk", &[], b"{\"input\":\"a\"}").expect(200);
}

/// A connection that has sent the head of a chunked body.
fn open(server: &Running) -> TcpStream {
    let mut stream = server.connect();
    let head = "POST /v1/emotions/bulk HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

fn chunk(stream: &mut TcpStream, bytes: &str) {
    stream.write_all(format!("{:x}\r\n{bytes}\r\n", bytes.len()).as_bytes()).unwrap();
}

/// The lines of JSON that a chunked response begins with.
fn answers(stream: &TcpStream, count: usize) -> Vec<Value> {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    lines.filter(|line| line.starts_with('{')).take(count).map(|line| serde_json::from_str(&line).unwrap()).collect()
}

#[test]
fn a_line_is_answered_before_the_next_one_is_sent() {
    let server = Plan::default().start();
    let mut stream = open(&server);
    for piece in ["{\"input\":", "\"a\"}", "\n{\"input\":\"b\"}\n"] {
        chunk(&mut stream, piece);
        std::thread::sleep(Duration::from_millis(5));
    }
    let found = answers(&stream, 2);
    assert_eq!(found.iter().map(|line| line["line"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    stream.write_all(b"0\r\n\r\n").unwrap();
}

#[test]
fn who_reads_no_answers_cannot_send_on() {
    let server = Plan::default().start();
    let mut stream = open(&server);
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let line = format!("{}\n", json!({"input": "so happy"}));
    let piece = line.repeat(1000);
    let (mut sent, most) = (0_usize, 256 << 20);
    // Answers are some twenty times as long as lines, so the sockets fill with them.
    while sent < most && write!(stream, "{:x}\r\n{piece}\r\n", piece.len()).is_ok() {
        sent += piece.len();
    }
    assert!(sent < most, "{sent} bytes were taken although nothing was read");
    server.classify("others go on").expect(200);
    drop(stream);
    until("the abandoned lines leave", || server.metric("limbic_queue_texts") == 0.0);
}

#[test]
fn a_full_queue_is_waited_out() {
    let plan = Plan::default().queue_texts(2);
    let gate = std::sync::Arc::clone(&plan.gate);
    gate.close();
    let server = plan.start();
    let body: String = (0..40).map(|at| format!("{}\n", json!({"input": format!("text {at}")}))).collect();
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| send(&server, body.as_bytes()));
        gate.wait_for_batches(1);
        gate.open();
        let answers = sent.join().unwrap();
        assert_eq!(answers.len(), 40);
        assert!(answers.iter().all(|line| line["answer"].is_object()), "{answers:?}");
    });
}

#[test]
fn a_stop_ends_the_lines_and_loses_none_that_was_taken() {
    let mut server = Plan::default().start();
    let mut stream = open(&server);
    chunk(&mut stream, "{\"input\":\"a\"}\n");
    assert_eq!(answers(&stream, 1)[0]["line"], 1);
    server.say_stop();
    let mut rest = String::new();
    BufReader::new(&stream).read_to_string(&mut rest).unwrap();
    let last = rest.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!((&last["line"], &last["error"]["code"]), (&json!(2), &json!("draining")));
    server.join().unwrap();
}
