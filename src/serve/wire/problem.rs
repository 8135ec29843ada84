//! An error's body in each dialect.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER};
use serde::Serialize;

use super::check::subject;
use crate::serve::error::{ApiError, Dialect, Place, Row, Violation};

/// RFC 9457 problem details, with this API's extensions.
#[derive(Serialize)]
pub(crate) struct Problem<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    instance: String,
    code: &'static str,
    request_id: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault<'a>>,
}

/// One thing wrong with the request.
#[derive(Serialize)]
struct Fault<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<&'a str>,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actual: Option<u64>,
}

/// What the clients of Hugging Face, text-embeddings-inference and the Open Inference Protocol read.
#[derive(Serialize)]
struct Flat {
    error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'static str>,
}

/// What OpenAI's clients read.
#[derive(Serialize)]
struct Wrapped {
    error: OpenAiFault,
}

#[derive(Serialize)]
struct OpenAiFault {
    message: String,
    r#type: &'static str,
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
    if let ApiError::MethodNotAllowed(allow) = error {
        response.insert_header((ALLOW, *allow));
    }
    if error.leaves_body() {
        response.force_close();
    }
    let kind = if dialect == Dialect::Problem { "application/problem+json" } else { "application/json" };
    response.content_type(kind);
    let json = match dialect {
        Dialect::Problem => text(&Problem::of(error, request_id)),
        Dialect::HuggingFace | Dialect::OpenInference => text(&Flat { error: error.to_string(), error_type: None }),
        Dialect::Tei => text(&Flat { error: error.to_string(), error_type: Some(row.tei) }),
        Dialect::OpenAi => text(&Wrapped { error: OpenAiFault::of(error, row) }),
    };
    response.body(json)
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
