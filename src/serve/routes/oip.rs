//! The Open Inference Protocol over REST, under `/v2`, and what it has in common with the same over gRPC: which model is meant,
//! whether it is ready, and from a checked request to what was decided.

use std::time::Instant;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::classify::{Ask, Classified, classify};
use super::intake::{self, Deadline};
use crate::decide::Prediction;
use crate::serve::app::App;
use crate::serve::edge::Call;
use crate::serve::error::{ApiError, Violation};
use crate::serve::registry::Chosen;
use crate::serve::wire::oip::{self, InferAnswer, InferRequest, ModelHealth, ServerHealth, Written};

const JSON_BYTES: HeaderName = HeaderName::from_static("inference-header-content-length");

/// Which model a path or a message names.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) model: String,
    pub(super) version: Option<String>,
}

impl Named {
    /// # Errors
    /// [`ApiError::UnknownModel`].
    pub(super) fn choose(&self, app: &App) -> Result<Chosen, ApiError> {
        match &self.version {
            None => app.choose(Some(&self.model)),
            Some(version) => app.choose(Some(&format!("{}@{version}", self.model))),
        }
    }
}

/// Whether a model can be asked here and now.
pub(super) fn is_ready(app: &App, chosen: &Chosen) -> bool {
    !app.lifecycle.is_draining() && chosen.engine.is_up()
}

/// Classifies and decides what a checked request asks, by the deadline that its head said, counted from `started`, or its own.
/// Its texts are taken out of it.
///
/// # Errors
/// As [`classify`].
pub(super) async fn answer(
    app: &App,
    chosen: &Chosen,
    asked: &mut InferRequest,
    (started, deadline): (Instant, Deadline),
) -> Result<(Classified, Vec<Prediction>), ApiError> {
    let deadline = asked.timeout.map_or(deadline, |timeout| deadline.within(started, timeout));
    let deadline = asked.priority.map_or(deadline, |priority| deadline.with(priority));
    let ask = Ask::plain(std::mem::take(&mut asked.texts), |at| asked.place(at));
    let classified = deadline.bound(classify(app, chosen, ask, deadline)).await?;
    let decider = &chosen.model.decider;
    let predictions = decider.decide_with(&classified.answer.logits, asked.thresholds.as_ref().unwrap_or(decider.thresholds()));
    predictions.iter().for_each(|prediction| chosen.scored(&prediction.scores));
    Ok((classified, predictions))
}

/// `GET /v2`.
pub(super) async fn server() -> HttpResponse {
    HttpResponse::Ok().json(oip::server())
}

/// `GET /v2/health/live`.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(ServerHealth { live: true, ready: None })
}

/// `GET /v2/health/ready`.
pub(super) async fn ready(app: Data<App>) -> Result<HttpResponse, ApiError> {
    let chosen = app.choose(None)?;
    Ok(readiness(&app, &chosen, |ready| ServerHealth { live: true, ready: Some(ready) }))
}

/// `GET /v2/models/{model}`.
pub(super) async fn model(app: Data<App>, named: Path<Named>) -> Result<HttpResponse, ApiError> {
    let chosen = named.choose(&app)?;
    Ok(HttpResponse::Ok().json(oip::model(&chosen.model, chosen.engine.name())))
}

/// `GET /v2/models/{model}/ready`.
pub(super) async fn model_ready(app: Data<App>, named: Path<Named>) -> Result<HttpResponse, ApiError> {
    let chosen = named.choose(&app)?;
    Ok(readiness(&app, &chosen, |ready| ModelHealth { name: &chosen.model.name, ready }))
}

fn readiness<T: Serialize>(app: &App, chosen: &Chosen, body: impl Fn(bool) -> T) -> HttpResponse {
    if is_ready(app, chosen) {
        return HttpResponse::Ok().json(body(true));
    }
    HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, chosen.engine.retry_after())).json(body(false))
}

/// `POST /v2/models/{model}/infer`. What the body is, its headers and its own members say: one
/// client sends no content type at all.
pub(super) async fn infer(request: HttpRequest, payload: Payload, app: Data<App>, named: Path<Named>) -> Result<HttpResponse, ApiError> {
    let call = Call::of(&request);
    let deadline = Deadline::of(request.headers(), &call, &app.settings.times)?;
    let work = async {
        let chosen = named.choose(&app)?;
        let model = &chosen.model;
        let json_bytes = json_bytes(request.headers())?;
        let body = intake::bytes(request.headers(), payload, &app.settings).await?;
        let (limits, parsed) = (app.text_limits(), model.clone());
        let mut asked = intake::off_workers(body.len(), move || InferRequest::parse(&body, json_bytes, &parsed, limits)).await?;
        let (classified, predictions) = answer(&app, &chosen, &mut asked, (call.started, deadline)).await?;
        Ok(classified.finish(&app, written(InferAnswer::new(model, &asked, &predictions).written())))
    };
    deadline.bound(work).await
}

fn written(Written { body, json_bytes }: Written) -> HttpResponse {
    match json_bytes {
        None => HttpResponse::Ok().content_type("application/json").body(body),
        Some(length) => {
            let length = HeaderValue::from(length);
            HttpResponse::Ok().content_type("application/octet-stream").insert_header((JSON_BYTES, length)).body(body)
        }
    }
}

/// How many of the body's bytes are JSON, where the client says so.
fn json_bytes(headers: &HeaderMap) -> Result<Option<usize>, ApiError> {
    let Some(value) = headers.get(JSON_BYTES) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.trim().parse::<usize>().ok());
    let wrong =
        || Violation::header("inference-header-content-length", "inference-header-content-length: expected a whole number of bytes");
    length.map(Some).ok_or_else(|| ApiError::Invalid(vec![wrong()]))
}
