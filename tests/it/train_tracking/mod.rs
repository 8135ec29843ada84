//! Tracking: event files against TensorBoard's own, and a run beside an MLflow server that answers,
//! hangs, fails or is not there. `scripts/test --with-mlflow` does the same with the real ones.

mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use limbic::train::tracking::{EventFile, Pace, Secret, TrackingEnvironment};
use prost::Message;
use serde_json::Value;
use server::{Manners, Server};

use super::support::fixture;
use super::train_trial::{Trial, never};

const BEGUN: Duration = Duration::from_millis(1_700_000_000_250);

#[test]
fn event_files_are_tensorboards_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events");
    let value = |tag: &str, value: f64| (tag.to_owned(), value);
    let mut file = EventFile::create(&path, BEGUN).unwrap();
    file.start(7, BEGUN).unwrap();
    let at = |step: u64| (step, BEGUN + Duration::from_secs(step));
    for ((step, time), values) in [
        (at(7), vec![value("loss", 0.5), value("lr", 1e-4)]),
        (at(8), vec![value("loss", 0.0), value("lr", -0.0)]),
        (at(300), vec![value("loss", f64::INFINITY)]),
    ] {
        file.scalars(step, time, &values).unwrap();
    }
    assert_eq!(fs::read(&path).unwrap(), fs::read(fixture("events.tfevents")).unwrap());
    let refused = EventFile::create(&path, BEGUN).unwrap_err().to_string();
    assert!(refused.contains("events: cannot create"), "{refused}");
}

/// Figures by phase and name, each with its step.
type Figures = BTreeMap<String, Vec<(u64, f64)>>;

fn sorted(mut figures: Figures) -> Figures {
    figures.values_mut().for_each(|points| points.sort_by(|left, right| left.partial_cmp(right).unwrap()));
    figures
}

/// What `metrics.jsonl` holds.
fn written(trial: &Trial) -> Figures {
    let mut figures = Figures::new();
    for line in String::from_utf8(trial.file("metrics.jsonl")).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let numbers = line.as_object().unwrap().iter().filter(|(name, value)| *name != "step" && value.is_number());
        for (name, value) in numbers {
            let key = format!("{}/{name}", line["phase"].as_str().unwrap());
            figures.entry(key).or_default().push((line["step"].as_u64().unwrap(), value.as_f64().unwrap()));
        }
    }
    sorted(figures)
}

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Scalars of a phase's folder, forgetting as readers of the format do where a session begins.
fn scalars(folder: &Path, phase: &str, figures: &mut Figures) -> usize {
    let mut paths: Vec<_> = fs::read_dir(folder.join(phase)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in &paths {
        let bytes = fs::read(path).unwrap();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = usize::try_from(u64::from_le_bytes(rest[..8].try_into().unwrap())).unwrap();
            let event = Event::decode(&rest[12..12 + length]).unwrap();
            rest = &rest[16 + length..];
            let step = u64::try_from(event.step).unwrap();
            if event.session_log.is_some() {
                figures.values_mut().for_each(|points| points.retain(|point| point.0 < step));
            }
            for scalar in event.summary.into_iter().flat_map(|summary| summary.value) {
                figures.entry(format!("{phase}/{}", scalar.tag)).or_default().push((step, f64::from(scalar.simple_value)));
            }
        }
    }
    paths.len()
}

#[test]
fn a_stopped_run_leaves_one_curve_in_tensorboard() {
    let trial = Trial::new(&["tracking.tensorboard=true", "train.epochs=2", "folds.k=2"]);
    trial.run(&|phase, step| phase == "fold-0" && step == 13).0.map(|_| ()).unwrap_err();
    trial.run(&never).0.unwrap();
    let folder = trial.folder.path().join("run/tensorboard");
    let (mut found, mut files) = (Figures::new(), Vec::new());
    for phase in ["fold-0", "fold-1", "refit"] {
        let mut figures = Figures::new();
        files.push(scalars(&folder, phase, &mut figures));
        found.append(&mut figures);
    }
    assert_eq!(files, [2, 1, 1], "a stopped fit has a file of each session");
    let mut expected = written(&trial);
    expected.values_mut().flatten().for_each(|point| point.1 = f64::from(point.1 as f32));
    assert!(expected.len() > 15 && expected["fold-0/loss"].len() > 13, "{:?}", expected.keys());
    assert_eq!(sorted(found), expected);
    for set in ["out_of_fold", "held_out"] {
        let mut figures = Figures::new();
        assert_eq!(scalars(&folder, set, &mut figures), 1);
        assert_eq!(figures[&format!("{set}/macro_f1")].len(), 1, "{:?}", figures.keys());
    }
}

