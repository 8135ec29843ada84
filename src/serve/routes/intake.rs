//! From bytes to a JSON tree: content type, size, pieces, time.

use std::future::poll_fn;
use std::pin::pin;
use std::time::{Duration, Instant};

use actix_web::body::{BodyStream, MessageBody};
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use actix_web::web::{self, Payload};
use tokio::time::timeout;

use crate::serve::batching::Priority;
use crate::serve::config::{Limits, Settings, Times};
use crate::serve::engine::Order;
use crate::serve::error::{ApiError, Violation};
use crate::serve::wire::json::Node;

/// Longer bodies are parsed off the async workers: a mebibyte of brackets takes milliseconds.
const PARSED_IN_PLACE: usize = 64 << 10;
/// No more than this is set aside on a client's word alone.
const TRUSTED: usize = 64 << 10;

/// The header in which a client says how long it will wait.
const TIMEOUT: &str = "x-request-timeout-ms";

/// The header in which a client says how urgent its request is.
const PRIORITY: &str = "x-request-priority";

/// When a request's answer stops being wanted, and how urgent it is until then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    limit: Duration,
    priority: Priority,
}

impl Deadline {
    /// The client's own, capped, or the default; of normal priority unless it says otherwise.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] for a header that is no whole number of milliseconds above zero, or no
    /// priority.
    pub(super) fn of(headers: &HeaderMap, started: Instant, times: &Times) -> Result<Self, ApiError> {
        let limit = match headers.get(TIMEOUT) {
            None => times.deadline,
            Some(value) => {
                let asked = value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok()).filter(|&asked| asked > 0);
                let wrong = || {
                    let detail = format!("{TIMEOUT}: expected a whole number of milliseconds above zero");
                    ApiError::Invalid(vec![Violation::header(TIMEOUT, detail)])
                };
                Duration::from_millis(asked.ok_or_else(wrong)?).min(times.longest_deadline)
            }
        };
        Ok(Self { at: started + limit, limit, priority: priority(headers)? })
    }

    /// What the engine is told.
    pub(super) fn order(self) -> Order {
        Order { deadline: self.at, priority: self.priority }
    }

    /// Runs `work`, but no longer than this.
    ///
    /// # Errors
    /// [`ApiError::Deadline`], or the work's own error.
    pub(super) async fn bound<T>(self, work: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
        tokio::time::timeout_at(self.at.into(), work).await.unwrap_or_else(|_| Err(self.passed()))
    }

    pub(super) fn passed(self) -> ApiError {
        ApiError::Deadline(u64::try_from(self.limit.as_millis()).unwrap_or(u64::MAX))
    }
}

fn priority(headers: &HeaderMap) -> Result<Priority, ApiError> {
    let Some(value) = headers.get(PRIORITY) else { return Ok(Priority::default()) };
    let known = value.to_str().ok().and_then(|word| Priority::of(word.trim()));
    known.ok_or_else(|| {
        let words = Priority::ALL.map(Priority::name).join(", ");
        ApiError::Invalid(vec![Violation::header(PRIORITY, format!("{PRIORITY}: expected one of {words}"))])
    })
}

/// Reads the whole body as JSON.
///
/// # Errors
/// [`ApiError::UnsupportedMediaType`], [`ApiError::BodyTooLarge`], [`ApiError::BodyTimeout`] or
/// [`ApiError::Malformed`].
pub(super) async fn json(headers: &HeaderMap, payload: Payload, settings: &Settings) -> Result<Node, ApiError> {
    check_type(headers)?;
    let limits = &settings.limits;
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()).and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits.body_bytes) {
        return Err(ApiError::BodyTooLarge(limits.body_bytes));
    }
    let body = timeout(settings.times.slow_client, collect(payload, limits, announced.unwrap_or(0)));
    let body = body.await.unwrap_or(Err(ApiError::BodyTimeout))?;
    if body.len() <= PARSED_IN_PLACE {
        return Node::parse(&body);
    }
    web::block(move || Node::parse(&body)).await.unwrap_or(Err(ApiError::Internal))
}

/// JSON, or nothing said. Compressed bodies are refused before a byte of them is read.
fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?").trim().to_ascii_lowercase());
    if text(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(ApiError::UnsupportedMediaType("a compressed body is not supported: send it without content-encoding".to_owned()));
    }
    let Some(kind) = text(CONTENT_TYPE) else { return Ok(()) };
    let essence = kind.split(';').next().unwrap_or("").trim();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    Err(ApiError::UnsupportedMediaType("expected content-type: application/json".to_owned()))
}

async fn collect(payload: Payload, limits: &Limits, announced: usize) -> Result<Vec<u8>, ApiError> {
    let mut stream = pin!(BodyStream::new(payload));
    let mut body = Vec::with_capacity(announced.min(TRUSTED));
    let mut chunks = 0;
    while let Some(chunk) = poll_fn(|context| stream.as_mut().poll_next(context)).await {
        let chunk = chunk.map_err(|_| ApiError::Malformed("the body broke off".to_owned()))?;
        chunks += 1;
        if body.len() + chunk.len() > limits.body_bytes || chunks > limits.body_chunks {
            return Err(ApiError::BodyTooLarge(limits.body_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
