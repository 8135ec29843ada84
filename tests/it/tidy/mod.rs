//! Holds the house to its rules: the import table, one crate of a kind in one room, calls that
//! stay at the edge, the form and length of files, and no trace of one machine.
//!
//! `table` is the rules as data, `scan` reads source, `rules` judges it; here the repository is
//! walked. Each rule is also shown a text that breaks it, so that none can pass by seeing nothing.

mod rules;
mod scan;
mod table;

use std::fs;
use std::path::Path;

use self::table::{BIN_LINES, FILE_LINES, MAP_LINES, ROOMS};
use super::support::repo_root;

/// A text file of the repository: its path from the root, with slashes, and its content.
struct Text {
    path: String,
    content: String,
}

/// Every text file of the repository, without what is built, fetched or ignored.
fn texts() -> Vec<Text> {
    let mut found = Vec::new();
    walk(repo_root(), "", &mut found);
    found.sort_by(|left, right| left.path.cmp(&right.path));
    found
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<Text>) {
    for entry in fs::read_dir(folder).expect("the repository can be listed") {
        let entry = entry.expect("the repository can be listed");
        let name = entry.file_name().into_string().expect("file names are UTF-8");
        let kind = entry.file_type().expect("a file has a type");
        let path = format!("{prefix}{name}");
        if kind.is_dir() && !["target", ".cache", ".git", "runs"].contains(&path.as_str()) && name != "__pycache__" {
            walk(&entry.path(), &format!("{path}/"), found);
        } else if kind.is_file() && name != ".git" {
            // What is not UTF-8 is weights or pictures: no rule speaks of it.
            if let Ok(content) = fs::read_to_string(entry.path()) {
                found.push(Text { path, content });
            }
        }
    }
}

fn rust() -> Vec<Text> {
    texts().into_iter().filter(|text| text.path.ends_with(".rs")).collect()
}

/// Runs one rule over files and fails with all its complaints. `least` is how many files it must
/// have seen: a rule that sees none proves nothing.
fn check(files: &[Text], least: usize, rule: impl Fn(&Text) -> Vec<String>) {
    assert!(files.len() >= least, "saw {} files, expected at least {least}", files.len());
    let complaints: Vec<String> = files.iter().flat_map(rule).collect();
    assert!(complaints.is_empty(), "{} complaints over {} files:\n{}", complaints.len(), files.len(), complaints.join("\n"));
}

fn source() -> Vec<Text> {
    let inside = |text: Text| text.path.strip_prefix("src/").map(str::to_owned).map(|path| Text { path, content: text.content });
    rust().into_iter().filter_map(inside).collect()
}

#[test]
fn every_room_has_a_row_in_the_table() {
    let files = source();
    check(&files, 25, |text| {
        let known = text.path == "lib.rs" || rules::room_of(&text.path).is_some();
        if known { Vec::new() } else { vec![format!("src/{}: no row in tidy's table", text.path)] }
    });
    for room in ROOMS {
        assert!(
            files.iter().any(|text| rules::room_of(&text.path).is_some_and(|found| found.name == room.name)),
            "{}: no such room",
            room.name
        );
    }
}

#[test]
fn rooms_import_downwards_only() {
    check(&source(), 25, |text| rules::imports(&text.path, &text.content));
}

#[test]
fn crates_stay_in_their_room() {
    check(&source(), 25, |text| rules::crates(&text.path, &text.content));
}

#[test]
fn every_dependency_has_a_room() {
    let manifest = fs::read_to_string(repo_root().join("Cargo.toml")).expect("Cargo.toml can be read");
    assert_eq!(rules::homeless(&manifest), Vec::<String>::new());
}

#[test]
fn the_edge_keeps_its_calls() {
    check(&rust(), 28, |text| rules::bans(&text.path, &text.content));
}

#[test]
fn files_open_with_their_purpose_and_stay_short() {
    check(&rust(), 28, |text| {
        let most = if text.path.starts_with("src/bin/") { BIN_LINES } else { FILE_LINES };
        rules::form(&text.path, &text.content, most)
    });
}

