//! The words of a change to the models: what is asked, what came of it, and why nothing did.

use std::io;
use std::sync::Arc;

use thiserror::Error;

use super::served::Served;
use crate::serve::boot::ServeError;

/// When a loaded version becomes the one that answers for its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activate {
    /// As soon as it is ready.
    Now,
    /// If it was made later than the one that answers now.
    IfNewer,
    /// Not by this load: it can be asked by its version.
    No,
}

/// What happens to a version that another replaced as the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Previous {
    /// It can still be asked by its version.
    Keep,
    /// It leaves with its last request.
    Unload,
}

/// Why the models are as they were.
#[derive(Debug, Error)]
pub(crate) enum ChangeError {
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Closing,
    /// No bundle in a folder of that name.
    #[error("no bundle {0:?} in the folder of models")]
    NoBundle(String),
    /// The bundle cannot serve.
    #[error("the bundle was refused")]
    Refused(#[source] ServeError),
    /// Nothing of that name and version is loaded.
    #[error("no model {0:?} is loaded")]
    Unknown(String),
    /// A current version cannot leave while others stay, nor the default's last one.
    #[error("{0:?} answers for its name: make another version current first")]
    Current(String),
    /// The default model always serves.
    #[error("{0:?} is the default model, which cannot be unloaded")]
    Default(String),
    /// The shadow shares no label with the model.
    #[error("{0:?} and its shadow have no label in common")]
    NoCommonLabels(String),
    /// The system refused a thread.
    #[error("a thread could not be started")]
    Thread(#[source] io::Error),
}

impl ChangeError {
    /// The error and its causes on one line.
    pub(crate) fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            line = format!("{line}: {error}");
            cause = error.source();
        }
        line
    }
}

/// What a load came to.
pub(crate) struct Change {
    pub(crate) served: Arc<Served>,
    /// Whether it is the one that answers for its name now.
    pub(crate) current: bool,
}
