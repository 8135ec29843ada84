//! The shapes that other servers' clients speak: Hugging Face's and text-embeddings-inference's.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::classify::{Ask, classify};
use super::intake::{self, Deadline};
use crate::serve::app::App;
use crate::serve::edge::Call;
use crate::serve::error::ApiError;
use crate::serve::wire::hf::HfRequest;
use crate::serve::wire::ranked::rank;
use crate::serve::wire::tei::{self, Shape, TeiRequest};

/// `POST /`: one ranked list a text, always in a list.
pub(super) async fn hugging_face(request: HttpRequest, payload: Payload, app: Data<App>) -> Result<HttpResponse, ApiError> {
    ranked(&request, payload, &app, None).await
}

/// `POST /hf/{model}`: the same by one of several models, `name` or `name@version`.
pub(super) async fn hugging_face_of(
    request: HttpRequest,
    payload: Payload,
    app: Data<App>,
    model: Path<String>,
) -> Result<HttpResponse, ApiError> {
    ranked(&request, payload, &app, Some(&model)).await
}

async fn ranked(request: &HttpRequest, payload: Payload, app: &App, model: Option<&str>) -> Result<HttpResponse, ApiError> {
    let deadline = Deadline::of(request.headers(), &Call::of(request), &app.settings.times)?;
    let work = async {
        let body = intake::json(request.headers(), payload, &app.settings).await?;
        let chosen = app.choose(model)?;
        let mut asked = HfRequest::parse(body, app.text_limits())?;
        let texts = std::mem::take(&mut asked.inputs.texts);
        let classified = classify(app, &chosen, Ask::plain(texts, |at| asked.inputs.place(at)), deadline).await?;
        chosen.model.decider.probabilities(&classified.answer.logits).each_row().for_each(|scores| chosen.scored(scores));
        let lists = rank(&chosen.model.decider, &classified.answer.logits, asked.scoring, asked.top_k.unwrap_or(usize::MAX));
        Ok(classified.respond(app, &lists))
    };
    deadline.bound(work).await
}

/// `GET /info`: the model and the limits, as text-embeddings-inference tells them.
pub(super) async fn info(app: Data<App>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(tei::info(&app.choose(None)?.model, &app.settings)))
}

/// `POST /predict`: all labels ranked; a list for one text, a list of lists for a batch.
pub(super) async fn predict(request: HttpRequest, payload: Payload, app: Data<App>) -> Result<HttpResponse, ApiError> {
    let deadline = Deadline::of(request.headers(), &Call::of(&request), &app.settings.times)?;
    let work = async {
        let body = intake::json(request.headers(), payload, &app.settings).await?;
        let chosen = app.choose(None)?;
        let mut asked = TeiRequest::parse(body, app.text_limits())?;
        let texts = std::mem::take(&mut asked.texts);
        let ask = Ask { long_text: asked.long_text, ..Ask::plain(texts, |at| asked.pointer(at)) };
        let classified = classify(&app, &chosen, ask, deadline).await?;
        chosen.model.decider.probabilities(&classified.answer.logits).each_row().for_each(|scores| chosen.scored(scores));
        let lists = rank(&chosen.model.decider, &classified.answer.logits, asked.scoring, usize::MAX);
        Ok(match asked.shape {
            Shape::Single => classified.respond(&app, &lists[0]),
            Shape::Batch => classified.respond(&app, &lists),
        })
    };
    deadline.bound(work).await
}
