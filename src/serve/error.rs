//! One error for everything a request can meet, and one table from it to a status.
//!
//! How an error is written depends on whose protocol the route speaks: [`Dialect`]. The table has
//! no wildcard arm, so a new error cannot be born without a status. Nothing here repeats a text of
//! a request: positions, lengths and limits say enough.

use std::fmt;

use actix_web::http::StatusCode;

use super::access::Standing;

/// Whose shape an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 9457 problem details.
    Problem,
    /// Hugging Face inference: `{"error": "..."}`.
    HuggingFace,
    /// text-embeddings-inference: `{"error": "...", "error_type": "..."}`.
    Tei,
    /// Open Inference Protocol: `{"error": "..."}`.
    OpenInference,
    /// OpenAI and vLLM: `{"error": {"message", "type", "param", "code"}}`.
    OpenAi,
}

impl Dialect {
    /// Of a path that leads nowhere: what its neighbours speak.
    pub(super) fn of_path(path: &str) -> Self {
        if path.starts_with("/v2/") { Self::OpenInference } else { Self::Problem }
    }
}

/// Where in a request something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A JSON pointer (RFC 6901) into the body.
    Pointer(String),
    /// A header's name.
    Header(&'static str),
}

/// One thing wrong with a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// Where.
    pub place: Place,
    /// What was expected and what was found.
    pub detail: String,
    /// The limit passed, where there is one.
    pub limit: Option<u64>,
    /// What was found beside the limit.
    pub actual: Option<u64>,
}

impl Violation {
    /// Something wrong at a JSON pointer.
    pub fn at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { place: Place::Pointer(pointer.into()), detail: detail.into(), limit: None, actual: None }
    }

    /// Something wrong with a header.
    pub fn header(name: &'static str, detail: impl Into<String>) -> Self {
        Self { place: Place::Header(name), detail: detail.into(), limit: None, actual: None }
    }

    /// Adds the limit and what was found, where that is known.
    #[must_use]
    pub fn over(mut self, limit: usize, actual: Option<usize>) -> Self {
        self.limit = Some(limit as u64);
        self.actual = actual.map(|actual| actual as u64);
        self
    }
}

