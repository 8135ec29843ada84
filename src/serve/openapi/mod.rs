//! The server described to machines: one OpenAPI 3.1 document a port, and a page to read it on.
//!
//! The document is of the server that gives it: its limits, its models' names, their labels. What
//! answers is described by the types that are written, so the two cannot disagree; what requests may
//! bring is described in JSON Schema, which can say what no type can (which members exclude which),
//! and tests hold that against the checkers in `wire`. Errors are described by the table they come
//! from, and shown by the code that writes them.
//!
//! | file | what it owns |
//! |---|---|
//! | `scope` | what differs from server to server |
//! | `requests`, `admin_requests` | what requests may bring, and how their members go together |
//! | `answers` | the schemas of what is answered |
//! | `refusals` | which errors a route can give, by status, in its dialect |
//! | `parameters` | headers and parts of paths |
//! | `operation` | one operation put together |
//! | `public`, `admin` | the operations of each port |
//! | `examples` | requests that work |
//! | `viewer` | the page's files |

mod admin;
mod admin_requests;
mod answers;
mod examples;
mod operation;
mod parameters;
mod public;
mod refusals;
mod requests;
mod scope;
mod viewer;

use serde_json::Value;
use utoipa::openapi::path::PathsBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Components, ComponentsBuilder, InfoBuilder, License, OpenApiBuilder};

use self::operation::Operation;
pub(crate) use self::scope::Scope;
pub(crate) use self::viewer::{CONTENT_SECURITY_POLICY, file};

/// What everybody may ask.
pub(crate) fn public(scope: &Scope) -> Value {
    let about = "Calibrated emotion probabilities for text. Every answer has `x-request-id`, `cache-control: no-store` and \
                 `x-content-type-options: nosniff`; what `GET` answers, `HEAD` answers without a body. A path or a method that is \
                 not here is answered 404 or 405 in the shape of its neighbours.";
    let schemas = requests::schemas(scope).into_iter().chain(answers::published()).collect();
    document("Limbic", about, &public::operations(scope), schemas)
}

/// What an operator may ask, on a port of their own.
pub(crate) fn admin(scope: &Scope) -> Value {
    let about = "Which models are served, and changes to that, without a restart.";
    document("Limbic, the operator's side", about, &admin::operations(scope), admin_requests::schemas())
}

fn document(title: &str, about: &str, operations: &[Operation], written: Vec<(&'static str, Value)>) -> Value {
    let info = InfoBuilder::new()
        .title(title)
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(about))
        .license(Some(License::new("Apache-2.0")))
        .build();
    let paths = operations.iter().fold(PathsBuilder::new(), |paths, operation| paths.path(operation.path(), operation.item()));
    let document = OpenApiBuilder::new().info(info).paths(paths).components(Some(components())).tags(Some(tags(operations))).build();
    let mut document = serde_json::to_value(document).expect("a document has string keys: this is a bug");
    let schemas = document["components"]["schemas"].as_object_mut().expect("the answers have schemas: this is a bug");
    schemas.extend(written.into_iter().map(|(name, schema)| (name.to_owned(), schema)));
    keep_used(&mut document);
    document
}

fn components() -> Components {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("One of the server's keys.")).build();
    let header = ApiKey::Header(ApiKeyValue::with_description("x-api-key", "The same keys."));
    let builder = ComponentsBuilder::new()
        .security_scheme("bearer", SecurityScheme::Http(bearer))
        .security_scheme("key", SecurityScheme::ApiKey(header));
    builder.schemas_from_iter(answers::schemas()).build()
}

fn tags(operations: &[Operation]) -> Vec<utoipa::openapi::Tag> {
    let mut names: Vec<&'static str> = Vec::new();
    for operation in operations {
        if !names.contains(&operation.tag) {
            names.push(operation.tag);
        }
    }
    names.into_iter().map(|name| TagBuilder::new().name(name).build()).collect()
}

/// Drops the schemas that nothing in the document leads to: each port has its own.
fn keep_used(document: &mut Value) {
    let mut used = Vec::new();
    references(&document["paths"], &mut used);
    let mut at = 0;
    while let Some(name) = used.get(at).cloned() {
        references(&document["components"]["schemas"][&name], &mut used);
        at += 1;
    }
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.retain(|name, _| used.contains(name));
    }
}

/// Adds the names of the component schemas that `value` refers to.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            let name = members.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/components/schemas/"));
            if let Some(name) = name.filter(|name| !found.iter().any(|other| other == name)) {
                found.push(name.to_owned());
            }
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::config::Settings;
    use crate::serve::routes::Route;

    /// A route that nobody described would be missing from the document without a word.
    #[test]
    fn every_route_is_described() {
        let word = |word: &str| vec![word.to_owned()];
        let scope = Scope {
            limits: Settings::default().limits,
            metrics: true,
            models: word("tweets"),
            names: word("tweets"),
            versions: word("1"),
            labels: word("joy"),
            sets: vec![("valence".to_owned(), word("positive"))],
            max_length: 128,
        };
        let document = public(&scope);
        let operators = admin(&scope);
        let described = |route: &Route| [&document, &operators].iter().any(|document| document["paths"].get(route.pattern()).is_some());
        // A page and its files are for people, and gRPC describes itself in `proto`.
        let apart = |route: &Route| ["/page/", "/docs", "/inference.", "/grpc."].iter().any(|start| route.pattern().starts_with(start));
        let missing: Vec<&str> =
            Route::ALL.iter().filter(|route| !described(route) && !apart(route)).map(|route| route.pattern()).collect();
        assert!(missing.is_empty(), "openapi/public.rs and openapi/admin.rs describe routes, but not {missing:?}");
        // Named by the routes of the operator, which are not in the table.
        assert_eq!(operators["paths"].as_object().map(|paths| paths.len()), Some(10));
    }
}
