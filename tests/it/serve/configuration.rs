//! Where an option's value comes from: what is typed, the environment, the file, the default; and the
//! page of all options, which is held to what they are.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::CommandFactory;
use limbic::serve::args::{Parsed, ServeArgs, Unparsed, docs, parse};

use crate::support::repo_root;

const PROGRAM: &str = env!("CARGO_BIN_EXE_limbic-serve");
const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

struct Written {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn written(text: &str) -> Written {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("limbic.toml");
    fs::write(&path, text).unwrap();
    Written { _dir: dir, path }
}

fn parsed(file: &Path, more: &[&str]) -> Result<Parsed, Unparsed> {
    let typed = ["limbic-serve".as_ref(), "--config".as_ref(), file.as_os_str()].map(OsString::from);
    parse(typed.into_iter().chain(more.iter().map(OsString::from)))
}

#[test]
fn the_page_of_all_options_is_what_they_are() {
    let path = repo_root().join("docs/configuration.md");
    let made = docs::markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "docs/configuration.md is not what the options say: run `just docs`, look at the change and commit it");
    assert!(made.matches("\n| `--").count() >= 30);
}

#[test]
fn every_option_has_its_three_names() {
    let command = ServeArgs::command();
    let mut seen = 0;
    for arg in command.get_arguments().filter(|arg| !["config", "print_config"].contains(&arg.get_id().as_str())) {
        let long = arg.get_long().unwrap();
        let variable = arg.get_env().and_then(|name| name.to_str()).unwrap();
        // Those that OpenTelemetry names are named as it does.
        let own = format!("LIMBIC_{}", long.to_uppercase().replace('-', "_"));
        assert!(variable == own || variable.starts_with("OTEL_"), "--{long}: {variable}");
        assert!(arg.get_help_heading().is_some(), "--{long} stands under no heading, so it has no place in the file");
        assert!(arg.get_help().is_some(), "--{long} says nothing of itself");
        seen += 1;
    }
    assert!(seen >= 30, "saw {seen} options");
}

