//! The shipped program on a real bundle: starts, answers, keeps texts to itself, stops.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use limbic::decide::Logits;
use limbic::serve::access::KeyHash;
use limbic::spec::{Pooling, Precision};
use serde_json::{Value, json};

use crate::support::onnxruntime;
use crate::tiny;

const PROGRAM: &str = env!("CARGO_BIN_EXE_limbic-serve");

/// A running program. Killed when a test fails before it stopped.
struct Program {
    child: Child,
    stdout: BufReader<ChildStdout>,
    url: String,
    announced: String,
}

impl Program {
    fn start(bundle: &Path, more: &[&str]) -> Self {
        Self::start_on(&["--bundle".as_ref(), bundle.as_os_str()], more)
    }

    fn start_on(models: &[&OsStr], more: &[&str]) -> Self {
        let mut child = bare().args(models).args(["--listen", "127.0.0.1:0"]).args(more).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut announced = String::new();
        // The line about threads is the last; a program that did not start says nothing.
        while !announced.lines().last().is_some_and(|line| line.starts_with("threads ")) {
            if stdout.read_line(&mut announced).unwrap() == 0 {
                break;
            }
        }
        let url = announced.split(' ').find(|word| word.starts_with("http://")).unwrap_or_default().to_owned();
        Self { child, stdout, url, announced }
    }

    /// Sends a change to the models; its status and what it says.
    fn change(&self, path: &str, body: &Value) -> (u16, Value) {
        let admin = self.announced.lines().find_map(|line| line.strip_prefix("admin on ")).unwrap();
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut reply = agent.post(format!("{admin}{path}")).send_json(body).unwrap();
        (reply.status().as_u16(), reply.body_mut().read_json().unwrap())
    }

    fn classify(&self, body: &Value) -> Value {
        ureq::post(format!("{}/v1/emotions", self.url)).send_json(body).unwrap().body_mut().read_json().unwrap()
    }

    /// Asks it to stop; its exit status, and everything it wrote.
    fn stop(mut self) -> (Option<i32>, String) {
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let mut written = self.announced.clone();
        self.stdout.read_to_string(&mut written).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut written).unwrap();
        (self.child.wait().unwrap().code(), written)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(bundle: &Path) -> Command {
    let mut command = bare();
    command.arg("--bundle").arg(bundle);
    command
}

fn bare() -> Command {
    let mut command = Command::new(PROGRAM);
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| ["LIMBIC_", "OTEL_"].iter().any(|ours| name.to_string_lossy().starts_with(ours)))
    {
        command.env_remove(name);
    }
    command.env("ORT_DYLIB_PATH", onnxruntime());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn starts_answers_and_stops() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(dir.path(), Precision::Fp32);
    let program = Program::start(&bundle, &["--workers", "2"]);
    assert!(program.announced.starts_with("listening on http://127.0.0.1:"), "{:?}", program.announced);
    assert!(program.announced.contains(" model tiny version 0.1.0 digest sha256:"), "{:?}", program.announced);
    let alone = program.classify(&json!({"input": tiny::TEXTS[0]}));
    assert_eq!(alone["results"][0]["scores"].as_object().unwrap().keys().collect::<Vec<_>>(), tiny::LABELS);
    check_card(&program);
    let checked = Command::new(PROGRAM).args(["healthcheck", "--url", &format!("{}/health/ready", program.url)]).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let checked = Command::new(PROGRAM).args(["healthcheck", "--url", &format!("{}/nowhere", program.url)]).output().unwrap();
    assert!(!checked.status.success() && String::from_utf8_lossy(&checked.stderr).contains("404"), "{checked:?}");
    let url = program.url.clone();
    let (status, written) = program.stop();
    assert_eq!(status, Some(0), "{written}");
    let checked = Command::new(PROGRAM).args(["healthcheck", "--url", &url]).output().unwrap();
    assert!(!checked.status.success());
}