/// Everything that keeps a request from its answer.
#[derive(Debug, Clone, PartialEq)]
pub enum ApiError {
    /// The body is no JSON, no UTF-8, or nested too deeply.
    Malformed(String),
    /// No key, or an unknown one; says which.
    Unauthorized(&'static str),
    /// Not with this key, or not from there; says which.
    Forbidden(&'static str),
    /// A key's own rate is spent.
    RateLimited(Standing),
    /// No such route.
    NotFound,
    /// No such model here; says which there are.
    UnknownModel(String),
    /// A change to the models that contradicts how they stand.
    Conflict(String),
    /// A bundle that cannot serve, and why.
    BundleRefused(String),
    /// The route exists, but not with this method; these are allowed.
    MethodNotAllowed(&'static str),
    /// The body did not arrive in time.
    BodyTimeout,
    /// The body is longer than this many bytes, or in too many pieces.
    BodyTooLarge(usize),
    /// More texts than one request may bring.
    TooManyTexts(Violation),
    /// The body is not declared as JSON, or is compressed.
    UnsupportedMediaType(String),
    /// Members missing, unknown, of the wrong type or out of range.
    Invalid(Vec<Violation>),
    /// Texts with nothing in them.
    EmptyText(Vec<Violation>),
    /// Texts over the limit.
    TextTooLong(Vec<Violation>),
    /// The queue is full; come back in this many seconds.
    Overloaded(u64),
    /// The server is shutting down; another may answer.
    Draining(u64),
    /// No engine worker is up.
    NotReady(u64),
    /// No answer within this many milliseconds.
    Deadline(u64),
    /// Something failed that is not the client's doing.
    Internal,
}

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) title: &'static str,
    /// The word text-embeddings-inference's clients look at.
    pub(super) tei: &'static str,
    pub(super) retryable: bool,
}

impl ApiError {
    /// Status, code and title. What is wrong inside a body is 422, but 400 where clients expect that.
    pub(super) fn row(&self, dialect: Dialect) -> Row {
        let row = |status, code, title, tei, retryable| Row { status, code, title, tei, retryable };
        use StatusCode as S;
        let (wrong, empty) = match dialect {
            Dialect::Problem | Dialect::HuggingFace => (S::UNPROCESSABLE_ENTITY, S::UNPROCESSABLE_ENTITY),
            Dialect::Tei => (S::UNPROCESSABLE_ENTITY, S::BAD_REQUEST),
            Dialect::OpenInference | Dialect::OpenAi => (S::BAD_REQUEST, S::BAD_REQUEST),
        };
        match self {
            Self::Malformed(_) => row(S::BAD_REQUEST, "malformed_json", "Malformed JSON", "Validation", false),
            Self::Unauthorized(_) => row(S::UNAUTHORIZED, "unauthorized", "A key is needed", "Validation", false),
            Self::Forbidden(_) => row(S::FORBIDDEN, "forbidden", "Not allowed", "Validation", false),
            Self::RateLimited(_) => row(S::TOO_MANY_REQUESTS, "rate_limited", "The key's rate is spent", "Overloaded", true),
            Self::NotFound => row(S::NOT_FOUND, "not_found", "No such route", "Validation", false),
            Self::UnknownModel(_) => row(S::NOT_FOUND, "model_not_found", "No such model", "Validation", false),
            Self::Conflict(_) => row(S::CONFLICT, "conflict", "Not as things stand", "Validation", false),
            Self::BundleRefused(_) => row(S::UNPROCESSABLE_ENTITY, "bundle_refused", "Bundle refused", "Validation", false),
            Self::MethodNotAllowed(_) => row(S::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed", "Validation", false),
            Self::BodyTimeout => row(S::REQUEST_TIMEOUT, "body_timeout", "Body not received in time", "Validation", true),
            Self::BodyTooLarge(_) => row(S::PAYLOAD_TOO_LARGE, "body_too_large", "Body too large", "Validation", false),
            Self::TooManyTexts(_) => row(S::PAYLOAD_TOO_LARGE, "too_many_texts", "Too many texts", "Validation", false),
            Self::UnsupportedMediaType(_) => {
                row(S::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Unsupported media type", "Validation", false)
            }
            Self::Invalid(_) => row(wrong, "validation_failed", "Request not valid", "Validation", false),
            Self::EmptyText(_) => row(empty, "empty_text", "Empty text", "Empty", false),
            Self::TextTooLong(_) => row(wrong, "text_too_long", "Text too long", "Validation", false),
            Self::Overloaded(_) => row(S::TOO_MANY_REQUESTS, "overloaded", "Too many requests waiting", "Overloaded", true),
            Self::Draining(_) => row(S::SERVICE_UNAVAILABLE, "draining", "Server is shutting down", "Unhealthy", true),
            Self::NotReady(_) => row(S::SERVICE_UNAVAILABLE, "not_ready", "Server is not ready", "Unhealthy", true),
            Self::Deadline(_) => row(S::GATEWAY_TIMEOUT, "deadline_exceeded", "Deadline exceeded", "Backend", true),
            Self::Internal => row(S::INTERNAL_SERVER_ERROR, "internal", "Internal error", "Backend", true),
        }
    }

    /// What is wrong where, if the body or a header is.
    pub(super) fn violations(&self) -> &[Violation] {
        match self {
            Self::Invalid(list) | Self::EmptyText(list) | Self::TextTooLong(list) => list,
            Self::TooManyTexts(one) => std::slice::from_ref(one),
            Self::Malformed(_)
            | Self::Unauthorized(_)
            | Self::Forbidden(_)
            | Self::RateLimited(_)
            | Self::NotFound
            | Self::UnknownModel(_)
            | Self::Conflict(_)
            | Self::BundleRefused(_)
            | Self::MethodNotAllowed(_)
            | Self::BodyTimeout
            | Self::BodyTooLarge(_)
            | Self::UnsupportedMediaType(_)
            | Self::Overloaded(_)
            | Self::Draining(_)
            | Self::NotReady(_)
            | Self::Deadline(_)
            | Self::Internal => &[],
        }
    }

    /// Seconds for `Retry-After`.
    pub(super) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Overloaded(seconds) | Self::Draining(seconds) | Self::NotReady(seconds) => Some((*seconds).max(1)),
            Self::RateLimited(standing) => Some(standing.reset),
            Self::Malformed(_)
            | Self::Unauthorized(_)
            | Self::Forbidden(_)
            | Self::NotFound
            | Self::UnknownModel(_)
            | Self::Conflict(_)
            | Self::BundleRefused(_)
            | Self::MethodNotAllowed(_)
            | Self::BodyTimeout
            | Self::BodyTooLarge(_)
            | Self::TooManyTexts(_)
            | Self::UnsupportedMediaType(_)
            | Self::Invalid(_)
            | Self::EmptyText(_)
            | Self::TextTooLong(_)
            | Self::Deadline(_)
            | Self::Internal => None,
        }
    }

    /// Whether the rest of the body may still be on its way, so that the connection has to close.
    pub(super) fn leaves_body(&self) -> bool {
        matches!(self, Self::BodyTimeout | Self::BodyTooLarge(_))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(reason) => write!(f, "the body is not the JSON expected: {reason}"),
            Self::Unauthorized(reason) | Self::Forbidden(reason) => f.write_str(reason),
            Self::RateLimited(Standing { unit, quota, window, reset, .. }) => {
                write!(f, "this key may bring {quota} {} in {window} s; try again in {reset} s", unit.name())
            }
            Self::NotFound => f.write_str("no such route; POST /v1/emotions classifies texts"),
            Self::UnknownModel(found) => write!(f, "no such model here: {found}"),
            Self::Conflict(reason) | Self::BundleRefused(reason) => f.write_str(reason),
            Self::MethodNotAllowed(allow) => write!(f, "this route takes {allow}"),
            Self::BodyTimeout => f.write_str("the body did not arrive in time"),
            Self::BodyTooLarge(limit) => write!(f, "the body, or one line of it, is larger than {limit} bytes or in too many pieces"),
            Self::UnsupportedMediaType(reason) => f.write_str(reason),
            Self::TooManyTexts(one) => f.write_str(&one.detail),
            Self::Invalid(list) | Self::EmptyText(list) | Self::TextTooLong(list) => match list.as_slice() {
                [] => f.write_str("the request is not valid"),
                [one] => f.write_str(&one.detail),
                [first, rest @ ..] => write!(f, "{} (and {} more)", first.detail, rest.len()),
            },
            Self::Overloaded(seconds) => write!(f, "too many texts are waiting; try again in {seconds} s"),
            Self::Draining(_) => f.write_str("this server is shutting down; try again, another one may answer"),
            Self::NotReady(seconds) => write!(f, "no engine is up; try again in {seconds} s"),
            Self::Deadline(limit) => write!(f, "no answer within {limit} ms"),
            Self::Internal => f.write_str("the server failed on this request; its log says more under the request id"),
        }
    }
}

impl std::error::Error for ApiError {}
