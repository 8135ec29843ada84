//! `limbic-train predict`, from outside: every way in and out, what it refuses, and how much it holds.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use limbic::backend::{self, EngineKind};
use limbic::bundle::Bundle;
use limbic::decide::Prediction;
use limbic::spec::Precision;
use limbic::text::Batch;

use super::support::{onnxruntime, repo_root};
use super::tiny;
use super::train_cli::limbic_train;

/// Texts with whatever a comma-separated file must quote.
const TEXTS: [&str; 4] = ["we won, at last", "she said \"never again\" and left", "the train leaves at nine", "how dare you"];

struct Place {
    folder: tempfile::TempDir,
    bundle: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bundle = tiny::bundle(folder.path(), Precision::Fp32);
        Self { folder, bundle }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Runs `predict` on `input`; returns the file written, or what was said.
    fn predict(&self, input: &Path, args: &[&str]) -> Result<String, String> {
        let out = self.folder.path().join("out");
        let fixed = ["predict", self.bundle.to_str().unwrap(), input.to_str().unwrap(), "-o", out.to_str().unwrap()];
        let (succeeded, said, err) = limbic_train(&[&fixed, args].concat());
        assert!(said.is_empty(), "{said}");
        let partial = self.folder.path().join(".out.partial");
        assert!(!partial.exists(), "left behind");
        if succeeded { Ok(std::fs::read_to_string(out).unwrap()) } else { Err(err.replace(self.folder.path().to_str().unwrap(), "DIR")) }
    }

