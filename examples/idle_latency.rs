//! What the server adds to its engine at rest: `scripts/bench/idle` runs this beside a live
//! `limbic-serve`.
//!
//! Arguments: the bundle's folder, the ONNX Runtime library, the server's `HOST:PORT`, rounds. Texts
//! come from standard input, one a line. Ten texts are tokenised and computed on one thread, once without a
//! pause and once at a request's pace, since a core that rests comes back to colder caches; then the
//! same ten are requested over a connection that is kept, and so on: two sessions that took turns text
//! by text would push each other's weights out of the cache, and longer blocks would be of different
//! moments of a machine whose speed drifts. Prints one line of JSON: lists in milliseconds, a value a
//! text and round, of what was timed here and of what the server says of its own stages.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark reads the clock and prints")]

use std::io::{BufRead, BufReader, Read, Write, stdin};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use limbic::backend::{self, EngineKind, Options};
use limbic::bundle::Bundle;
use limbic::text::Batch;
use serde_json::json;

/// What an engine rests between two requests of one client.
const REST: Duration = Duration::from_micros(800);
/// Texts that are timed one way before they are timed the other.
const BLOCK: usize = 10;

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

    let mut times = Times::default();
    // The first round warms everything and is not kept.
    for round in 0..=rounds.parse::<usize>()? {
        if round == 1 {
            times = Times::default();
        }
        for block in texts.chunks(BLOCK) {
            let encodings = block.iter().map(|text| timed(&mut times.tokenise, || encoder.encode(text))).collect::<Result<Vec<_>, _>>()?;
            let batches = encodings.iter().map(|encoding| Batch::new([encoding])).collect::<Result<Vec<_>, _>>()?;
            for batch in &batches {
                timed(&mut times.busy, || engine.forward(batch))?;
            }
            for batch in &batches {
                thread::sleep(REST);
                timed(&mut times.forward, || engine.forward(batch))?;
            }
            for text in block {
                let body = json!({"input": text}).to_string();
                let stages = timed(&mut times.request, || server.ask(&body))?;
                times.stages.push(stages);
            }
        }
    }
    println!("{}", serde_json::to_string(&times)?);
    Ok(())
}

/// What was timed, a value a text and round.
#[derive(Default, serde::Serialize)]
struct Times {
    tokenise: Vec<f64>,
    /// Forward passes without a rest between them.
    busy: Vec<f64>,
    /// Forward passes at a request's pace.
    forward: Vec<f64>,
    request: Vec<f64>,
    /// What the server says: tokenisation, waiting, forward pass.
    stages: Vec<Vec<f64>>,
}

/// Runs `work` and notes the milliseconds that it took.
fn timed<T>(times: &mut Vec<f64>, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    times.push(1e3 * start.elapsed().as_secs_f64());
    done
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

    /// Asks, and returns the durations that the answer's `Server-Timing` names.
    fn ask(&mut self, body: &str) -> Result<Vec<f64>> {
        let (host, length) = (&self.host, body.len());
        let head =
            format!("POST /v1/emotions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
        self.stream.get_mut().write_all((head + body).as_bytes())?;
        let (mut line, mut length, mut stages) = (String::new(), 0, Vec::new());
        self.stream.read_line(&mut line)?;
        ensure!(line.contains(" 200 "), "the server answered {line:?}");
        while line != "\r\n" {
            line.clear();
            ensure!(self.stream.read_line(&mut line)? > 0, "the server closed the connection in a head");
            match line.to_ascii_lowercase().trim_end().split_once(": ") {
                Some(("content-length", value)) => length = value.parse()?,
                Some(("server-timing", value)) => {
                    stages = value.split("dur=").skip(1).map(duration).collect::<Result<_>>()?;
                }
                _ => {}
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        ensure!(stages.len() == 3, "expected the server to time three stages, found {}", stages.len());
        Ok(stages)
    }
}

/// The number that a stage's part of `Server-Timing` begins with.
fn duration(part: &str) -> Result<f64> {
    let number = part.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or_default();
    number.parse().with_context(|| format!("expected a duration, found {part:?}"))
}
