//! The errors that a route can give: by status, in its dialect, each shown as it is written.

use std::collections::BTreeMap;

use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::{ContentBuilder, Ref, Response, ResponseBuilder};

use super::parameters;
use crate::serve::access::{Standing, Unit};
use crate::serve::config::Limits;
use crate::serve::error::{ApiError, Dialect, Violation};
use crate::serve::wire::problem;

/// Which errors a route can give.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusals {
    /// None of its own.
    None,
    /// It takes texts; `model` says that one may be named.
    Texts {
        /// Whether the body or the path may name a model.
        model: bool,
    },
    /// It takes lines, whose errors stand among the answers.
    Lines,
    /// Its path names a model.
    Named,
    /// It changes the models.
    Change,
}

impl Refusals {
    fn errors(self, limits: Limits) -> Vec<ApiError> {
        let headers =
            || ApiError::Invalid(vec![Violation::header("x-request-priority", "x-request-priority: expected one of high, normal, low")]);
        let media = || ApiError::UnsupportedMediaType("expected content-type: application/json".to_owned());
        match self {
            Self::None => Vec::new(),
            Self::Named => vec![unknown()],
            Self::Lines => vec![media(), headers()],
            Self::Texts { model } => {
                let mut errors = body(limits);
                errors.extend(texts(limits));
                errors.extend(model.then(unknown));
                errors
            }
            Self::Change => {
                let mut errors = body(limits);
                errors.extend([
                    unknown(),
                    ApiError::Invalid(vec![Violation::at("/model", "model is missing: expected a string")]),
                    ApiError::Conflict("tweets@2 answers for its name: swap another version in first".to_owned()),
                    ApiError::BundleRefused("tweets-3: golden text 4: expected a logit of 1.25, found 0.31".to_owned()),
                    ApiError::Draining(1),
                    ApiError::Forbidden("this key does not open the admin port"),
                ]);
                errors
            }
        }
    }

    /// The responses by status; `keyed` says that a server with keys asks for one.
    pub(super) fn responses(self, dialect: Dialect, limits: Limits, keyed: bool) -> BTreeMap<String, Response> {
        let mut by_status: BTreeMap<u16, Vec<ApiError>> = BTreeMap::new();
        for error in self.errors(limits).into_iter().chain(keyed.then(keys).into_iter().flatten()) {
            by_status.entry(error.row(dialect).status.as_u16()).or_default().push(error);
        }
        by_status.into_iter().map(|(status, errors)| (status.to_string(), response(&errors, dialect))).collect()
    }
}

/// What can be wrong with any body, and with the server.
fn body(limits: Limits) -> Vec<ApiError> {
    vec![
        ApiError::Malformed("expected value at line 1 column 11".to_owned()),
        ApiError::BodyTimeout,
        ApiError::BodyTooLarge(limits.body_bytes),
        ApiError::UnsupportedMediaType("expected content-type: application/json".to_owned()),
        ApiError::Internal,
    ]
}

/// What can be wrong with texts, and with answering them.
fn texts(limits: Limits) -> Vec<ApiError> {
    let (most, characters) = (limits.texts.get(), limits.characters);
    let many = Violation::at("/input", format!("input has {} texts; the limit is {most}", most + 1)).over(most, Some(most + 1));
    let long = format!("input[3] has {} characters; the limit is {characters}", characters + 1);
    vec![
        ApiError::TooManyTexts(many),
        ApiError::Invalid(vec![Violation::at("/input", "input: expected a string or a list of strings, found a number")]),
        ApiError::EmptyText(vec![Violation::at("/input", "input is empty: expected at least one character that is not white space")]),
        ApiError::TextTooLong(vec![Violation::at("/input/3", long).over(characters, Some(characters + 1))]),
        ApiError::Overloaded(2),
        ApiError::Draining(1),
        ApiError::NotReady(1),
        ApiError::Deadline(10_000),
    ]
}

/// What can be wrong with a key.
fn keys() -> [ApiError; 2] {
    let spent = Standing { unit: Unit::Texts, quota: 200, window: 4, remaining: 0, reset: 2 };
    [ApiError::Unauthorized("no key: expected Authorization: Bearer KEY, or X-API-Key: KEY"), ApiError::RateLimited(spent)]
}

fn unknown() -> ApiError {
    ApiError::UnknownModel("expected one of tweets, reddit".to_owned())
}

fn response(errors: &[ApiError], dialect: Dialect) -> Response {
    let codes: Vec<String> = errors.iter().map(|error| format!("`{}`", error.row(dialect).code)).collect();
    let shown = errors.iter().map(|error| {
        let row = error.row(dialect);
        let body = problem::body(error, dialect, "0198c4a5-7d53-7a04-8c6d-1f0f6f0d6d1e");
        (row.code, ExampleBuilder::new().summary(row.title).value(serde_json::from_str(&body).ok()).build())
    });
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema(dialect)))).examples_from_iter(shown).build();
    let builder = ResponseBuilder::new()
        .description(codes.join(", "))
        .content(problem::content_type(dialect), content)
        .header("x-request-id", parameters::request_id_header());
    match errors.iter().all(|error| error.retry_after().is_some()) {
        true => builder.header("retry-after", parameters::retry_after()).build(),
        false => builder.build(),
    }
}

/// The shape of a dialect's errors.
pub(super) const fn schema(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Problem => "Problem",
        Dialect::HuggingFace | Dialect::OpenInference => "PlainError",
        Dialect::Tei => "TypedError",
        Dialect::OpenAi => "OpenAiError",
    }
}
