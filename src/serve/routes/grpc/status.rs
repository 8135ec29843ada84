//! Errors as gRPC statuses: a code, the error's own text, and what a client can act on in the standard detail messages
//! (`google.rpc`: `ErrorInfo`, `BadRequest`, `RetryInfo`).

use std::sync::Arc;
use std::time::Duration;

use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::serve::error::{ApiError, Dialect, Place};

/// Where gRPC's own retries look for how long to wait.
const PUSHBACK: &str = "grpc-retry-pushback-ms";
/// Whose reasons these are.
const DOMAIN: &str = "limbic";

/// The status of `error`, whose source it stays.
pub(super) fn of(error: &ApiError, request_id: &str) -> Status {
    let row = error.row(Dialect::OpenInference);
    let mut details = ErrorDetails::new();
    details.set_error_info(row.code.to_ascii_uppercase(), DOMAIN, [("request_id".to_owned(), request_id.to_owned())]);
    for violation in error.violations() {
        let field = match &violation.place {
            Place::Pointer(pointer) => pointer.as_str(),
            Place::Header(name) => name,
        };
        details.add_bad_request_violation(field, &violation.detail);
    }
    let mut metadata = MetadataMap::new();
    if let Some(seconds) = error.retry_after() {
        let wait = Duration::from_secs(seconds);
        details.set_retry_info(Some(wait));
        if let Ok(wait) = MetadataValue::try_from(wait.as_millis().to_string()) {
            metadata.insert(PUSHBACK, wait);
        }
    }
    let mut status = Status::with_error_details_and_metadata(code(error), error.to_string(), details, metadata);
    status.set_source(Arc::new(error.clone()));
    status
}

/// The table from an error to a code, without a wildcard: a new error cannot be born without one.
fn code(error: &ApiError) -> Code {
    match error {
        ApiError::Malformed(_)
        | ApiError::UnsupportedMediaType(_)
        | ApiError::TooManyTexts(_)
        | ApiError::Invalid(_)
        | ApiError::EmptyText(_)
        | ApiError::TextTooLong(_) => Code::InvalidArgument,
        ApiError::NotFound | ApiError::MethodNotAllowed(_) => Code::Unimplemented,
        ApiError::UnknownModel(_) => Code::NotFound,
        ApiError::Conflict(_) | ApiError::BundleRefused(_) => Code::FailedPrecondition,
        ApiError::Unauthorized(_) => Code::Unauthenticated,
        ApiError::Forbidden(_) => Code::PermissionDenied,
        ApiError::BodyTooLarge(_) | ApiError::Overloaded(_) | ApiError::RateLimited(_) => Code::ResourceExhausted,
        ApiError::Draining(_) | ApiError::NotReady(_) => Code::Unavailable,
        ApiError::BodyTimeout | ApiError::Deadline(_) => Code::DeadlineExceeded,
        ApiError::Internal => Code::Internal,
    }
}

/// A code's name in the specification: a closed set, for metrics.
pub(in crate::serve) const fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
