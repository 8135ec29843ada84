//! A tracking server on the loopback address: answers as MLflow does, or badly, and keeps what it was
//! told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use serde_json::{Value, json};

/// How the server behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Manners {
    /// As MLflow does.
    Good,
    /// Takes a request and never answers.
    Hangs,
    /// Answers everything with this status and an error of MLflow's.
    Status(u16),
}

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method and path with query.
    pub line: String,
    pub authorization: Option<String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

struct State {
    manners: Manners,
    asked: Mutex<Vec<Request>>,
    stopped: Mutex<bool>,
    changed: Condvar,
}

/// The server; it stops when dropped.
pub struct Server {
    pub address: String,
    state: Arc<State>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(State { manners, asked: Mutex::default(), stopped: Mutex::new(false), changed: Condvar::new() });
        let shared = Arc::clone(&state);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if *shared.stopped.lock().unwrap() {
                    break;
                }
                let shared = Arc::clone(&shared);
                // A client that goes away in the middle is that client's matter.
                std::thread::spawn(move || stream.and_then(|stream| serve(&stream, &shared)));
            }
        });
        Self { address, state, accepting: Some(accepting) }
    }

    /// Every request so far, in order.
    pub fn asked(&self) -> Vec<Request> {
        self.state.asked.lock().unwrap().clone()
    }

    /// The bodies of requests whose path ends so.
    pub fn told(&self, path: &str) -> Vec<Value> {
        self.asked().iter().filter(|request| request.line.ends_with(path)).map(Request::json).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        *self.state.stopped.lock().unwrap() = true;
        self.state.changed.notify_all();
        // Wakes the accept loop, which then sees the flag.
        let _ = TcpStream::connect(self.address.trim_start_matches("http://"));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn serve(mut stream: &TcpStream, state: &State) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let line = first.rsplit_once(' ').map_or("", |(line, _)| line).to_owned();
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().expect("a length"),
            "authorization" => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (status, answer) = answer(&line, state);
    state.asked.lock().unwrap().push(Request { line, authorization, body });
    if state.manners == Manners::Hangs {
        let stopped = state.changed.wait_while(state.stopped.lock().unwrap(), |stopped| !*stopped);
        drop(stopped);
        return Ok(());
    }
    let text = answer.to_string();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    )
}

fn answer(line: &str, state: &State) -> (u16, Value) {
    let path = line.split(' ').nth(1).unwrap_or("");
    let known = state.asked.lock().unwrap().iter().any(|request| request.line.ends_with("experiments/create"));
    let experiment = json!({ "experiment": { "experiment_id": "7", "name": "smoke" } });
    match state.manners {
        Manners::Status(status) => (status, json!({ "error_code": "MADE_UP", "message": "as asked" })),
        _ if path.contains("get-by-name") && !known => (404, json!({ "error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none" })),
        _ if path.contains("get-by-name") => (200, experiment),
        _ if path.ends_with("experiments/create") => (200, json!({ "experiment_id": "7" })),
        _ if path.ends_with("runs/create") => {
            let before = state.asked.lock().unwrap().iter().filter(|request| request.line.ends_with("runs/create")).count();
            let id = format!("run-{before}");
            (200, json!({ "run": { "info": { "run_id": id, "artifact_uri": format!("mlflow-artifacts:/7/{id}/artifacts") } } }))
        }
        _ => (200, json!({})),
    }
}
