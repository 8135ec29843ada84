//! Where ONNX Runtime's shared library is looked for. The caller brings the places: nothing here
//! reads the environment.

use std::path::{Path, PathBuf};

use super::BackendError;

/// Where `scripts/setup` puts the library, below the folder it was run for.
const FETCHED: &str = ".cache/onnxruntime/libonnxruntime.so";

/// The library to load: `named` when it is given (by an option, or else by `ORT_DYLIB_PATH`),
/// otherwise the one that `scripts/setup` fetched for one of `folders`, in order.
///
/// # Errors
/// [`BackendError::Library`] when the named file, or every place, is empty.
pub fn find_library(named: Option<&Path>, folders: &[PathBuf]) -> Result<PathBuf, BackendError> {
    if let Some(named) = named {
        return if named.is_file() { Ok(named.to_owned()) } else { Err(BackendError::library(named.display(), "no such file")) };
    }
    let mut places = folders.iter().map(|folder| folder.join(FETCHED));
    places.find(|place| place.is_file()).ok_or_else(|| {
        let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        BackendError::library(FETCHED, format!("not found below {}", folders.join(", ")))
    })
}
