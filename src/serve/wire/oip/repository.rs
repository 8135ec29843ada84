//! The model repository extension: which models there are, and the bodies of changes to that. What those changes are is the
//! admin routes' business.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::serve::error::ApiError;
use crate::serve::registry::{Line, Served};
use crate::serve::wire::check::{Faults, Members};
use crate::serve::wire::json::Node;

/// One version that serves, or a bundle that could.
#[derive(Serialize, ToSchema)]
pub(crate) struct IndexEntry {
    /// Of the model, or of a folder that is not loaded.
    name: String,
    version: String,
    /// `READY` or `UNAVAILABLE`.
    state: &'static str,
    reason: String,
}

/// Everything that serves, each name's current version first.
pub(crate) fn serving(lines: &[Line]) -> Vec<IndexEntry> {
    let others = |line: &Line| line.all.iter().filter(|served| !Arc::ptr_eq(served, &line.current)).cloned().collect::<Vec<_>>();
    let all = lines.iter().flat_map(|line| std::iter::once(line.current.clone()).chain(others(line)));
    all.map(|served| IndexEntry::of(&served)).collect()
}

impl IndexEntry {
    fn of(served: &Served) -> Self {
        let up = served.engine.is_up();
        let (state, reason) = if up { ("READY", "") } else { ("UNAVAILABLE", "no engine worker is up") };
        Self { name: served.model.name.clone(), version: served.model.version.clone(), state, reason: reason.to_owned() }
    }

    /// A bundle by its folder, whose model is not known before it is opened.
    pub(crate) fn idle(folder: &Path, refused: Option<&String>) -> Self {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let reason = refused.cloned().unwrap_or_else(|| "not loaded".to_owned());
        Self { name, version: String::new(), state: "UNAVAILABLE", reason }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.state == "READY"
    }
}

/// `POST /v2/repository/index`: whether only what is ready is asked for.
///
/// # Errors
/// [`ApiError::Invalid`].
pub(crate) fn asks_ready(body: Node) -> Result<bool, ApiError> {
    let mut faults = Faults::default();
    let mut members = Members::open(body, "", &mut faults);
    let ready = members.bool("ready", false, &mut faults);
    members.finish(&mut faults);
    faults.finish().map(|()| ready)
}

/// The body of a load or an unload, which may hold nothing that would change what is loaded.
///
/// # Errors
/// [`ApiError::Invalid`].
pub(crate) fn check_change(body: Node) -> Result<(), ApiError> {
    let mut faults = Faults::default();
    let mut members = Members::open(body, "", &mut faults);
    let parameters = members.take("parameters", &mut faults).unwrap_or_else(|| Node::Object(Vec::new()));
    members.finish(&mut faults);
    let mut parameters = Members::open(parameters, "/parameters", &mut faults);
    // No model here is made of others.
    let _ = parameters.bool("unload_dependents", false, &mut faults);
    parameters.finish(&mut faults);
    faults.finish()
}
