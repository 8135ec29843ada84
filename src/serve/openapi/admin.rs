//! What an operator may ask, on a port of their own.

use serde_json::json;
use utoipa::openapi::path::HttpMethod;

use super::operation::{Answer, Operation, Shape, Taken};
use super::parameters;
use super::refusals::Refusals;
use super::scope::Scope;
use crate::serve::error::Dialect;
use crate::serve::routes::Route;

const JSON: &str = "application/json";

/// The operations, in the order in which they are told.
pub(super) fn operations(scope: &Scope) -> Vec<Operation> {
    let change = |path: &str, id, summary, takes, examples| {
        let taken = Taken { content_type: JSON, schema: Some(takes), examples };
        let told = operation(scope, (HttpMethod::Post, path), id, summary, (JSON, Shape::Of("Standing")));
        Operation { takes: vec![taken], needs_body: true, refusals: Refusals::Change, ..told }
    };
    let name = scope.names.first().map_or("tweets", String::as_str);
    let version = scope.versions.first().map_or("1", String::as_str);
    let tell = |path: &str, id, summary, body| operation(scope, (HttpMethod::Get, path), id, summary, body);
    let swap = vec![("forwards or back", json!({"model": name, "version": version}))];
    let shadow = vec![("no longer", json!({"model": name}))];
    let load = change("/admin/load", "load", "Open a bundle, verify it and let it answer", "LoadRequest", Vec::new());
    let repository = |route: Route, id, summary, takes, named: &[&str]| Operation {
        tag: "open inference",
        dialect: Dialect::OpenInference,
        needs_body: false,
        parameters: named.iter().map(|name| parameters::path(name, scope)).collect(),
        answers: vec![Answer { status: 200, description: "Done.", bodies: Vec::new(), timed: false }],
        ..change(route.pattern(), id, summary, takes, Vec::new())
    };
    let index = Answer { status: 200, description: "All of them.", bodies: vec![(JSON, Shape::List("IndexEntry"))], timed: false };
    let loaded = Answer { status: 200, description: "What was loaded.", bodies: vec![(JSON, Shape::Of("Version"))], timed: false };
    vec![
        tell("/admin/models", "standing", "How the models stand", (JSON, Shape::Of("Standing"))),
        Operation { answers: vec![loaded], ..load },
        change("/admin/swap", "swap", "Let another loaded version answer for its name", "SwapRequest", swap),
        change("/admin/unload", "unload", "Let a version or a whole name go", "UnloadRequest", Vec::new()),
        change("/admin/shadow", "shadow", "Show a share of a model's requests to another version", "ShadowRequest", shadow),
        Operation {
            answers: vec![index],
            ..repository(Route::V2Index, "repositoryIndex", "Which models there are", "RepositoryIndex", &[])
        },
        repository(Route::V2Load, "repositoryLoad", "Open a bundle by its folder", "RepositoryChange", &["model"]),
        repository(Route::V2Unload, "repositoryUnload", "Let a model go", "RepositoryChange", &["model"]),
        tell("/metrics", "metrics", "Prometheus' text format", ("text/plain", Shape::Text)),
        tell("/openapi.json", "document", "This document", (JSON, Shape::Object)),
    ]
}

fn operation(
    scope: &Scope,
    (method, path): (HttpMethod, &str),
    id: &'static str,
    summary: &'static str,
    body: (&'static str, Shape),
) -> Operation {
    Operation {
        method,
        path: path.to_owned(),
        id,
        tag: "admin",
        summary,
        description: "",
        parameters: Vec::new(),
        takes: Vec::new(),
        needs_body: false,
        answers: vec![Answer { status: 200, description: "The answer.", bodies: vec![body], timed: false }],
        refusals: Refusals::None,
        dialect: Dialect::Problem,
        limits: scope.limits,
        keyed: false,
    }
}
