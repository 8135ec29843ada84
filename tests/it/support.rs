//! What the integration modules share: where things lie, and how a test says that it skipped.
//!
//! Two rules stand here. Data that may be absent (the public data sets, which are not part of the
//! project) makes a test skip aloud, through [`skip`]. What `scripts/setup` and
//! `scripts/fetch_base` bring (the engine's library, the base model) is never optional: a test
//! that lacks it fails and says what to run.

#![allow(dead_code, reason = "which helpers are used depends on the features built")]

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The repository's root folder.
pub fn repo_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file or folder below `tests/it/fixtures/`; it must exist.
pub fn fixture(name: &str) -> PathBuf {
    let path = repo_root().join("tests/it/fixtures").join(name);
    assert!(path.exists(), "{}: no such fixture", path.display());
    path
}

/// The folder that `scripts/fetch_base` fills with all-MiniLM-L6-v2.
///
/// # Panics
/// When it is absent: run `scripts/fetch_base`.
pub fn base_model() -> PathBuf {
    let folder = repo_root().join(".cache/base/all-MiniLM-L6-v2");
    assert!(folder.join("model.safetensors").is_file(), "{}: absent, run scripts/fetch_base", folder.display());
    folder
}

/// The ONNX Runtime library that `scripts/setup` installs, or the one that ORT_DYLIB_PATH names.
///
/// # Panics
/// When it is absent: run `scripts/setup`.
pub fn onnxruntime() -> PathBuf {
    let named = std::env::var_os("ORT_DYLIB_PATH").filter(|value| !value.is_empty());
    let library = named.map_or_else(|| repo_root().join(".cache/onnxruntime/libonnxruntime.so"), PathBuf::from);
    assert!(library.is_file(), "{}: absent, run scripts/setup", library.display());
    library
}

/// The folder of public data sets: LIMBIC_DATA, or `../shared/data` beside the repository. When
/// it is absent, says that `test` skips and returns nothing.
pub fn data(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("LIMBIC_DATA").filter(|value| !value.is_empty());
    let folder = named.map_or_else(|| repo_root().join("../shared/data"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    skip(test, &format!("{} is absent (LIMBIC_DATA names another folder)", folder.display()));
    None
}

/// The folder of small published weights and tokenizers: LIMBIC_WEIGHTS, or `../shared/weights` beside the
/// repository. When it is absent, says that `test` skips and returns nothing.
pub fn weights(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("LIMBIC_WEIGHTS").filter(|value| !value.is_empty());
    let folder = named.map_or_else(|| repo_root().join("../shared/weights"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    skip(test, &format!("{} is absent (LIMBIC_WEIGHTS names another folder)", folder.display()));
    None
}

/// Says aloud that `test` did not run, and why. Runners hide what a passing test prints, so the
/// line also goes to the file that LIMBIC_SKIP_LOG names, which `scripts/test` prints and counts.
pub fn skip(test: &str, why: &str) {
    let line = format!("skipped: {test}: {why}\n");
    eprint!("{line}");
    if let Some(log) = std::env::var_os("LIMBIC_SKIP_LOG").filter(|value| !value.is_empty()) {
        let mut log = OpenOptions::new().create(true).append(true).open(&log).expect("LIMBIC_SKIP_LOG names a file that can be written");
        log.write_all(line.as_bytes()).expect("LIMBIC_SKIP_LOG can be written");
    }
}
