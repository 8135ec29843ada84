//! From bytes to a JSON tree: content type, size, pieces, time.

use std::future::poll_fn;
use std::pin::pin;
use std::time::{Duration, Instant};

use actix_web::body::{BodyStream, MessageBody};
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName};
use actix_web::web::{self, Payload};
use tokio::time::timeout;

use crate::serve::access::Who;
use crate::serve::batching::Priority;
use crate::serve::config::{Limits, Settings, Times};
use crate::serve::edge::Call;
use crate::serve::engine::Order;
use crate::serve::error::{ApiError, Violation};
use crate::serve::wire::json::Node;

/// Longer bodies are parsed off the async workers: a mebibyte of brackets takes milliseconds.
const PARSED_IN_PLACE: usize = 64 << 10;
/// No more than this is set aside on a client's word alone.
const TRUSTED: usize = 64 << 10;

/// What a JSON body calls itself.
pub(super) const JSON: [&str; 1] = ["application/json"];

/// The header in which a client says how long it will wait.
const TIMEOUT: &str = "x-request-timeout-ms";

/// The header in which a client says how urgent its request is.
const PRIORITY: &str = "x-request-priority";

/// When a request's answer stops being wanted, how urgent it is until then, and whose it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    limit: Duration,
    priority: Priority,
    /// Whose key pays for the texts.
    pub(super) who: Who,
}

impl Deadline {
    /// The client's own, capped, or the default; of normal priority unless it says otherwise.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] for a header that is no whole number of milliseconds above zero, or no
    /// priority.
    pub(super) fn of(headers: &HeaderMap, call: &Call, times: &Times) -> Result<Self, ApiError> {
        let limit = match headers.get(TIMEOUT) {
            None => times.deadline,
            Some(value) => {
                let asked = value.to_str().ok().and_then(|text| milliseconds(text.trim())).filter(|&asked| asked > 0);
                let wrong = || {
                    let detail = format!("{TIMEOUT}: expected a whole number of milliseconds above zero");
                    ApiError::Invalid(vec![Violation::header(TIMEOUT, detail)])
                };
                Duration::from_millis(asked.ok_or_else(wrong)?).min(times.longest_deadline)
            }
        };
        Ok(Self { at: call.started + limit, limit, priority: priority(headers)?, who: call.who })
    }

    /// The client's own, which it said elsewhere, capped, or the default; of normal priority.
    pub(super) fn after(asked: Option<Duration>, call: &Call, times: &Times) -> Self {
        let limit = asked.map_or(times.deadline, |asked| asked.min(times.longest_deadline));
        Self { at: call.started + limit, limit, priority: Priority::default(), who: call.who }
    }

    /// What the engine is told.
    pub(super) fn order(self) -> Order {
        Order { deadline: self.at, priority: self.priority, origin: None }
    }

    /// The same from `started` on: for a line that arrived later than its request's head.
    pub(super) fn renewed(self, started: Instant) -> Self {
        Self { at: started + self.limit, ..self }
    }

    /// At most `limit` after `started`, no later than this.
    pub(super) fn within(self, started: Instant, limit: Duration) -> Self {
        if started + limit < self.at { Self { at: started + limit, limit, ..self } } else { self }
    }

    /// The same at another urgency.
    pub(super) fn with(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// The same for texts that are paid for.
    pub(super) fn paid(self) -> Self {
        Self { who: Who::default(), ..self }
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

/// A whole number; one too large to count is the largest, as it is capped anyway.
fn milliseconds(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
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
/// As [`bytes`], and [`ApiError::Malformed`].
pub(super) async fn json(headers: &HeaderMap, payload: Payload, settings: &Settings) -> Result<Node, ApiError> {
    check_type(headers, &JSON)?;
    let body = bytes(headers, payload, settings).await?;
    off_workers(body.len(), move || Node::parse(&body)).await
}

/// Reads the whole body.
///
/// # Errors
/// [`ApiError::UnsupportedMediaType`] where it is compressed, [`ApiError::BodyTooLarge`],
/// [`ApiError::BodyTimeout`] or [`ApiError::Malformed`].
pub(super) async fn bytes(headers: &HeaderMap, payload: Payload, settings: &Settings) -> Result<Vec<u8>, ApiError> {
    check_plain(headers)?;
    let limits = &settings.limits;
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()).and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits.body_bytes) {
        return Err(ApiError::BodyTooLarge(limits.body_bytes));
    }
    let body = timeout(settings.times.slow_client, collect(payload, limits, announced.unwrap_or(0)));
    body.await.unwrap_or(Err(ApiError::BodyTimeout))
}

/// Takes a body of so many bytes apart, off the async workers where it is long.
pub(super) async fn off_workers<T: Send + 'static>(
    bytes: usize,
    parse: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    if bytes <= PARSED_IN_PLACE {
        return parse();
    }
    web::block(parse).await.unwrap_or(Err(ApiError::Internal))
}

/// Compressed bodies are refused before a byte of them is read.
pub(super) fn check_plain(headers: &HeaderMap) -> Result<(), ApiError> {
    if word(headers, CONTENT_ENCODING).is_none_or(|encoding| encoding == "identity") {
        return Ok(());
    }
    Err(ApiError::UnsupportedMediaType("a compressed body is not supported: send it without content-encoding".to_owned()))
}

/// One of these media types, a `+json` of `application` where JSON is among them, or nothing said.
pub(super) fn check_type(headers: &HeaderMap, types: &[&str]) -> Result<(), ApiError> {
    let Some(kind) = word(headers, CONTENT_TYPE) else { return Ok(()) };
    let essence = kind.split(';').next().unwrap_or("").trim();
    let json = types.contains(&JSON[0]) && essence.starts_with("application/") && essence.ends_with("+json");
    if json || types.contains(&essence) {
        return Ok(());
    }
    Err(ApiError::UnsupportedMediaType(format!("expected content-type: {}", types.join(" or "))))
}

fn word(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?").trim().to_ascii_lowercase())
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