fn check_card(program: &Program) {
    let card: Value = ureq::get(format!("{}/v1/models/tiny", program.url)).call().unwrap().body_mut().read_json().unwrap();
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_json_snapshot!("card", card, {
            ".digest" => "[digest]",
            ".files.*.sha256" => "[sha256]",
            ".files.*.bytes" => "[bytes]",
            ".provenance.limbic" => "[version]",
        });
    });
}

#[test]
fn a_text_alone_and_in_company_scores_the_same_on_real_engines() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(dir.path(), Precision::Int8Weights);
    let texts: Vec<&str> = tiny::TEXTS.iter().copied().filter(|text| !text.is_empty()).collect();
    for engine in ["onnx", "candle"] {
        let program = Program::start(&bundle, &["--engine", engine, "--batch-tokens", "4096"]);
        let together = program.classify(&json!({"input": texts}));
        assert_eq!(together["model"]["precision"], "int8_weights");
        let mut compared = 0;
        for (at, text) in texts.iter().enumerate() {
            let alone = program.classify(&json!({"input": text}));
            for label in tiny::LABELS {
                let score = |answer: &Value, at: usize| answer["results"][at]["scores"][label].as_f64().unwrap();
                let (alone, together) = (score(&alone, 0), score(&together, at));
                assert!((alone - together).abs() <= 1e-5, "{engine}: {label} of text {at} is {alone} alone, {together} in company");
                compared += 1;
            }
        }
        assert_eq!(compared, 45);
        let (status, written) = program.stop();
        assert_eq!(status, Some(0), "{written}");
    }
}

/// The tiny bundle as another version; the third does not give its own golden answers.
fn another_version(target: &Path, version: &str) {
    let mut parts = tiny::parts(Pooling::Mean, Precision::Fp32);
    parts.version = version.to_owned();
    parts.created += 1;
    if version == "0.3.0" {
        let logits = parts.golden.logits.values().iter().map(|logit| logit + 0.5).collect();
        parts.golden.logits = Logits::new(tiny::LABELS.len(), logits).unwrap();
        parts.golden.probabilities = parts.decider.probabilities(&parts.golden.logits);
    }
    tiny::write(target, &parts);
}

#[test]
fn a_new_version_is_verified_before_it_serves() {
    let dir = tempfile::tempdir().unwrap();
    let first = tiny::bundle(dir.path(), Precision::Fp32);
    let program = Program::start_on(&["--models".as_ref(), dir.path().as_os_str()], &["--admin-listen", "127.0.0.1:0"]);
    let version = |model: Value| program.classify(&json!({"input": tiny::TEXTS[0], "model": model}))["model"]["version"].clone();
    assert_eq!(version(json!(null)), "0.1.0");

    another_version(&dir.path().join("third"), "0.3.0");
    let (status, refused) = program.change("/admin/load", &json!({"bundle": "third"}));
    assert_eq!((status, refused["code"].as_str()), (422, Some("bundle_refused")), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("golden text 0 with logit"), "{refused}");
    another_version(&dir.path().join("second"), "0.2.0");
    let weights = dir.path().join("second/model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..whole.len() - 1]).unwrap();
    let (status, refused) = program.change("/admin/load", &json!({"bundle": "second"}));
    assert!(status == 422 && refused["detail"].as_str().unwrap().contains("model.safetensors"), "{refused}");
    assert_eq!(version(json!("tiny")), "0.1.0");

    std::fs::write(&weights, &whole).unwrap();
    let (status, loaded) = program.change("/admin/load", &json!({"bundle": "second"}));
    assert_eq!((status, &loaded["version"], &loaded["current"]), (200, &json!("0.2.0"), &json!(true)), "{loaded}");
    // What was read once is not needed again.
    std::fs::remove_dir_all(first).unwrap();
    assert_eq!((version(json!(null)), version(json!("tiny@0.1.0"))), (json!("0.2.0"), json!("0.1.0")));
    let (status, written) = program.stop();
    assert_eq!(status, Some(0), "{written}");
}

#[test]
fn it_says_what_threads_it_chose_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(dir.path(), Precision::Fp32);
    let program = Program::start(&bundle, &["--workers", "3"]);
    let line = program.announced.lines().last().unwrap();
    assert!(line.contains(": 3 workers a version (as asked) of 1 thread (measured best), 256 tokens a batch"), "{line}");
    assert!(line.contains("affinity"), "{line}");
}

