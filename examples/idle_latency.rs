//! What the server adds to its engine at rest: `scripts/bench/idle` runs this beside a live
//! `limbic-serve`.
//!
//! Arguments: the bundle's folder, the ONNX Runtime library, the server's `HOST:PORT`, rounds. Texts
//! come from standard input, one a line. For every text of every round it times tokenisation, the
//! engine's own forward pass on one thread, and one request over a connection that is kept, in
//! turns, and prints one line of JSON with the three lists in milliseconds.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark reads the clock and prints")]

use std::io::{BufRead, BufReader, Read, Write, stdin};
use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use limbic::backend::{self, EngineKind, Options};
use limbic::bundle::Bundle;
use limbic::text::Batch;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bundle, library, address, rounds] = &*arguments else { anyhow::bail!("expected BUNDLE LIBRARY HOST:PORT ROUNDS") };
    let bundle = Bundle::open(Path::new(bundle))?;
    let options = Options { library: Some(library.into()), intra_threads: 1 };
    let (encoder, mut engine) = (bundle.text_encoder(), backend::open(EngineKind::Onnx, &bundle, &options)?);
    let mut server = Connection::open(address)?;
    let texts: Vec<String> = stdin().lines().collect::<Result<_, _>>()?;
    ensure!(!texts.is_empty(), "no texts on standard input");

    let (mut tokenise, mut forward, mut request) = (Vec::new(), Vec::new(), Vec::new());
    // The first round warms everything and is not kept.
    for round in 0..=rounds.parse::<usize>()? {
        for text in &texts {
            let start = Instant::now();
            let encoding = encoder.encode(text)?;
            let tokenised = milliseconds(start);
            let batch = Batch::new([&encoding])?;
            let start = Instant::now();
            engine.forward(&batch)?;
            let computed = milliseconds(start);
            let body = json!({"input": text}).to_string();
            let start = Instant::now();
            server.ask(&body)?;
            let answered = milliseconds(start);
            if round > 0 {
                tokenise.push(tokenised);
                forward.push(computed);
                request.push(answered);
            }
        }
    }
    println!("{}", json!({"tokenise": tokenise, "forward": forward, "request": request}));
    Ok(())
}

fn milliseconds(start: Instant) -> f64 {
    1e3 * start.elapsed().as_secs_f64()
}

/// One kept connection: the least a client can cost.
struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("no server at {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), host: address.to_owned() })
    }

    fn ask(&mut self, body: &str) -> Result<()> {
        let (host, length) = (&self.host, body.len());
        let head =
            format!("POST /v1/emotions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
        self.stream.get_mut().write_all((head + body).as_bytes())?;
        let (mut line, mut length) = (String::new(), 0);
        self.stream.read_line(&mut line)?;
        ensure!(line.contains(" 200 "), "the server answered {line:?}");
        while line != "\r\n" {
            line.clear();
            ensure!(self.stream.read_line(&mut line)? > 0, "the server closed the connection in a head");
            if let Some((_, value)) = line.to_ascii_lowercase().split_once("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut answer = vec![0; length];
        Ok(self.stream.read_exact(&mut answer)?)
    }
}
