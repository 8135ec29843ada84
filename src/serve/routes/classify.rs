//! The walk that every classifying route takes: admit, encode, submit, wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::intake::Deadline;
use crate::serve::app::App;
use crate::serve::clock;
use crate::serve::engine::{Answer, EngineError, Refusal};
use crate::serve::error::{ApiError, Violation};
use crate::serve::model::ServedModel;
use crate::serve::registry::Chosen;
use crate::serve::telemetry::Stage;
use crate::serve::wire::check::subject;
use crate::serve::wire::emotions::LongText;
use crate::text::Encoding;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What a request's texts came to.
pub(super) struct Classified {
    /// Tokens of each text, and whether it was cut.
    pub(super) sizes: Vec<TextSize>,
    /// The logits and where the time went.
    pub(super) answer: Answer,
    tokenize: Duration,
    done: Instant,
}

/// One text as the model saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TextSize {
    pub(super) tokens: usize,
    pub(super) truncated: bool,
}

impl From<&Encoding> for TextSize {
    fn from(encoding: &Encoding) -> Self {
        Self { tokens: encoding.ids().len(), truncated: encoding.truncated() }
    }
}

/// The texts of one request and what its dialect says about them.
pub(super) struct Ask<P> {
    pub(super) texts: Vec<String>,
    pub(super) long_text: LongText,
    /// Where text `i` stands in the body.
    pub(super) pointer: P,
}

/// Admits all texts or none, encodes them off the async workers, and waits for their logits.
///
/// # Errors
/// [`ApiError`]: refused, too long where that was asked to be an error, late, or failed.
pub(super) async fn classify<P: Fn(usize) -> String>(
    app: &App,
    chosen: &Chosen,
    ask: Ask<P>,
    deadline: Deadline,
) -> Result<Classified, ApiError> {
    let permit = chosen.engine.admit(ask.texts.len()).map_err(refused)?;
    let shown = chosen.shadow.as_ref().filter(|shadow| shadow.wants()).map(|shadow| (shadow, ask.texts.clone()));
    let started = clock::now();
    let encodings = encode(Arc::clone(&chosen.model), ask.texts).await?;
    let tokenize = clock::now().saturating_duration_since(started);
    let sizes: Vec<TextSize> = encodings.iter().map(TextSize::from).collect();
    if ask.long_text == LongText::Refuse {
        check_lengths(&sizes, chosen.model.encoder.max_length(), ask.pointer)?;
    }
    let ticket = permit.submit(encodings, deadline.order()).map_err(refused)?;
    let answer = ticket.wait().await.map_err(|error| failed(&error, deadline))?;
    if let Some((shadow, texts)) = shown {
        shadow.show(&chosen.served, texts, &answer.logits);
    }
    app.telemetry.stage(Stage::Tokenize, tokenize);
    app.telemetry.stage(Stage::Queue, answer.timings.queue);
    app.telemetry.stage(Stage::Infer, answer.timings.infer);
    sizes.iter().filter(|size| size.truncated).for_each(|_| app.telemetry.truncated());
    Ok(Classified { sizes, answer, tokenize, done: clock::now() })
}

async fn encode(model: Arc<ServedModel>, texts: Vec<String>) -> Result<Vec<Encoding>, ApiError> {
    let work = move || texts.iter().map(|text| model.encoder.encode(text)).collect::<Result<Vec<_>, _>>();
    match web::block(work).await {
        Ok(Ok(encodings)) => Ok(encodings),
        // What the tokenizer says may hold the text; its kind of failure is all the log gets.
        Ok(Err(_)) | Err(_) => {
            tracing::error!("a text could not be encoded");
            Err(ApiError::Internal)
        }
    }
}

fn check_lengths(sizes: &[TextSize], limit: usize, pointer: impl Fn(usize) -> String) -> Result<(), ApiError> {
    let long = sizes.iter().enumerate().filter(|(_, size)| size.truncated);
    let violation = |(at, _)| {
        let pointer = pointer(at);
        let detail = format!("{} has more than {limit} tokens, and the request asks not to cut it", subject(&pointer));
        Violation::at(pointer, detail).over(limit, None)
    };
    let violations: Vec<Violation> = long.map(violation).collect();
    if violations.is_empty() { Ok(()) } else { Err(ApiError::TextTooLong(violations)) }
}

fn refused(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Overloaded { retry_after } => ApiError::Overloaded(retry_after),
        Refusal::Closed { retry_after } => ApiError::Draining(retry_after),
        Refusal::Down { retry_after } => ApiError::NotReady(retry_after),
    }
}

fn failed(error: &EngineError, deadline: Deadline) -> ApiError {
    match error {
        EngineError::Expired => deadline.passed(),
        EngineError::Down => ApiError::NotReady(1),
        EngineError::Failed { .. } | EngineError::Panicked => {
            tracing::error!(%error, "a request failed in the engine");
            ApiError::Internal
        }
    }
}

impl Classified {
    /// The answer as JSON, with where the time went.
    pub(super) fn respond(&self, app: &App, body: &impl Serialize) -> HttpResponse {
        let mut response = HttpResponse::Ok().json(body);
        let (tok, queue, infer) = (self.tokenize, self.answer.timings.queue, self.answer.timings.infer);
        let ms = clock::millis;
        let timing = format!("tok;dur={:.3}, queue;dur={:.3}, infer;dur={:.3}", ms(tok), ms(queue), ms(infer));
        if let Ok(timing) = HeaderValue::from_str(&timing) {
            response.headers_mut().insert(SERVER_TIMING, timing);
        }
        app.telemetry.stage(Stage::Post, clock::now().saturating_duration_since(self.done));
        response
    }
}