#[test]
fn no_text_of_a_request_is_ever_logged() {
    const CANARY: &str = "zyxwcanary";
    let dir = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(dir.path(), Precision::Fp32);
    // A collector that is not there: what is said of it must not hold a text either.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for format in ["text", "json"] {
        let (endpoint, protocol) = (format!("http://{gone}"), if format == "json" { "grpc" } else { "http/protobuf" });
        let log = ["--log-level", "trace", "--log-format", format, "--otlp-endpoint", &endpoint, "--otlp-protocol", protocol];
        let program = Program::start(&bundle, &log);
        let send = |path: &str, kind: &str, body: &str| {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            agent.post(format!("{}{path}", program.url)).header("content-type", kind).send(body).unwrap().status().as_u16()
        };
        let json = "application/json";
        assert_eq!(send("/v1/emotions", json, &json!({"input": CANARY}).to_string()), 200);
        assert_eq!(send("/v1/emotions", json, &json!({"input": [CANARY, ""]}).to_string()), 422);
        assert_eq!(send("/v1/emotions", json, &json!({"input": CANARY, CANARY: CANARY}).to_string()), 422);
        assert_eq!(send("/v1/emotions", json, &json!({"input": CANARY, "thresholds": CANARY}).to_string()), 422);
        assert_eq!(send("/v1/emotions", json, &format!("{{\"input\":\"{CANARY}")), 400);
        assert_eq!(send("/v1/emotions", json, &json!({"input": CANARY, "explain": true, "granularity": "sentence"}).to_string()), 200);
        assert_eq!(send("/v1/emotions", json, &json!({"input": CANARY, "explain": [CANARY], "label_set": CANARY}).to_string()), 422);
        let lines = format!("{}\n{CANARY}\n", json!({"id": CANARY, "input": CANARY}));
        assert_eq!(send("/v1/emotions/bulk", "application/x-ndjson", &lines), 200);
        let tensor = json!({"name": "text", "datatype": "BYTES", "shape": [1], "data": [CANARY]});
        assert_eq!(send("/v2/models/tiny/infer", json, &json!({"id": CANARY, "inputs": [tensor]}).to_string()), 200);
        assert_eq!(send(&format!("/v2/models/{CANARY}/infer"), json, CANARY), 404);
        assert_eq!(send("/v1/moderations", json, &json!({"input": CANARY, CANARY: CANARY}).to_string()), 400);
        assert_eq!(send("/classify", json, &json!({"input": CANARY, "user": CANARY}).to_string()), 200);
        assert_eq!(send("/v1/emotions", "text/plain", CANARY), 415);
        assert_eq!(send("/predict", json, &json!({"inputs": [CANARY, CANARY]}).to_string()), 422);
        assert_eq!(send("/", json, &json!({"inputs": CANARY, "parameters": {"function_to_apply": CANARY}}).to_string()), 422);
        assert_eq!(send(&format!("/{CANARY}?q={CANARY}"), json, CANARY), 404);
        let (status, written) = program.stop();
        assert_eq!(status, Some(0));
        assert!(written.matches("answered").count() >= 16, "requests left no line, so the test sees nothing: {written}");
        assert!(!written.contains(CANARY), "{written}");
        assert_eq!(written.matches("traces are lost").count(), 1, "{written}");
        let lines = written.lines().skip_while(|line| !line.starts_with("threads ")).skip(1);
        let parsed = lines.filter(|line| serde_json::from_str::<Value>(line).is_ok_and(|line| line["fields"]["message"].is_string()));
        assert!(format == "text" || parsed.count() >= 18, "a line is no JSON object: {written}");
    }
}

