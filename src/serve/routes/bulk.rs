//! `POST /v1/emotions/bulk`: newline-delimited JSON in and out, a native request a line.
//!
//! The answer is a stream that pulls: a few lines are on their way at a time, a line is read only
//! when one of them has been answered and taken, and so a client that does not read its answers
//! stops its own input. Answers come in the order of the lines. A wrong line is answered by an error
//! of its own; the status was told before the first line was read. A full queue and a spent rate are
//! waited out here, within each line's deadline: a whole file must not fail because others are busy.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio::time::sleep;

use super::emotions::answer;
use super::intake::{self, Deadline};
use super::lines::{Line, Lines};
use crate::serve::access::Who;
use crate::serve::app::App;
use crate::serve::batching::Priority;
use crate::serve::clock;
use crate::serve::edge::Call;
use crate::serve::error::ApiError;
use crate::serve::wire::emotions::{BulkLine, EmotionsRequest, Outcome, take_id};
use crate::serve::wire::json::Node;
use crate::serve::wire::problem::Problem;

/// Lines on their way at a time.
const AT_ONCE: usize = 16;
/// Between two tries to enter a full queue.
const PAUSE: Duration = Duration::from_millis(50);
/// What a body of lines calls itself.
const TYPES: [&str; 3] = ["application/x-ndjson", "application/jsonl", "application/json"];

/// Answers line by line.
pub(super) async fn bulk(request: HttpRequest, payload: Payload, app: Data<App>) -> Result<HttpResponse, ApiError> {
    intake::check_plain(request.headers())?;
    intake::check_type(request.headers(), &TYPES)?;
    let call = Call::of(&request);
    let times = app.settings.times;
    let deadline = Deadline::of(request.headers(), &call, &times)?;
    let lines = Lines::new(payload, app.settings.limits.body_bytes, times.longest_deadline);
    // The drain waits for the last line, not only for the head of the response.
    let open = (lines, app.clone(), app.lifecycle.enter());
    let lines = stream::unfold(open, |(mut lines, app, in_flight)| async move {
        let line = next(&mut lines, &app).await?;
        Some((line, (lines, app, in_flight)))
    });
    let answers = lines.map(move |line| {
        let (app, id) = (app.clone(), call.id.clone());
        async move { written(&app, line, &id, deadline).await }
    });
    let answers = answers.buffered(AT_ONCE).map(|line| Ok::<_, Infallible>(Bytes::from(line)));
    Ok(HttpResponse::Ok().content_type(TYPES[0]).streaming(answers))
}

/// The next line, as long as the server is not about to stop: then one line says so and is the last.
async fn next(lines: &mut Lines, app: &App) -> Option<Line> {
    let line = tokio::select! {
        biased;
        () = app.lifecycle.draining() => None,
        line = lines.next() => Some(line),
    };
    line.unwrap_or_else(|| lines.end(ApiError::Draining(1)))
}

/// What is written for one line, its line feed included.
async fn written(app: &App, line: Line, request_id: &str, deadline: Deadline) -> Vec<u8> {
    let deadline = deadline.renewed(clock::now()).with(Priority::Low);
    let mut id = None;
    let outcome = deadline.bound(answered(app, line.number, line.content, (&mut id, deadline))).await;
    outcome.unwrap_or_else(|error| {
        bytes(&BulkLine::<()> { line: line.number, id: id.as_deref(), outcome: Outcome::Error(Problem::of(&error, request_id)) })
    })
}

async fn answered(
    app: &App,
    line: usize,
    content: Result<Vec<u8>, ApiError>,
    (id, deadline): (&mut Option<String>, Deadline),
) -> Result<Vec<u8>, ApiError> {
    let content = content?;
    let mut body = intake::off_workers(content.len(), move || Node::parse(&content)).await?;
    *id = take_id(&mut body)?;
    let chosen = app.choose(body.member("model"))?;
    let mut asked = EmotionsRequest::parse(body, &chosen.model, app.text_limits())?;
    let texts = std::mem::take(&mut asked.inputs.texts);
    pay(app, deadline.who, texts.len()).await?;
    let deadline = deadline.paid();
    loop {
        match answer(app, &chosen, &asked, texts.clone(), deadline).await {
            Err(ApiError::Overloaded(_)) => sleep(PAUSE).await,
            Err(error) => return Err(error),
            Ok((_, answer)) => return Ok(bytes(&BulkLine { line, id: id.as_deref(), outcome: Outcome::Answer(answer) })),
        }
    }
}

/// Takes a line's texts from its key's rate, once however often the line is tried, and waits for it.
async fn pay(app: &App, who: Who, texts: usize) -> Result<(), ApiError> {
    loop {
        match app.spend(who, texts) {
            Err(ApiError::RateLimited(_)) => sleep(PAUSE).await,
            outcome => return outcome.map(|_| ()),
        }
    }
}

fn bytes(line: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(line).expect("an answer has string keys: this is a bug");
    bytes.push(b'\n');
    bytes
}
