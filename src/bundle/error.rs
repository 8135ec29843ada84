//! Why a bundle was refused. Every variant names the file; none of them is a panic.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a bundle could not be opened or written.
#[derive(Debug, Error)]
pub enum BundleError {
    /// Reading or writing failed.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file that should be there is not.
    #[error("{}: expected {expected}, found nothing", path.display())]
    Missing {
        /// The file or folder.
        path: PathBuf,
        /// What should stand there.
        expected: &'static str,
    },
    /// Something else stands where a file should, or the file lies outside the bundle's folder.
    #[error("{}: expected a plain file inside the bundle's folder, found {found}", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What stands there.
        found: &'static str,
    },
    /// A file larger than this version reads.
    #[error("{}: expected at most {limit} bytes, found {found}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most it may have.
        limit: u64,
        /// What it has.
        found: u64,
    },
    /// A file of another size than the manifest states: truncated, or grown.
    #[error("{}: expected {expected} bytes, found {found}", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes stated.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// A file whose content is not what the manifest was written for.
    #[error("{}: expected sha256 {expected}, found {found}", path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// Hash stated, in hex.
        expected: String,
        /// Hash of what is there.
        found: String,
    },
    /// Not JSON, nested too deep, a member missing, unknown or of the wrong type.
    #[error("{}: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// A member of the right type with a value that cannot be.
    #[error("{}: {member}: expected {expected}, found {found}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The member, tensor or entry.
        member: String,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
}

impl BundleError {
    pub(super) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }

    pub(super) fn json(path: &Path) -> impl FnOnce(serde_json::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Json { path, reason: error.to_string() }
    }

    pub(super) fn value(path: &Path, member: impl Into<String>, expected: impl Into<String>, found: impl ToString) -> Self {
        Self::Value { path: path.to_owned(), member: member.into(), expected: expected.into(), found: found.to_string() }
    }

    /// The file or folder at fault.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. }
            | Self::Missing { path, .. }
            | Self::NotAFile { path, .. }
            | Self::TooLarge { path, .. }
            | Self::Size { path, .. }
            | Self::Hash { path, .. }
            | Self::Json { path, .. }
            | Self::Value { path, .. } => path,
        }
    }
}