#[test]
fn a_key_is_never_logged_and_its_name_is() {
    const KEY: &str = "limbic_zyxwcanary0123456789";
    let dir = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(dir.path(), Precision::Fp32);
    let spelt = format!("laboratory:{}", KeyHash::of(KEY.as_bytes()));
    for format in ["text", "json"] {
        let program = Program::start(&bundle, &["--log-level", "trace", "--log-format", format, "--key", &spelt]);
        let send = |header: &str, value: &str| {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let request = agent.post(format!("{}/v1/emotions", program.url)).header(header, value);
            request.send_json(json!({"input": "a text"})).unwrap().status().as_u16()
        };
        assert_eq!((send("x-api-key", KEY), send("authorization", &format!("Bearer {KEY}"))), (200, 200));
        assert_eq!((send("x-api-key", &format!("{KEY}x")), send("authorization", &format!("Basic {KEY}"))), (401, 401));
        let (status, written) = program.stop();
        assert_eq!((status, written.matches("laboratory").count()), (Some(0), 2), "{written}");
        assert!(!written.contains("zyxwcanary"), "{written}");
    }
}

#[track_caller]
fn refuses(mut command: Command, parts: &[&str]) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("limbic-serve: "), "{said}");
    for part in parts {
        assert!(last.contains(part), "{last:?} does not say {part:?}");
    }
}

#[test]
fn what_keeps_it_from_starting_is_said_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(dir.path(), Precision::Fp32);
    let with = |more: &[&str]| {
        let mut command = command(&bundle);
        command.args(more);
        command
    };
    refuses(command(&dir.path().join("nowhere")), &["the bundle cannot be opened", "nowhere"]);
    let mut without = Command::new(PROGRAM);
    without.env_remove("LIMBIC_BUNDLE").env("ORT_DYLIB_PATH", onnxruntime()).stdout(Stdio::piped()).stderr(Stdio::piped());
    refuses(without, &["--bundle", "--models"]);
    let empty = tempfile::tempdir().unwrap();
    let mut command_of_none = bare();
    command_of_none.arg("--models").arg(empty.path());
    refuses(command_of_none, &["holds no bundle"]);
    refuses(with(&["--admin-listen", "nowhere"]), &["--admin-listen", "HOST:PORT"]);
    refuses(with(&["--default-model", "other"]), &["--default-model", "\"other\"", "tiny"]);
    refuses(with(&["--ort-library", "nowhere.so"]), &["nowhere.so", "scripts/setup"]);
    refuses(with(&["--listen", "nowhere"]), &["--listen", "HOST:PORT"]);
    refuses(with(&["--otlp-endpoint", "https://collector"]), &["--otlp-endpoint \"https://collector\"", "http://HOST:PORT"]);
    refuses(with(&["--otlp-endpoint", "http://a b"]), &["traces cannot be told", "http://a b"]);
    refuses(with(&["--tls-cert", "nowhere.pem", "--tls-key", "nowhere.pem"]), &["TLS cannot be served", "nowhere.pem: cannot be read"]);
    let key = format!("lab:{}", KeyHash::of(b"a"));
    refuses(with(&["--key", &key, "--key", &key]), &["two keys are named \"lab\""]);
    refuses(with(&["--key", &key, "--admin-listen", "127.0.0.1:0"]), &["no key is one", "limbic-serve key --admin"]);
    refuses(with(&["--queue-texts", "8"]), &["--queue-texts 8", "--max-texts 64"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    refuses(with(&["--listen", &taken.local_addr().unwrap().to_string()]), &["cannot listen on 127.0.0.1"]);
    std::fs::write(bundle.join("golden.json"), "{}").unwrap();
    refuses(command(&bundle), &["golden.json"]);
}
