//! The bodies of the admin routes: what an operator asks to change, and how the models stand.

use serde_json::{Value, json};

use super::check::{Faults, Members};
use super::json::Node;
use crate::serve::error::{ApiError, Violation};
use crate::serve::registry::{Activate, Line, Previous, Served, Share};

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
        members.finish("bundle, activate, previous", &mut faults);
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
        members.finish("model, version", &mut faults);
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
        members.finish("model, with, percent", &mut faults);
        faults.finish()?;
        Ok(Self { model, with })
    }
}

fn required(members: &mut Members, name: &str, faults: &mut Faults) -> String {
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
pub(crate) fn version(served: &Served, current: bool) -> Value {
    let (info, depth) = (served.info(), served.engine.depth());
    json!({
        "model": info.name,
        "version": info.version,
        "digest": info.digest,
        "precision": info.precision,
        "engine": info.backend,
        "bundle": served.folder().file_name().map(|name| name.to_string_lossy()),
        "current": current,
        "up": served.engine.is_up(),
        "waiting": {"texts": depth.texts, "tokens": depth.tokens},
        "load_seconds": info.load.as_secs_f64(),
    })
}

/// One name with its versions and its shadow.
pub(crate) fn line(line: &Line) -> Value {
    let versions = line.all.iter().map(|served| version(served, std::sync::Arc::ptr_eq(served, &line.current)));
    let shadow = line.shadow.as_ref().map(|shadow| {
        let with = &shadow.with().model;
        json!({"with": format!("{}@{}", with.name, with.version), "percent": shadow.share().as_percent()})
    });
    json!({"name": line.current.model.name, "versions": versions.collect::<Vec<_>>(), "shadow": shadow})
}