#[test]
fn the_map_stays_readable() {
    let map = fs::read_to_string(repo_root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md can be read");
    assert_eq!(rules::length("ARCHITECTURE.md", &map, MAP_LINES), None);
}

#[test]
fn nothing_names_one_machine_or_a_registry() {
    check(&texts(), 35, |text| rules::places(&text.path, &text.content));
}

mod rules_can_fail {
    //! Each rule, shown a text that breaks it and a neighbour that does not.

    use super::rules;

    #[track_caller]
    fn check(found: &[String], expected: &[&str]) {
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (complaint, part) in found.iter().zip(expected) {
            assert!(complaint.contains(part), "{complaint:?} does not say {part:?}");
        }
    }

    #[test]
    fn imports() {
        check(&rules::imports("spec/mod.rs", "use crate::text::Batch;"), &["spec/mod.rs:1: spec may not import text"]);
        check(&rules::imports("text/a.rs", "\nfn f() -> crate::decide::Logits {}"), &["text/a.rs:2: text may not import decide"]);
        check(
            &rules::imports("serve/x/y.rs", "use crate::{spec::{Task, nn}, model::{Head}, train};"),
            &["serve may not import model", "serve may not import train"],
        );
        check(&rules::imports("export/graph.rs", "use crate::backend::Backend;"), &["export may not import backend"]);
        check(&rules::imports("export/verify.rs", "use crate::backend::Backend;"), &[]);
        check(&rules::imports("bin/serve.rs", "limbic::train::run()"), &["bin/serve.rs may not import train"]);
        check(&rules::imports("text/a.rs", "use crate::spec::Task; // crate::train is not named\nlet a = \"crate::train\";"), &[]);
        check(&rules::imports("text/mod.rs", "use super::train::run;"), &["leaves its room by super"]);
        check(&rules::imports("text/a.rs", "use super::super::train::run;"), &["leaves its room by super"]);
        check(&rules::imports("text/mod.rs", "mod tests {\n use super::*;\n}"), &[]);
        check(&rules::imports("text/a.rs", "use super::Batch;"), &[]);
    }

    #[test]
    fn crates() {
        check(&rules::crates("serve/app.rs", "use tokenizers::Tokenizer;"), &["tokenizers belongs to text"]);
        check(&rules::crates("backend/onnx.rs", "let t = candle_core::Tensor::zeros();"), &["candle_core belongs to nn"]);
        check(&rules::crates("train/run.rs", "use anyhow as any;"), &["anyhow belongs to bin"]);
        check(
            &rules::crates("serve/run.rs", "#[::ort::x]\nfn a(x: ::ort::Value) {}"),
            &["ort belongs to backend", "ort belongs to backend"],
        );
        check(&rules::crates("lib.rs", "pub use rayon;"), &["rayon belongs to"]);
        check(&rules::crates("serve/app.rs", "use crate::backend::{ort::X};\nlet ort = 1; crate::x::ort::y();"), &[]);
        check(&rules::crates("backend/onnx.rs", "use ort::session::Session;"), &[]);
    }

    #[test]
    fn dependencies() {
        let manifest = "[package]\nname = \"a\"\n\n[dependencies]\nserde = \"1\"\nleft-pad = \"1\"\n\n[dev-dependencies]\ninsta = \"1\"\n";
        check(&rules::homeless(manifest), &["left_pad has no room"]);
    }

    #[test]
    fn bans() {
        check(&rules::bans("src/train/a.rs", "let a = std::env::var(x);"), &["std::env", "env::var"]);
        check(&rules::bans("src/serve/a.rs", "eprintln!(\"a\");"), &["eprintln!"]);
        check(&rules::bans("src/nn/a.rs", "let t = Instant::now();\nstd::fs::read(p);"), &["nn/a.rs:1", "nn/a.rs:2"]);
        check(&rules::bans("src/serve/a.rs", "let t = Instant::now();"), &[]);
        check(&rules::bans("src/bin/train.rs", "println!(\"{}\", std::env::args().count());"), &[]);
        check(&rules::bans("src/text/a.rs", "#[cfg(test)]\nmod tests { fn f() { std::fs::read(p); } }"), &[]);
        check(&rules::bans("tests/it/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}"), &["tests/it/a.rs:2: #[ignore"]);
        check(&rules::bans("src/nn/a.rs", "// println!\nlet s = r#\"println!\"#; let c = '\"'; println!();"), &["nn/a.rs:2"]);
    }

    #[test]
    fn form() {
        check(&rules::form("a.rs", "fn a() {}\n", 500), &["opens with //!"]);
        check(&rules::form("a.rs", &format!("//! A.\n{}", "\n".repeat(500)), 500), &["501 lines, at most 500"]);
        check(&rules::form("a.rs", "//! A.\n", 500), &[]);
    }

    #[test]
    fn places() {
        let host = ["https://pypi", ".org/simple"].concat();
        let home = ["let a = \"/ro", "ot/x\";"].concat();
        check(&rules::places("a.md", &format!("see\n{host}")), &["a.md:2: names a registry"]);
        check(&rules::places("a.rs", &home), &["a.rs:1: holds a path"]);
        check(&rules::places("Cargo.lock", &host), &[]);
        check(&rules::places("a.md", "see docs/home/x and ./tmp/y, $root/z"), &[]);
    }
}
