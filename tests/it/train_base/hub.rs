//! A hub on the loopback address: the layout of addresses, headers and redirects that hf-hub
//! meets in the world, over files given in memory, and a record of what was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What a path is answered with.
#[derive(Clone)]
pub enum Answer {
    /// A small file, kept in git.
    File(Vec<u8>),
    /// A large file: a redirect to another path that holds it, under the SHA-256 stated.
    Large { sha256: String, at: String },
    /// Bytes behind such a redirect.
    Bytes(Vec<u8>),
    /// Bytes of which the first transfer breaks off half-way.
    Breaking(Vec<u8>),
    /// Moved to another path.
    Moved(String),
    /// An error.
    Status(u16),
}

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub range: Option<String>,
    pub token: Option<String>,
}

struct State {
    answers: Mutex<BTreeMap<String, Answer>>,
    asked: Mutex<Vec<Request>>,
    stop: AtomicBool,
}

/// The server; it stops when dropped.
pub struct Hub {
    pub endpoint: String,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

/// The commit that every file is answered at.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

impl Hub {
    /// Serves `answers` by path on a free port of the loopback address.
    pub fn start(answers: BTreeMap<String, Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(State { answers: Mutex::new(answers), asked: Mutex::default(), stop: AtomicBool::new(false) });
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stop.load(Ordering::SeqCst) {
                    break;
                }
                // A client that goes away in the middle is that client's matter.
                let _ = stream.and_then(|stream| serve(&stream, &shared));
            }
        });
        Self { endpoint, state, thread: Some(thread) }
    }

    /// Every request so far, in order.
    pub fn asked(&self) -> Vec<Request> {
        self.state.asked.lock().unwrap().clone()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        // Wakes the accept loop, which then sees the flag.
        let _ = TcpStream::connect(self.endpoint.trim_start_matches("http://"));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: &TcpStream, state: &State) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = first.split(' ').nth(1).unwrap_or("/").to_owned();
    let (mut range, mut token) = (None, None);
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "range" => range = Some(value.to_owned()),
            "authorization" => token = Some(value.to_owned()),
            _ => {}
        }
    }
    let answer = state.answers.lock().unwrap().get(&path).cloned().unwrap_or(Answer::Status(404));
    state.asked.lock().unwrap().push(Request { path: path.clone(), range: range.clone(), token });
    let commit = format!("x-repo-commit: {COMMIT}\r\n");
    match answer {
        Answer::File(bytes) => send(stream, &bytes, bytes.len(), range.as_deref(), &format!("{commit}etag: \"{}\"\r\n", git_like(&path))),
        Answer::Bytes(bytes) => send(stream, &bytes, bytes.len(), range.as_deref(), "etag: \"cdn\"\r\n"),
        Answer::Breaking(bytes) => {
            let probe = range.as_deref() == Some("bytes=0-0");
            if !probe {
                state.answers.lock().unwrap().insert(path, Answer::Bytes(bytes.clone()));
            }
            let sent = if probe { bytes.len() } else { bytes.len() / 2 };
            send(stream, &bytes, sent, range.as_deref(), "etag: \"cdn\"\r\n")
        }
        Answer::Large { sha256, at } => {
            let host = stream.local_addr()?;
            let headers = format!("location: http://{host}{at}\r\n{commit}x-linked-etag: \"{sha256}\"\r\n");
            head(stream, 302, &headers, 0)
        }
        Answer::Moved(to) => head(stream, 307, &format!("location: {to}\r\n"), 0),
        Answer::Status(status) => head(stream, status, "", 0),
    }
}

/// A name of forty digits, as git names a small file.
fn git_like(path: &str) -> String {
    let sum = path.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    format!("{sum:040x}")
}

/// Answers a range of `bytes`, breaking off after the first `sent` of the whole file.
fn send(mut stream: &TcpStream, bytes: &[u8], sent: usize, range: Option<&str>, headers: &str) -> std::io::Result<()> {
    let (from, to) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')).unwrap_or(("0", ""));
    let from: usize = from.parse().expect("a range begins with a number");
    let end = to.parse().map_or(bytes.len(), |last: usize| (last + 1).min(bytes.len()));
    if from >= bytes.len() {
        return head(stream, 416, headers, 0);
    }
    let headers = format!("{headers}content-range: bytes {from}-{}/{}\r\naccept-ranges: bytes\r\n", end - 1, bytes.len());
    head(stream, 206, &headers, end - from)?;
    stream.write_all(&bytes[from..end.min(sent).max(from)])
}

fn head(mut stream: &TcpStream, status: u16, headers: &str, length: usize) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n")
}
