//! The bodies of the admin routes: what an operator asks to change, and how the models stand.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::check::{Faults, Members};
use super::json::Node;
use crate::serve::error::{ApiError, Violation};
use crate::serve::registry::{Activate, Line, Previous, Registry, Served, Share};

/// `POST /admin/load`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LoadRequest {
    pub(crate) bundle: String,
    pub(crate) activate: Activate,
    pub(crate) previous: Previous,
}

impl LoadRequest {
    /// # Errors
    /// [`ApiError::Invalid`].
    pub(crate) fn parse(body: Node) -> Result<Self, ApiError> {
        let mut faults = Faults::default();
        let mut members = Members::open(body, "", &mut faults);
        let bundle = required(&mut members, "bundle", &mut faults);
        let activate = if members.bool("activate", true, &mut faults) { Activate::Now } else { Activate::No };
        let previous = match members.string("previous", &mut faults).as_deref() {
            None | Some("keep") => Previous::Keep,
            Some("unload") => Previous::Unload,
            Some(_) => {
                faults.note(Violation::at("/previous", "previous: expected \"keep\" or \"unload\""));
                Previous::Keep
            }
        };
        members.finish(&mut faults);
        faults.finish()?;
        Ok(Self { bundle, activate, previous })
    }
}

/// `POST /admin/swap` and `POST /admin/unload`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct VersionRequest {
    pub(crate) model: String,
    pub(crate) version: Option<String>,
}

impl VersionRequest {
    /// # Errors
    /// [`ApiError::Invalid`].
    pub(crate) fn parse(body: Node) -> Result<Self, ApiError> {
        let mut faults = Faults::default();
        let mut members = Members::open(body, "", &mut faults);
        let model = required(&mut members, "model", &mut faults);
        let version = members.string("version", &mut faults);
        members.finish(&mut faults);
        faults.finish()?;
        Ok(Self { model, version })
    }

    /// The version, where there must be one.
    ///
    /// # Errors
    /// [`ApiError::Invalid`].
    pub(crate) fn version(&self) -> Result<&str, ApiError> {
        self.version.as_deref().ok_or_else(|| ApiError::Invalid(vec![missing("version")]))
    }
}

/// `POST /admin/shadow`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ShadowRequest {
    pub(crate) model: String,
    /// Whom to ask, and for how much; nobody any more when absent.
    pub(crate) with: Option<(String, Share)>,
}

impl ShadowRequest {
    /// # Errors
    /// [`ApiError::Invalid`].
    pub(crate) fn parse(body: Node) -> Result<Self, ApiError> {
        let mut faults = Faults::default();
        let mut members = Members::open(body, "", &mut faults);
        let model = required(&mut members, "model", &mut faults);
        let with = members.string("with", &mut faults);
        let percent = members.take("percent", &mut faults);
        let share = match &percent {
            Some(Node::Number(percent)) => Share::percent(*percent),
            _ => None,
        };
        let with = match (with, share) {
            (Some(with), Some(share)) => Some((with, share)),
            (None, _) if percent.is_none() => None,
            (None, _) => {
                faults.note(missing("with"));
                None
            }
            (Some(_), None) => {
                faults.note(Violation::at("/percent", "percent: expected a number from 0.01 to 100"));
                None
            }
        };
        members.finish(&mut faults);
        faults.finish()?;
        Ok(Self { model, with })
    }
}

fn required(members: &mut Members, name: &'static str, faults: &mut Faults) -> String {
    let before = faults.is_empty();
    let value = members.string(name, faults);
    if value.is_none() && before == faults.is_empty() {
        faults.note(missing(name));
    }
    value.unwrap_or_default()
}

fn missing(name: &str) -> Violation {
    Violation::at(format!("/{name}"), format!("{name} is missing: expected a string"))
}

/// One version.
#[derive(Serialize, ToSchema)]
pub(crate) struct Version {
    model: String,
    version: String,
    digest: String,
    precision: &'static str,
    /// What computes it.
    engine: &'static str,
    /// The folder that it was loaded from.
    bundle: Option<String>,
    /// Whether it answers for its name.
    current: bool,
    /// Whether it has a usable engine.
    up: bool,
    waiting: Waiting,
    load_seconds: f64,
}

/// What waits for it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Waiting {
    texts: usize,
    tokens: usize,
}

/// One name with its versions and its shadow.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelLine {
    name: String,
    versions: Vec<Version>,
    shadow: Option<ShadowLine>,
}

/// Who sees a share of a model's requests.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShadowLine {
    /// `name@version`.
    with: String,
    percent: f64,
}

/// How the models stand.
#[derive(Serialize, ToSchema)]
pub(crate) struct Standing {
    /// The name that answers when none is asked for.
    default: String,
    models: Vec<ModelLine>,
    /// Bundles that were refused, and why.
    refused: Vec<RefusedBundle>,
}

/// A bundle that cannot serve.
#[derive(Serialize, ToSchema)]
pub(crate) struct RefusedBundle {
    bundle: Option<String>,
    reason: String,
}

impl Version {
    pub(crate) fn of(served: &Served, current: bool) -> Self {
        let (info, depth) = (served.info(), served.engine.depth());
        Self {
            model: info.name,
            version: info.version,
            digest: info.digest,
            precision: info.precision,
            engine: info.backend,
            bundle: folder_name(served.folder()),
            current,
            up: served.engine.is_up(),
            waiting: Waiting { texts: depth.texts, tokens: depth.tokens },
            load_seconds: info.load.as_secs_f64(),
        }
    }
}

impl ModelLine {
    fn of(line: &Line) -> Self {
        let versions = line.all.iter().map(|served| Version::of(served, Arc::ptr_eq(served, &line.current)));
        let shadow = line.shadow.as_ref().map(|shadow| {
            let with = &shadow.with().model;
            ShadowLine { with: format!("{}@{}", with.name, with.version), percent: shadow.share().as_percent() }
        });
        Self { name: line.current.model.name.clone(), versions: versions.collect(), shadow }
    }
}

impl Standing {
    pub(crate) fn of(registry: &Registry) -> Self {
        let refused = registry.refused();
        Self {
            default: registry.default().model.name.clone(),
            models: registry.list().iter().map(ModelLine::of).collect(),
            refused: refused.into_iter().map(|(folder, reason)| RefusedBundle { bundle: folder_name(&folder), reason }).collect(),
        }
    }
}

fn folder_name(folder: &Path) -> Option<String> {
    folder.file_name().map(|name| name.to_string_lossy().into_owned())
}
