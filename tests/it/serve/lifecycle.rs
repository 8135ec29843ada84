//! Stopping in order: readiness first, then admission, then what is in flight, then the threads.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use limbic::serve::ServeError;
use serde_json::json;

use super::harness::{Gate, Plan, Reply, until};

#[test]
fn what_is_in_flight_is_answered() {
    let gate = Arc::new(Gate::default());
    let mut plan = Plan { gate: Arc::clone(&gate), ..Plan::default() };
    plan.settings.times.drain_delay = Duration::from_millis(400);
    let mut server = plan.start();
    gate.close();
    let address = server.address;
    let post = move |text: &str| {
        let body = json!({"input": text});
        ureq::post(format!("http://{address}/v1/emotions")).send_json(body).map(|reply| reply.status().as_u16())
    };
    let held: Vec<_> = (0..4).map(|at| thread::spawn(move || post(["a", "b", "c", "d"][at]))).collect();
    gate.wait_for_batches(1);
    until("all four are inside", || gate.texts() as f64 + server.metric("limbic_queue_texts") == 4.0);
    let waiting = server.metric("limbic_queue_texts");

    let start = Instant::now();
    server.say_stop();
    until("readiness falls", || server.get("/health/ready").status == 503);
    assert!(start.elapsed() < Duration::from_millis(300), "{:?}", start.elapsed());
    assert_eq!(server.get("/health/ready").json()["status"], "draining");
    assert_eq!(server.get("/health/live").expect(200).header("connection"), Some("close"));
    // During the delay requests are still taken, for whoever has not noticed yet.
    let late = thread::spawn(move || post("late"));
    until("it waits too", || server.metric("limbic_queue_texts") == waiting + 1.0);
    let impatient = [("content-type", "application/json"), ("x-request-timeout-ms", "20")];
    let try_again = || server.send("POST", "/v1/emotions", &impatient, br#"{"input":"too late"}"#);
    until("admission ends", || try_again().status == 503);
    assert!(!server.is_finished(), "the server left with work in flight");
    assert_eq!(try_again().json()["code"], "draining");

    gate.open();
    for request in held.into_iter().chain([late]) {
        assert_eq!(request.join().unwrap().unwrap(), 200);
    }
    server.join().unwrap();
    assert_eq!(gate.texts(), 5);
}

#[test]
fn idle_connections_do_not_hold_the_end_up() {
    let mut server = Plan::default().start();
    let idle: Vec<_> = (0..3)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
            assert!(line.contains("200"), "{line}");
            stream
        })
        .collect();
    let start = Instant::now();
    server.say_stop();
    server.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    drop(idle);
}

#[test]
fn a_drain_has_an_end() {
    let gate = Arc::new(Gate::default());
    let mut plan = Plan { gate: Arc::clone(&gate), ..Plan::default() };
    plan.settings.times.drain = Duration::from_millis(200);
    let mut server = plan.start();
    gate.close();
    let address = server.address;
    let held = thread::spawn(move || ureq::post(format!("http://{address}/v1/emotions")).send_json(json!({"input": "a"})).is_ok());
    gate.wait_for_batches(1);
    let start = Instant::now();
    server.say_stop();
    let stopped = server.join();
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    gate.open();
    assert!(matches!(stopped, Err(ServeError::Unfinished { answered: false, .. })), "{stopped:?}");
    // Whether its last bytes still got out is chance.
    let _ = held.join().unwrap();
}

/// Sends one request on a connection of its own and reads its status; zero when there was none.
fn ask(address: SocketAddr) -> u16 {
    let body = r#"{"input":"so happy"}"#;
    let Ok(mut stream) = TcpStream::connect(address) else { return 0 };
    let head = format!("POST /v1/emotions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
    let _ = stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes());
    Reply::read(stream).status
}

#[test]
fn no_request_is_lost_during_the_delay() {
    let mut plan = Plan { workers: 2, ..Plan::default() };
    plan.settings.times.drain_delay = Duration::from_millis(1500);
    let mut server = plan.start();
    let address = server.address;
    let (leave, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let client = || {
        let (leave, answered) = (Arc::clone(&leave), Arc::clone(&answered));
        thread::spawn(move || {
            while !leave.load(Ordering::SeqCst) {
                assert_eq!(ask(address), 200);
                answered.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    let clients: Vec<_> = (0..8).map(|_| client()).collect();
    let more = |count: usize| until("more answers", || answered.load(Ordering::SeqCst) > count);
    more(100);
    server.say_stop();
    until("readiness falls", || server.get("/health/ready").status == 503);
    more(answered.load(Ordering::SeqCst) + 50);
    leave.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
    server.join().unwrap();
}