fn quick(address: &str) -> TrackingEnvironment {
    let short = Duration::from_millis(200);
    let variable = |name: &str| match name {
        "MLFLOW_TRACKING_URI" => Some(format!("{address}/")),
        "MLFLOW_TRACKING_USERNAME" => Some("somebody".to_owned()),
        "MLFLOW_TRACKING_PASSWORD" => Some("between-us".to_owned()),
        _ => None,
    };
    let pace = Pace { flush: short, rest: short, longest_rest: short, request: Duration::from_secs(600), closing: Duration::from_secs(60) };
    TrackingEnvironment { pace, ..TrackingEnvironment::read(variable) }
}

fn trial(address: &str) -> Trial {
    let mut trial = Trial::new(&["tracking.mlflow=true", "train.epochs=1", "folds.k=2"]);
    trial.tracking = quick(address);
    trial
}

/// What the server was told of metrics, but for the measured sets.
fn metrics(server: &Server, run: &str) -> Figures {
    let mut figures = Figures::new();
    for batch in server.told("runs/log-batch").iter().filter(|batch| batch["run_id"] == run) {
        let metrics = batch["metrics"].as_array().cloned().unwrap_or_default();
        assert!(metrics.len() <= 1000, "{} metrics in one request", metrics.len());
        for metric in metrics {
            assert!(metric["timestamp"].as_u64().unwrap() > 1_700_000_000_000);
            let point = (metric["step"].as_u64().unwrap(), metric["value"].as_f64().unwrap());
            figures.entry(metric["key"].as_str().unwrap().to_owned()).or_default().push(point);
        }
    }
    sorted(figures)
}