#[test]
fn a_file_is_read_and_what_is_typed_wins() {
    let file = written(&format!(
        "[bundles]\nbundle = \"some/where\"\n[limits]\nqueue_texts = 2048\nmax_texts = 8\n[times]\ndeadline = \"250ms\"\n\
         [access]\ncors_origin = [\"https://a.example.org\", \"http://localhost:1\"]\nmetrics_access = \"key\"\n\
         [[access.key]]\nname = \"lab\"\nsha256 = \"{HASH}\"\ntexts_per_second = 2.5\nburst = 10\n\
         [[access.key]]\nname = \"operator\"\nsha256 = \"sha256:{}\"\nscope = \"admin\"\n\
         [tls]\ncert = \"a.pem\"\nkey = \"b.pem\"\n[log]\nlevel = \"debug\"\n",
        HASH.replace('b', "c")
    ));
    // A hash with its own prefix is no part of the key's name.
    let Parsed { args, page } = parsed(&file.path, &["--max-texts", "16"]).unwrap();
    let serving = args.serving;
    assert_eq!(serving.bundles.bundle.as_deref(), Some(Path::new("some/where")));
    assert_eq!((serving.limits.queue_texts.get(), serving.limits.max_texts.get()), (2048, 16));
    assert_eq!((serving.times.deadline, serving.times.max_deadline), (Duration::from_millis(250), Duration::from_secs(60)));
    assert_eq!(
        serving.access.cors_origin.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["https://a.example.org", "http://localhost:1"]
    );
    assert_eq!(
        serving.access.key.iter().map(|key| key.expose().to_owned()).collect::<Vec<_>>(),
        [format!("lab:{HASH}:texts=2.5:burst=10"), format!("operator:sha256:{}:admin", HASH.replace('b', "c")),]
    );
    assert_eq!((serving.tls.tls_cert, args.log.log_level), (Some("a.pem".into()), tracing::Level::DEBUG));
    for line in [
        "bundle = \"some/where\"  # file",
        "# models is not set",
        "queue_texts = 2048  # file",
        "max_texts = 16  # --max-texts",
        "queue_tokens = 65536  # default",
        "deadline = \"250ms\"  # file",
        "cors_origin = [\"https://a.example.org\", \"http://localhost:1\"]  # file",
        "# key = [secret], 2 of them  # file",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    assert!(!page.contains(HASH), "{page}");
    // The page is a file itself, and says the same again.
    let again = written(&page);
    let again = parsed(&again.path, &[]).unwrap().args.serving;
    assert_eq!(
        (again.limits.queue_texts.get(), again.limits.max_texts.get(), again.times.deadline),
        (2048, 16, Duration::from_millis(250))
    );
    assert_eq!(again.access.cors_origin, serving.access.cors_origin);
}

#[track_caller]
fn refused(text: &str, parts: &[&str]) {
    let file = written(text);
    let error = match parsed(&file.path, &[]) {
        Err(Unparsed::File(error)) => error.to_string(),
        other => panic!("{text:?} gave {other:?}"),
    };
    assert!(error.contains("limbic.toml:"), "{error}");
    for part in parts {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

#[test]
fn what_a_file_gets_wrong_is_said_with_its_key() {
    refused("[limits]\nqueue_text = 1", &["unknown key limits.queue_text; did you mean limits.queue_texts?"]);
    refused("[limit]\nqueue_texts = 1", &["unknown section [limit]; did you mean [limits]?"]);
    refused("queue_texts = 1", &["unknown section [queue_texts]"]);
    refused("limits = 1", &["limits: expected a section"]);
    refused("[log]\n[limits", &["limbic.toml:2: not TOML"]);
    refused("[limits]\nmax_texts = 1\nmax_texts = 2", &["not TOML", "duplicate"]);
    refused("[limits]\nmax_texts = 0", &["limits.max_texts: invalid value '0'"]);
    refused("[limits]\nmax_texts = [1]", &["limits.max_texts: expected one value, found a list"]);
    refused("[limits]\nmax_texts = { a = 1 }", &["limits.max_texts: expected a text"]);
    refused("[times]\ndeadline = \"soon\"", &["times.deadline: invalid value 'soon'", "10s or 250ms"]);
    refused("[log]\nformat = \"yaml\"", &["log.format: invalid value 'yaml'", "text, json"]);
    refused("[access]\ncors_origin = [\"example.org\"]", &["access.cors_origin", "'example.org'", "https://example.org"]);
    refused("[[access.key]]\nname = \"lab\"", &["access.key: sha256 is missing"]);
    refused(
        &format!("[[access.key]]\nname = \"lab\"\nsha256 = \"{HASH}\"\nrate = 1"),
        &["unknown key access.key.rate; did you mean access.key."],
    );
    refused(&format!("[[access.key]]\nname = \"a b\"\nsha256 = \"{HASH}\""), &["access.key: key name \"a b\""]);
    refused("[access]\nkey = [\"lab:open-sesame\"]", &["access.key: hash of a key", "found 11 characters"]);
    let missing = parsed(Path::new("nowhere.toml"), &[]);
    assert!(matches!(missing, Err(Unparsed::File(error)) if error.to_string() == "nowhere.toml: cannot be read"));
}

/// The program with an empty environment but for these variables.
fn run(variables: &[(&str, &str)], typed: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(PROGRAM);
    command.env_clear().envs(variables.iter().copied()).args(typed).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn flags_win_over_the_environment_that_over_the_file() {
    let file = written("[limits]\nmax_texts = 1\nqueue_texts = 1024\nmax_passages = 3\n[network]\nlisten = \"127.0.0.1:1\"\n");
    let path = file.path.to_str().unwrap();
    let variables =
        [("LIMBIC_CONFIG", path), ("LIMBIC_MAX_TEXTS", "2"), ("LIMBIC_QUEUE_TEXTS", "2048"), ("LIMBIC_KEY", &*format!("lab:{HASH}"))];
    let (status, page, said) = run(&variables, &["--print-config", "--queue-texts", "4096"]);
    assert_eq!((status, said.as_str()), (Some(0), ""));
    for line in [
        "max_texts = 2  # LIMBIC_MAX_TEXTS",
        "queue_texts = 4096  # --queue-texts",
        "max_passages = 3  # file",
        "listen = \"127.0.0.1:1\"  # file",
        "# key = [secret], 1 of them  # LIMBIC_KEY",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    let (status, _, said) = run(&[("LIMBIC_CONFIG", "nowhere.toml")], &["--print-config"]);
    assert!(status == Some(1) && said.starts_with("limbic-serve: nowhere.toml: cannot be read: "), "{said}");
    // A health check asks where the file says the server listens.
    let (status, _, said) = run(&[("LIMBIC_CONFIG", path)], &["healthcheck"]);
    assert!(status == Some(1) && said.contains("http://127.0.0.1:1/health/ready"), "{said}");
}

#[test]
fn what_fits_no_other_option_is_refused() {
    let bundle = ["--bundle", "nowhere"];
    for (typed, parts) in [
        (["--tls-cert", "a.pem"], ["--tls-cert without --tls-key", ""]),
        (["--tls-key", "a.pem"], ["--tls-key without --tls-cert", ""]),
        (["--watch-models", "1s"], ["--watch-models without --models", ""]),
        (["--tls-reload", "0s"], ["--tls-reload 0", "above zero"]),
        (["--key", "lab:open-sesame"], ["--key: hash of a key", "64 hexadecimal digits"]),
    ] {
        let (status, _, said) = run(&[], &[bundle, typed].concat());
        assert_eq!(status, Some(1), "{said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{said:?} does not say {parts:?}");
        assert!(!said.contains("sesame"), "{said}");
    }
}

#[test]
fn a_made_key_is_shown_once_with_the_lines_that_let_it_in() {
    let made = |typed: &[&str]| {
        let (status, out, said) = run(&[], &[&["key", "--name", "lab"], typed].concat());
        assert_eq!((status, said.as_str()), (Some(0), ""));
        out
    };
    let (first, second) = (made(&[]), made(&["--admin"]));
    let key = |out: &str| out.lines().next().unwrap().to_owned();
    assert!(key(&first).starts_with("limbic_") && key(&first).len() == 71 && key(&first) != key(&second), "{first}{second}");
    // The lines are a file that the server reads, and hold the key's hash.
    let lines = second.split_once("\n\n").unwrap().1;
    let file = written(lines);
    let args = parsed(&file.path, &[]).unwrap().args;
    let hash = limbic::serve::access::KeyHash::of(key(&second).as_bytes());
    assert_eq!(args.serving.access.key[0].expose(), format!("lab:{hash}:admin"));
    assert!(lines.contains(&format!("LIMBIC_KEY=lab:{hash}:admin")) && !lines.contains(&key(&second)));
    let (status, _, said) = run(&[], &["key", "--name", "a b"]);
    assert!(status == Some(1) && said.contains("key name \"a b\""), "{said}");
    let (status, out, said) = run(&[], &["key", "--name", "lab", "--stdin"]);
    assert!(status == Some(1) && out.is_empty() && said.contains("0 characters: expected at least 32"), "{said}");
}
