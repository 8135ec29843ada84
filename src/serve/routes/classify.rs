//! The walk that every classifying route takes: admit, read, submit, wait.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::intake::Deadline;
use crate::serve::access::Standing;
use crate::serve::app::App;
use crate::serve::clock;
use crate::serve::engine::{Answer, EngineError, Order, Permit, Refusal};
use crate::serve::error::{ApiError, Violation};
use crate::serve::model::ServedModel;
use crate::serve::registry::Chosen;
use crate::serve::telemetry::Stage;
use crate::serve::telemetry::traces::{Stages, Traces};
use crate::serve::wire::check::subject;
use crate::serve::wire::emotions::LongText;
use crate::text::{Encoding, Parts, Passage, ReadText, Reading, Span, TextError};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The texts of one request and what its dialect says about them.
pub(super) struct Ask<P> {
    pub(super) texts: Vec<String>,
    pub(super) long_text: LongText,
    pub(super) parts: Parts,
    /// Where text `i` stands in the body.
    pub(super) pointer: P,
}

impl<P: Fn(usize) -> String> Ask<P> {
    /// Each text once, cut.
    pub(super) fn plain(texts: Vec<String>, pointer: P) -> Self {
        Self { texts, long_text: LongText::Truncate, parts: Parts::None, pointer }
    }
}

/// What a request's texts came to.
pub(super) struct Classified {
    /// The rows of each text, in order.
    pub(super) texts: Vec<TextRows>,
    /// What each row of logits is of.
    pub(super) rows: Vec<Row>,
    /// The logits and where the time went.
    pub(super) answer: Answer,
    /// Where the request's key stands, if it has a rate of texts.
    standing: Option<Standing>,
    /// When reading them began, and how long it took.
    tokenize: (Instant, Duration),
    done: Instant,
}

/// The rows of logits that belong to one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextRows {
    /// The text as a whole: one row, or one a window.
    pub(super) whole: Range<usize>,
    pub(super) sentences: Vec<(Span, Range<usize>)>,
}

/// One passage as the model saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) span: Span,
    pub(super) tokens: usize,
    pub(super) truncated: bool,
}

/// Classifies a request's texts, takes them from its key's rate, and counts what that took.
///
/// # Errors
/// As [`compute`], and [`ApiError::RateLimited`].
pub(super) async fn classify<P: Fn(usize) -> String>(
    app: &App,
    chosen: &Chosen,
    ask: Ask<P>,
    deadline: Deadline,
) -> Result<Classified, ApiError> {
    let standing = app.spend(deadline.who, ask.texts.len())?;
    // A shadow reads whole texts, so it is compared where the model did too.
    let whole = ask.parts == Parts::None;
    let shown = chosen.shadow.as_ref().filter(|shadow| whole && shadow.wants()).map(|shadow| (shadow, ask.texts.clone()));
    let classified = compute(app, chosen, ask, deadline).await?;
    if let Some((shadow, texts)) = shown.filter(|(_, texts)| texts.len() == classified.rows.len()) {
        shadow.show(&chosen.served, texts, &classified.answer.logits);
    }
    app.telemetry.stage(Stage::Tokenize, classified.tokenize.1);
    app.telemetry.stage(Stage::Queue, classified.answer.timings.queue);
    app.telemetry.stage(Stage::Infer, classified.answer.timings.infer);
    classified.texts.iter().filter(|text| classified.truncated(&text.whole)).for_each(|_| app.telemetry.truncated());
    if let Some(traces) = app.telemetry.traces() {
        traces.stages(&classified.stages(&chosen.model));
    }
    Ok(Classified { standing, ..classified })
}

/// Admits all texts or none, reads them off the async workers, and waits for their logits.
///
/// # Errors
/// [`ApiError`]: refused, too long where that was asked to be an error, too much to read, late, or
/// failed.
pub(super) async fn compute<P: Fn(usize) -> String>(
    app: &App,
    chosen: &Chosen,
    ask: Ask<P>,
    deadline: Deadline,
) -> Result<Classified, ApiError> {
    let permit = chosen.engine.admit(ask.texts.len()).map_err(refused)?;
    let (started, texts) = (clock::now(), ask.texts.len());
    let reading = Reading { long: ask.long_text.long(), parts: ask.parts, most: app.settings.limits.passages.get() };
    let read = read(Arc::clone(&chosen.model), ask.texts, reading).await?;
    let tokenize = clock::now().saturating_duration_since(started);
    if ask.long_text == LongText::Refuse {
        check_lengths(&read, chosen.model.encoder.max_length(), ask.pointer)?;
    }
    let (texts, rows, encodings) = lay_out(read, texts);
    let permit = grow(chosen, permit, (texts.len(), encodings.len()))?;
    let order = Order { origin: app.telemetry.traces().and_then(Traces::origin), ..deadline.order() };
    let ticket = permit.submit(encodings, order).map_err(refused)?;
    let answer = ticket.wait().await.map_err(|error| failed(&error, deadline))?;
    Ok(Classified { texts, rows, answer, standing: None, tokenize: (started, tokenize), done: clock::now() })
}

