//! Fifty thousand different texts from 256 connections at once: each gets its own answer, and the
//! server's counts are the clients'.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use limbic::backend::scripted::logit;
use limbic::decide::Logits;
use limbic::serve::model::ServedModel;
use serde_json::{Value, json};

use super::harness::{LABELS, PATIENCE, Plan, model};

const CLIENTS: usize = 256;
const TEXTS: usize = 50_000;

/// Different for every number, of four different lengths.
fn text(number: usize) -> String {
    format!("number {number} {}", "so happy again ".repeat(number % 4))
}

/// What the server must say of a text, without the server.
fn expected(model: &ServedModel, text: &str) -> Vec<f32> {
    let encoding = model.encoder.encode(text).unwrap();
    let row = (0..LABELS.len()).map(|label| logit(encoding.ids(), label)).collect();
    model.decider.probabilities(&Logits::new(LABELS.len(), row).unwrap()).row(0).to_vec()
}

/// One connection that is kept.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    /// The scores of one text.
    fn ask(&mut self, text: &str) -> Vec<f32> {
        let body = json!({"input": text}).to_string();
        let head =
            format!("POST /v1/emotions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        self.stream.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
        let (mut line, mut length, mut status) = (String::new(), 0, String::new());
        while self.stream.read_line(&mut line).unwrap() > 2 {
            match line.trim().to_ascii_lowercase().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(_) => {}
                None => status = line.clone(),
            }
            line.clear();
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        assert!(status.contains(" 200 "), "{status}{}", String::from_utf8_lossy(&body));
        let answer: Value = serde_json::from_slice(&body).unwrap();
        LABELS.map(|label| answer["results"][0]["scores"][label].as_f64().unwrap() as f32).to_vec()
    }
}

#[test]
fn fifty_thousand_texts_get_their_own_answers() {
    let server = Plan { workers: 2, ..Plan::default() }.start();
    let (address, model) = (server.address, model());
    let different: HashSet<Vec<u32>> = (0..1000).map(|number| model.encoder.encode(&text(number)).unwrap().ids().to_vec()).collect();
    assert!(different.len() > 990, "only {} of 1000 texts differ: the test could not see a mix-up", different.len());
    let asked: usize = thread::scope(|scope| {
        let model = &model;
        let client = |first: usize| {
            move || {
                let mut client = Client::connect(address);
                let numbers = (first..TEXTS).step_by(CLIENTS);
                for number in numbers.clone() {
                    let text = text(number);
                    assert_eq!(client.ask(&text), expected(model, &text), "{text}");
                }
                numbers.count()
            }
        };
        let clients: Vec<_> = (0..CLIENTS).map(|first| scope.spawn(client(first))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(asked, TEXTS);
    let total = |series: &str| server.metric(series);
    assert_eq!(total("limbic_requests_total{code=\"200\",route=\"/v1/emotions\"}"), TEXTS as f64);
    assert_eq!(total("limbic_batch_texts_sum") + total("limbic_coalesced_texts_total"), TEXTS as f64);
    assert!(total("limbic_batch_texts_count") < TEXTS as f64, "nothing was batched: the test sees no company");
    assert_eq!((total("limbic_queue_texts"), total("limbic_queue_tokens")), (0.0, 0.0));
}