#[test]
fn a_server_is_told_everything_once() {
    let server = Server::start(Manners::Good);
    let mut trial = trial(&server.address);
    let (report, said) = trial.run(&never);
    report.unwrap();
    assert!(!said.contains("MLflow"), "{said}");

    let mut found = metrics(&server, "run-0");
    let sets: Vec<String> = found.keys().filter(|key| key.starts_with("out_of_fold/") || key.starts_with("held_out")).cloned().collect();
    assert!(sets.iter().any(|key| key == "held_out/macro_f1") && sets.iter().any(|key| key == "held_out_uncalibrated/at_half/brier"));
    sets.iter().for_each(|key| drop(found.remove(key)));
    let expected = written(&trial);
    assert!(expected.len() > 15);
    assert_eq!(found, expected);

    let parameters: BTreeMap<String, String> = (server.told("runs/log-batch").iter())
        .flat_map(|batch| batch["params"].as_array().cloned().unwrap_or_default())
        .map(|pair| (pair["key"].as_str().unwrap().to_owned(), pair["value"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!((parameters["train.epochs"].as_str(), parameters["bundle.name"].as_str()), ("1", "smoke"));
    assert_eq!(parameters["data.labels"], r#"["joy", "sadness", "anger", "fear"]"#);
    assert!(parameters.len() > 30 && parameters.keys().all(|key| !key.starts_with("tracking")), "{parameters:?}");

    let asked = server.asked();
    assert!(asked.iter().all(|request| request.authorization.as_deref() == Some("Basic c29tZWJvZHk6YmV0d2Vlbi11cw==")));
    for name in ["report.html", "report.md", "report.json"] {
        let path = format!("PUT /api/2.0/mlflow-artifacts/artifacts/7/run-0/artifacts/{name}");
        let kept: Vec<_> = asked.iter().filter(|request| request.line == path).map(|request| request.body.clone()).collect();
        assert_eq!(kept, [trial.file(name)], "{path}");
    }
    let update = asked.last().unwrap().json();
    assert_eq!((update["status"].as_str(), update["run_id"].as_str()), (Some("FINISHED"), Some("run-0")));
    assert!(asked[0].line.ends_with("get-by-name?experiment_name=smoke"), "{}", asked[0].line);

    // The same again is the same run there; with another recipe it is another.
    trial.run(&never).0.unwrap();
    assert_eq!(server.told("runs/create").len(), 1);
    assert_eq!(server.told("runs/update")[1]["status"], "RUNNING");
    trial.set.push("calibration.kind=isotonic".to_owned());
    trial.run(&never).0.unwrap();
    assert_eq!(server.told("runs/create").len(), 2);
}

#[test]
fn a_stopped_run_says_so_and_continues_on_the_server() {
    let server = Server::start(Manners::Good);
    let trial = trial(&server.address);
    trial.run(&|phase, step| phase == "fold-1" && step == 2).0.map(|_| ()).unwrap_err();
    assert_eq!(server.told("runs/update").last().unwrap()["status"], "KILLED");
    trial.run(&never).0.unwrap();
    let statuses: Vec<Value> = server.told("runs/update").iter().map(|update| update["status"].clone()).collect();
    assert_eq!(statuses, ["KILLED", "RUNNING", "FINISHED"]);
    assert_eq!(server.told("runs/create").len(), 1);
}

/// Runs beside a server that is no use: the run must not care, and say so once.
fn check_useless(trial: &Trial, expected: &str) {
    let begun = Instant::now();
    let (report, said) = trial.run(&never);
    report.unwrap_or_else(|error| panic!("{error}\n{said}"));
    // One request may last longer than this: nobody waited for it.
    assert!(begun.elapsed() < trial.tracking.pace.request, "{:?}", begun.elapsed());
    assert_eq!(
        (said.matches("warning: MLflow: the tracking server").count(), said.matches(expected).count()),
        (1, 1),
        "{expected}: {said}"
    );
    assert_eq!(said.matches("figures were not taken").count(), 1, "{said}");
    assert!(!said.contains("between-us") && !said.contains("127.0.0.1"), "{said}");
    assert!(written(trial).len() > 15);
}

#[test]
fn a_server_that_is_absent_slow_or_broken_stops_nothing() {
    let absent = Server::start(Manners::Good).address.clone();
    check_useless(&trial(&absent), "cannot be used (connection refused)");

    let broken = Server::start(Manners::Status(500));
    check_useless(&trial(&broken.address), "cannot be used (status 500 MADE_UP as asked)");
    assert!(broken.asked().len() > 1, "it was asked again");

    let refusing = Server::start(Manners::Status(403));
    check_useless(&trial(&refusing.address), "refuses (status 403 MADE_UP as asked); nothing more is sent to it");
    assert_eq!(refusing.asked().len(), 1, "a refusal is taken for an answer");

    let slow = Server::start(Manners::Hangs);
    let mut patient = trial(&slow.address);
    patient.tracking.pace.closing = Duration::from_millis(300);
    let (report, said) = patient.run(&never);
    report.unwrap();
    assert!(said.contains("figures were not taken within 0.3 s") && slow.asked().len() == 1, "{said}");

    let mut impatient = trial(&slow.address);
    impatient.tracking.pace.request = Duration::from_millis(100);
    let (report, said) = impatient.run(&never);
    report.unwrap();
    assert_eq!(said.matches("cannot be used (no answer in time)").count(), 1, "{said}");
}

#[test]
fn an_environment_that_names_no_server_is_refused_and_never_shown() {
    let check = |change: &dyn Fn(&mut TrackingEnvironment), expected: &str| {
        let mut trial = trial("http://127.0.0.1:9");
        change(&mut trial.tracking);
        let found = trial.run(&never).0.map(|_| ()).unwrap_err().to_string();
        assert!(found.contains(expected), "{found}");
    };
    let uri = |text: &str| Some(Secret::new(text.to_owned()));
    check(&|env| env.uri = None, "expected the server's address in MLFLOW_TRACKING_URI, found none");
    check(&|env| env.uri = uri("file:runs"), "MLFLOW_TRACKING_URI: expected http:// or https:// and a host");
    check(&|env| env.uri = uri("https://"), "MLFLOW_TRACKING_URI: expected http:// or https:// and a host");
    check(&|env| env.uri = uri("http://a:b@host"), "MLFLOW_TRACKING_URI: expected no @, found one");
    check(&|env| env.username = None, "expected both or neither, found one");
    let shown = format!("{:?}", quick("http://hidden"));
    assert!(shown.matches("***").count() == 3 && !shown.contains("hidden") && !shown.contains("between-us"), "{shown}");
}
