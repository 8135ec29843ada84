//! Files of a run folder: written whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::TrainError;

/// Writes beside the file, syncs, and renames over it, so that a kill leaves the old or the new.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let beside = path.with_extension("partial");
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&beside, path)).map_err(failed(path, "write"))
}

/// The same for a value as JSON.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), TrainError> {
    let mut text = serde_json::to_vec_pretty(value).expect("run files are plain values; anything else, this is a bug");
    text.push(b'\n');
    write(path, &text)
}

/// Reads the file whole.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TrainError> {
    fs::read(path).map_err(failed(path, "read"))
}

/// Reads a value that [`write_json`] wrote; nothing when there is no such file.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, TrainError> {
    if !path.exists() {
        return Ok(None);
    }
    let found = |error: serde_json::Error| TrainError::RunFolder {
        path: path.to_owned(),
        expected: "a file of this version".to_owned(),
        found: error.to_string(),
    };
    serde_json::from_slice(&read(path)?).map(Some).map_err(found)
}

/// Creates the folder and those above it.
pub(super) fn folder(path: &Path) -> Result<(), TrainError> {
    fs::create_dir_all(path).map_err(failed(path, "create"))
}

/// For `map_err`.
pub(super) fn failed(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> TrainError {
    let path = path.to_owned();
    move |source| TrainError::File { path, action, source }
}
