//! An error's body in each dialect.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;
use utoipa::ToSchema;

use super::check::subject;
use crate::serve::error::{ApiError, Dialect, Place, Row, Violation};

/// RFC 9457 problem details, with this API's extensions.
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem<'a> {
    /// `urn:limbic:problem:` and the code with hyphens.
    r#type: String,
    /// The same for every occurrence of the code.
    title: &'static str,
    status: u16,
    /// What was expected and what was found. Never a text of the request.
    detail: String,
    /// A URN of this occurrence, made of the request id.
    instance: String,
    /// For programs.
    code: &'static str,
    request_id: &'a str,
    /// Whether the same request may succeed later.
    retryable: bool,
    /// Everything that is wrong with the request, sixteen things at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault<'a>>,
}

/// One thing wrong with the request.
#[derive(Serialize, ToSchema)]
pub(crate) struct Fault<'a> {
    /// Where: a JSON pointer (RFC 6901) into the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pointer: Option<&'a str>,
    /// Where: a header's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    header: Option<&'a str>,
    detail: &'a str,
    /// The limit passed, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64)]
    limit: Option<u64>,
    /// What was found beside the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64)]
    actual: Option<u64>,
}

/// What the clients of Hugging Face and the Open Inference Protocol read.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlainError {
    error: String,
}

/// What text-embeddings-inference's clients read.
#[derive(Serialize, ToSchema)]
pub(crate) struct TypedError {
    error: String,
    /// `Validation`, `Empty`, `Overloaded`, `Unhealthy` or `Backend`.
    error_type: &'static str,
}

/// What OpenAI's clients read.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiError {
    error: OpenAiFault,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiFault {
    message: String,
    /// `invalid_request_error`, `authentication_error`, `permission_error`, `rate_limit_error` or `server_error`.
    r#type: &'static str,
    /// The member that is wrong, where one is.
    param: Option<String>,
    code: &'static str,
}

/// Writes `error` as `dialect` has it.
pub(crate) fn render(error: &ApiError, dialect: Dialect, request_id: &str) -> HttpResponse {
    let row = error.row(dialect);
    let mut response = HttpResponse::build(row.status);
    if let Some(seconds) = error.retry_after() {
        response.insert_header((RETRY_AFTER, seconds));
    }
    if let ApiError::Unauthorized(_) = error {
        response.insert_header((WWW_AUTHENTICATE, "Bearer"));
    }
    if let ApiError::MethodNotAllowed(allow) = error {
        response.insert_header((ALLOW, *allow));
    }
    if error.leaves_body() {
        response.force_close();
    }
    response.content_type(content_type(dialect)).body(body(error, dialect, request_id))
}

/// What an error's body calls itself.
pub(crate) const fn content_type(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Problem => "application/problem+json",
        Dialect::HuggingFace | Dialect::Tei | Dialect::OpenInference | Dialect::OpenAi => "application/json",
    }
}

/// An error's body.
pub(crate) fn body(error: &ApiError, dialect: Dialect, request_id: &str) -> String {
    let row = error.row(dialect);
    match dialect {
        Dialect::Problem => text(&Problem::of(error, request_id)),
        Dialect::HuggingFace | Dialect::OpenInference => text(&PlainError { error: error.to_string() }),
        Dialect::Tei => text(&TypedError { error: error.to_string(), error_type: row.tei }),
        Dialect::OpenAi => text(&OpenAiError { error: OpenAiFault::of(error, row) }),
    }
}

impl<'a> Problem<'a> {
    pub(crate) fn of(error: &'a ApiError, request_id: &'a str) -> Self {
        let row = error.row(Dialect::Problem);
        Self {
            r#type: format!("urn:limbic:problem:{}", row.code.replace('_', "-")),
            title: row.title,
            status: row.status.as_u16(),
            detail: error.to_string(),
            instance: instance(request_id),
            code: row.code,
            request_id,
            retryable: row.retryable,
            errors: error.violations().iter().map(fault).collect(),
        }
    }
}

impl OpenAiFault {
    fn of(error: &ApiError, row: Row) -> Self {
        let param = error.violations().first().and_then(|violation| match &violation.place {
            Place::Pointer(pointer) if !pointer.is_empty() => Some(subject(pointer)),
            Place::Pointer(_) | Place::Header(_) => None,
        });
        let kind = match row.status {
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::FORBIDDEN => "permission_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        Self { message: error.to_string(), r#type: kind, param, code: row.code }
    }
}

fn text(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("an error body has string keys: this is a bug")
}

/// A URI for this occurrence. A request id's alphabet needs no escaping in a URN.
fn instance(request_id: &str) -> String {
    match uuid::Uuid::try_parse(request_id) {
        Ok(_) => format!("urn:uuid:{request_id}"),
        Err(_) => format!("urn:limbic:request:{request_id}"),
    }
}

fn fault(violation: &Violation) -> Fault<'_> {
    let (pointer, header) = match &violation.place {
        Place::Pointer(pointer) => (Some(pointer.as_str()), None),
        Place::Header(name) => (None, Some(*name)),
    };
    Fault { pointer, header, detail: &violation.detail, limit: violation.limit, actual: violation.actual }
}