    /// What the bundle says of [`TEXTS`], one text at a time.
    fn expected(&self) -> Vec<Prediction> {
        let bundle = Bundle::open(&self.bundle).unwrap();
        let mut engine = backend::open(EngineKind::Candle, &bundle, &tiny::options()).unwrap();
        let encoder = bundle.text_encoder();
        let of = |text: &&str| {
            let logits = engine.forward(&Batch::new([&encoder.encode(text).unwrap()]).unwrap()).unwrap();
            bundle.decider().decide(&logits).remove(0)
        };
        TEXTS.iter().map(of).collect()
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn ids() -> impl Iterator<Item = (String, &'static str)> {
    TEXTS.iter().enumerate().map(|(row, text)| (format!("2018-{:05}", 9 - row), *text))
}

#[test]
fn every_way_in_gives_one_submission() {
    let place = Place::new();
    let header = "ID,joy,sadness,anger\n";
    let row = |((id, _), said): ((String, &str), Prediction)| {
        let cells: Vec<&str> = (0..3).map(|label| if said.labels.contains(&label) { "1" } else { "0" }).collect();
        format!("{id},{}\n", cells.join(","))
    };
    let rows: Vec<String> = ids().zip(place.expected()).map(row).collect();
    assert!(rows.iter().any(|row| row.contains('1')) && rows.iter().any(|row| row.contains('0')), "{rows:?}");
    let expected = format!("{header}{}", rows.concat());

    let commas = |tail: &str| ids().map(|(id, text)| format!("{id},{}{tail}\n", quoted(text))).collect::<String>();
    let csv = place.file("in.csv", &format!("ID,Tweet,joy,sadness,anger\n{}", commas(",NONE,NONE,NONE")));
    let labelled = place.file("labelled.csv", &format!("ID,Tweet,joy,sadness,anger\n{}", commas(",1,0,1")));
    let tabs: String = ids().map(|(id, text)| format!("{id}\t{text}\t0\t0\t0\r\n")).collect();
    let tsv = place.file("in.tsv", &format!("ID\tTweet\tjoy\tsadness\tanger\r\n{tabs}"));
    let lines: String = ids().map(|(id, text)| format!("{}\n", serde_json::json!({"id": id, "text": text}))).collect();
    let jsonl = place.file("in.jsonl", &lines);
    let other: String = ids().map(|(id, text)| format!("x,{},{id}\n", quoted(text))).collect();
    let columns = place.file("other.csv", &format!("junk,what,key\n{other}"));
    let sample = place.file("sample.csv", &format!("{header}{}", ids().map(|(id, _)| format!("{id},0,0,0\n")).collect::<String>()));

    let named = ["--format", "csv", "--id-column", "key", "--text-column", "what"];
    let cases: [(&Path, &[&str]); 5] = [
        (&csv, &["--format", "ec_csv", "--sample", sample.to_str().unwrap()]),
        (&labelled, &["--format", "ec_csv", "--engine", "onnx"]),
        (&tsv, &["--format", "ec_tsv"]),
        (&jsonl, &["--format", "jsonl"]),
        (&columns, &named),
    ];
    for (input, args) in cases {
        assert_eq!(place.predict(input, args).unwrap(), expected, "{}", input.display());
    }
    let mut child = spawn(&place.bundle, &place.folder.path().join("piped"), &named);
    child.stdin.take().unwrap().write_all(&std::fs::read(&columns).unwrap()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(std::fs::read_to_string(place.folder.path().join("piped")).unwrap(), expected);
}

#[test]
fn probabilities_and_lines_say_what_the_bundle_says() {
    let place = Place::new();
    let lines: String = ids().map(|(id, text)| format!("{}\n", serde_json::json!({"id": id, "text": text}))).collect();
    let input = place.file("in.jsonl", &lines);
    let (scores, objects) = (
        place.predict(&input, &["--format", "jsonl", "--scores"]).unwrap(),
        place.predict(&input, &["--format", "jsonl", "--scores", "--jsonl"]).unwrap(),
    );
    let plain = place.predict(&input, &["--format", "jsonl", "--jsonl"]).unwrap();
    assert_eq!([scores.lines().count(), objects.lines().count(), plain.lines().count()], [5, 4, 4]);
    for (row, (said, (id, _))) in place.expected().iter().zip(ids()).enumerate() {
        let cells: Vec<&str> = scores.lines().nth(row + 1).unwrap().split(',').collect();
        let object: serde_json::Value = serde_json::from_str(objects.lines().nth(row).unwrap()).unwrap();
        let plain: serde_json::Value = serde_json::from_str(plain.lines().nth(row).unwrap()).unwrap();
        assert_eq!((cells[0], object["id"].as_str(), plain.get("scores")), (id.as_str(), Some(id.as_str()), None));
        for (label, name) in tiny::LABELS.iter().enumerate() {
            let score = f64::from(said.scores[label]);
            assert!(
                (cells[label + 1].parse::<f64>().unwrap() - score).abs() < 1e-6
                    && (object["scores"][name].as_f64().unwrap() - score).abs() < 1e-6
            );
            let given = object["labels"].as_array().unwrap().iter().any(|given| given == name);
            assert_eq!((given, &object["labels"]), (said.labels.contains(&label), &plain["labels"]));
        }
    }
}

#[test]
fn what_a_competition_would_refuse_is_refused_here() {
    let place = Place::new();
    let csv = |rows: &str| format!("id,text\n{rows}");
    let named: &[&str] = &["--format", "csv", "--id-column", "id", "--text-column", "text"];
    let good = place.file("good.csv", &csv("a,one\nb,two\n"));
    let stood = place.predict(&good, named).unwrap();
    let check = |rows: &str, args: &[&str], expected: &str| {
        let input = place.file("in.csv", rows);
        let said = place.predict(&input, &[named, args].concat()).unwrap_err();
        assert_eq!(said.trim_end(), format!("limbic-train: {expected}"));
        assert_eq!(std::fs::read_to_string(place.folder.path().join("out")).unwrap(), stood, "the old file stays");
    };
    check(&csv("a,one\nb\n"), &[], "DIR/in.csv:3: expected 2 columns, found 1");
    check(
        &csv("a,one\nb,two\na,three\n"),
        &[],
        "DIR/out:4: expected every id once, found \"a\", which stands in line 2 already; nothing was written",
    );
    check(&csv(""), &[], "DIR/in.csv: expected at least one row, found none");
    check("", &[], "DIR/in.csv: expected at least one row, found none");

    let sample = |name: &str, content: &str| place.file(name, content).to_str().unwrap().to_owned();
    let samples = [
        (
            sample("s1", "ID,joy,anger,sadness\na,0,0,0\nb,0,0,0\n"),
            "1: expected the header \"ID,joy,anger,sadness\" of DIR/s1, found ID,joy,sadness,anger",
        ),
        (sample("s2", "ID,joy,sadness,anger\nb,0,0,0\na,0,0,0\n"), "2: expected the id \"b\" of DIR/s2, found a"),
        (sample("s3", "ID,joy,sadness,anger\na,0,0,0\n"), "3: expected the end of DIR/s3, found b,"),
        (sample("s4", "ID,joy,sadness,anger\na,0,0,0\nb,0,0,0\nc,0,0,0\n"), "4: expected the row \"c,0,0,0\" of DIR/s4, found the end"),
    ];
    for (sample, expected) in &samples {
        let said = place.predict(&good, &[named, &["--sample", sample]].concat()).unwrap_err();
        assert!(said.contains(&format!("DIR/out:{expected}")) && said.contains("; nothing was written"), "{said}");
    }

    let usage = |args: &[&str], expected: &str| {
        let said = place.predict(&good, args).unwrap_err();
        assert!(said.contains(expected), "{said}");
    };
    usage(&["--format", "csv"], "--format: expected --id-column and --text-column with csv, found csv without them");
    usage(&["--format", "jsonl", "--id-column", "id"], "--format: expected csv with --id-column and --text-column");
    usage(&[named, &["--jsonl", "--sample", "s"]].concat(), "--sample: expected comma-separated output, found --jsonl");
    usage(&["--format", "xml"], "expected csv, ec_tsv, ec_csv, goemotions, xed, xed_neutral, brighter_csv or jsonl, found xml");
}

fn spawn(bundle: &Path, out: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_limbic-train"));
    command.args(["predict", bundle.to_str().unwrap(), "-", "-o", out.to_str().unwrap()]).args(args);
    command.current_dir(repo_root()).env("ORT_DYLIB_PATH", onnxruntime());
    command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The most memory that a process ever held, in KiB.
fn peak(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_long_file_needs_no_more_memory_than_a_short_one() {
    let place = Place::new();
    let out = place.folder.path().join("out");
    let mut child = spawn(&place.bundle, &out, &["--format", "csv", "--id-column", "id", "--text-column", "text"]);
    let (mut input, mut said) = (child.stdin.take().unwrap(), BufReader::new(child.stderr.take().unwrap()).lines());
    input.write_all(b"id,text\n").unwrap();
    let padding = "x".repeat(4096);
    let mut rows = 0;
    // Rows are fed until the program says that it answered them; then it waits, and holds what it holds.
    let mut feed = |until: usize, child: &Child| {
        while rows < until {
            let chunk: String = (rows..rows + 256).map(|row| format!("row-{row},we won {padding} at last\n")).collect();
            input.write_all(chunk.as_bytes()).unwrap();
            rows += 256;
        }
        while said.next().unwrap().unwrap() != format!("{until} rows") {}
        peak(child)
    };
    let short = feed(2048, &child);
    let long = feed(6 * 2048, &child);
    drop(input);
    assert!(child.wait().unwrap().success());
    // 5 x 2048 rows of 4 KiB are 40 MiB of text.
    assert!(long < short + 12 * 1024, "{short} KiB after 2048 rows, {long} KiB after {}", 6 * 2048);
    assert_eq!(std::fs::read_to_string(out).unwrap().lines().count(), 6 * 2048 + 1);
}

#[test]
fn the_default_model_writes_a_submission() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (folder.path().join("in.csv"), folder.path().join("out.csv"));
    std::fs::write(&input, "key,what\np1,\"we won, i am so happy!\"\np2,i am so scared of tomorrow\n").unwrap();
    let bundle = repo_root().join("models/tweet-emotion-minilm/bundle");
    let [bundle, input, output] = [&bundle, &input, &out].map(|path| path.to_str().unwrap());
    let (succeeded, _, err) =
        limbic_train(&["predict", bundle, input, "-o", output, "--format", "csv", "--id-column", "key", "--text-column", "what"]);
    assert!(succeeded, "{err}");
    let text = std::fs::read_to_string(&out).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0].join(","), "ID,anger,anticipation,disgust,fear,joy,love,optimism,pessimism,sadness,surprise,trust");
    assert_eq!((rows.len(), rows[1][0], rows[1][5], rows[2][0], rows[2][4], rows[2][5]), (3, "p1", "1", "p2", "1", "0"));
}