/// Reads texts of which all passages together are at most `reading.most`.
async fn read(model: Arc<ServedModel>, texts: Vec<String>, reading: Reading) -> Result<Vec<ReadText>, ApiError> {
    let limit = reading.most;
    let work = move || {
        let mut left = limit;
        let each = texts.iter().map(|text| {
            let read = model.encoder.read(text, Reading { most: left, ..reading })?;
            left -= read.passages.len();
            Ok(read)
        });
        each.collect::<Result<Vec<_>, TextError>>()
    };
    match web::block(work).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(TextError::Passages { .. })) => {
            let detail = format!("the texts come to more than {limit} passages, sentences and windows counted");
            Err(ApiError::TooManyTexts(Violation::at("", detail).over(limit, None)))
        }
        // What the tokenizer says may hold the text; its kind of failure is all the log gets.
        Ok(Err(_)) | Err(_) => {
            tracing::error!("a text could not be encoded");
            Err(ApiError::Internal)
        }
    }
}

/// Every text's passages in one list.
fn lay_out(read: Vec<ReadText>, texts: usize) -> (Vec<TextRows>, Vec<Row>, Vec<Encoding>) {
    let mut laid = (Vec::with_capacity(texts), Vec::new(), Vec::new());
    for ReadText { passages, whole, sentences } in read {
        let first = laid.1.len();
        let shifted = |range: Range<usize>| first + range.start..first + range.end;
        let sentences = sentences.into_iter().map(|(span, range)| (span, shifted(range))).collect();
        laid.0.push(TextRows { whole: shifted(whole), sentences });
        for Passage { encoding, span } in passages {
            laid.1.push(Row { span, tokens: encoding.ids().len(), truncated: encoding.truncated() });
            laid.2.push(encoding);
        }
    }
    laid
}

/// Places for every passage: the permit was for as many as there are texts.
fn grow(chosen: &Chosen, permit: Permit, (texts, passages): (usize, usize)) -> Result<Permit, ApiError> {
    if passages == texts {
        return Ok(permit);
    }
    drop(permit);
    chosen.engine.admit(passages).map_err(refused)
}

fn check_lengths(read: &[ReadText], limit: usize, pointer: impl Fn(usize) -> String) -> Result<(), ApiError> {
    let cut = |text: &ReadText| text.passages.iter().any(|passage| passage.encoding.truncated());
    let long = read.iter().enumerate().filter(|(_, text)| cut(text));
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
    /// Tokens that the model read in these rows.
    pub(super) fn tokens(&self, rows: &Range<usize>) -> usize {
        self.rows[rows.clone()].iter().map(|row| row.tokens).sum()
    }

    /// Whether something of these rows was cut off.
    pub(super) fn truncated(&self, rows: &Range<usize>) -> bool {
        self.rows[rows.clone()].iter().any(|row| row.truncated)
    }

    fn stages<'a>(&self, model: &'a ServedModel) -> Stages<'a> {
        let timings = self.answer.timings;
        Stages {
            model,
            texts: self.texts.len(),
            tokens: self.tokens(&(0..self.rows.len())),
            tokenize: self.tokenize,
            queue: (timings.submitted, timings.queue),
            infer: timings.infer,
        }
    }

    /// The answer as JSON, with where the time went.
    pub(super) fn respond(&self, app: &App, body: &impl Serialize) -> HttpResponse {
        self.finish(app, HttpResponse::Ok().json(body))
    }

    /// Adds where the time went to a response.
    pub(super) fn finish(&self, app: &App, mut response: HttpResponse) -> HttpResponse {
        if let Ok(timing) = HeaderValue::from_str(&self.timing(app)) {
            response.headers_mut().insert(SERVER_TIMING, timing);
        }
        if let Some(standing) = self.standing {
            response.extensions_mut().insert(standing);
        }
        response
    }

    /// Where the time went, as `Server-Timing` has it. The answer is written: what that took is
    /// counted.
    pub(super) fn timing(&self, app: &App) -> String {
        app.telemetry.stage(Stage::Post, clock::now().saturating_duration_since(self.done));
        let (tok, queue, infer) = (self.tokenize.1, self.answer.timings.queue, self.answer.timings.infer);
        let ms = clock::millis;
        format!("tok;dur={:.3}, queue;dur={:.3}, infer;dur={:.3}", ms(tok), ms(queue), ms(infer))
    }
}
