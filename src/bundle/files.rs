//! Reading one file of a bundle: bounded, inside the folder, of the size and hash stated.
//!
//! Nothing here trusts a name or a size that a manifest gives. A link is followed only while it
//! stays inside the folder, because volumes of orchestrators are laid out with links.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::BundleError;

pub(super) const MANIFEST: &str = "bundle.json";
pub(super) const CONFIG: &str = "config.json";
pub(super) const TOKENIZER: &str = "tokenizer.json";
pub(super) const WEIGHTS: &str = "model.safetensors";
pub(super) const GRAPH: &str = "model.onnx";
pub(super) const GOLDEN: &str = "golden.json";
pub(super) const ADAPTER: &str = "adapter_model.safetensors";
pub(super) const ADAPTER_CONFIG: &str = "adapter_config.json";

/// Every file a bundle may list, and the most bytes it may have.
const KNOWN: [(&str, u64); 8] = [
    (MANIFEST, 4 << 20),
    (CONFIG, 1 << 20),
    (TOKENIZER, 64 << 20),
    (WEIGHTS, 64 << 30),
    (GRAPH, 64 << 20),
    (GOLDEN, 16 << 20),
    (ADAPTER, 16 << 30),
    (ADAPTER_CONFIG, 1 << 20),
];

/// The most bytes a bundle's file of this name may have; nothing for a name no bundle lists.
pub(super) fn limit(name: &str) -> Option<u64> {
    KNOWN.iter().find(|(known, _)| *known == name).map(|&(_, limit)| limit)
}

/// The folder of a bundle, resolved once.
pub(super) struct Folder {
    path: PathBuf,
    resolved: PathBuf,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, BundleError> {
        let resolved = path.canonicalize().map_err(|error| match error.kind() {
            ErrorKind::NotFound => BundleError::Missing { path: path.to_owned(), expected: "a bundle's folder" },
            _ => BundleError::io(path, "resolve")(error),
        })?;
        Ok(Self { path: path.to_owned(), resolved })
    }

    /// The path of a file, as messages name it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The content of the file called `name`, which must be one of [`KNOWN`].
    pub(super) fn read(&self, name: &'static str) -> Result<Arc<[u8]>, BundleError> {
        let path = self.file(name);
        let limit = limit(name).expect("only known names are read; this is a bug");
        let resolved = self.resolved.join(name).canonicalize().map_err(|error| match error.kind() {
            ErrorKind::NotFound => BundleError::Missing { path: path.clone(), expected: "a file" },
            _ => BundleError::io(&path, "resolve")(error),
        })?;
        if !resolved.starts_with(&self.resolved) {
            return Err(BundleError::NotAFile { path, found: "a link that leaves it" });
        }
        // Asked before opening: opening a pipe would wait for its writer.
        let metadata = fs::metadata(&resolved).map_err(BundleError::io(&path, "inspect"))?;
        if !metadata.is_file() {
            let found = if metadata.is_dir() { "a folder" } else { "something else" };
            return Err(BundleError::NotAFile { path, found });
        }
        if metadata.len() > limit {
            return Err(BundleError::TooLarge { path, limit, found: metadata.len() });
        }
        read_whole(&resolved, &path, metadata.len())
    }
}

fn read_whole(resolved: &Path, path: &Path, bytes: u64) -> Result<Arc<[u8]>, BundleError> {
    let mut file = File::open(resolved).map_err(BundleError::io(path, "open"))?;
    let length =
        usize::try_from(bytes).map_err(|_| BundleError::TooLarge { path: path.to_owned(), limit: usize::MAX as u64, found: bytes })?;
    let mut content = zeroed(length);
    let buffer = Arc::get_mut(&mut content).expect("a fresh value has one owner; this is a bug");
    file.read_exact(buffer).map_err(BundleError::io(path, "read"))?;
    Ok(content)
}

/// Zeroes behind a shared pointer, to be filled in place before it is shared.
pub(super) fn zeroed(length: usize) -> Arc<[u8]> {
    std::iter::repeat_n(0, length).collect()
}

/// The hash of `bytes` in lower-case hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Refuses names that could lead out of a folder.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.len() <= 128 && !name.starts_with('.') && !name.contains(['/', '\\', '\0', ':'])
}
