//! `POST /v1/emotions`.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use uuid::Uuid;

use super::classify::{Ask, Classified, classify};
use super::intake::{self, Deadline};
use crate::decide::Prediction;
use crate::serve::app::App;
use crate::serve::edge::Call;
use crate::serve::error::ApiError;
use crate::serve::registry::Chosen;
use crate::serve::wire::emotions::{
    ByLabel, Deciding, EmotionsAnswer, EmotionsRequest, ModelRef, Names, TextResult, ThresholdsUsed, Usage,
};

/// Calibrated scores of every label, and the labels that hold.
pub(super) async fn emotions(request: HttpRequest, payload: Payload, app: Data<App>) -> Result<HttpResponse, ApiError> {
    let deadline = Deadline::of(request.headers(), Call::of(&request).started, &app.settings.times)?;
    let work = async {
        let body = intake::json(request.headers(), payload, &app.settings).await?;
        let chosen = app.choose(body.member("model"))?;
        let mut asked = EmotionsRequest::parse(body, &chosen.model, app.text_limits())?;
        let texts = std::mem::take(&mut asked.texts);
        let ask = Ask { texts, long_text: asked.long_text, pointer: |at| asked.pointer(at) };
        let classified = classify(&app, &chosen, ask, deadline).await?;
        Ok(classified.respond(&app, &answer(&chosen, &asked, &classified)))
    };
    deadline.bound(work).await
}

fn answer<'a>(chosen: &'a Chosen, asked: &'a EmotionsRequest, classified: &Classified) -> EmotionsAnswer<'a> {
    let model = &*chosen.model;
    let logits = &classified.answer.logits;
    let thresholds = ThresholdsUsed::of(&asked.deciding, model);
    let predictions = match &asked.deciding {
        Deciding::Bundle | Deciding::Nothing => model.decider.decide(logits),
        Deciding::Request(thresholds) => model.decider.decide_with(logits, thresholds),
    };
    let names = model.decider.labels().names();
    let rows = predictions.into_iter().zip(&classified.sizes).enumerate();
    let results = rows.map(|(index, (prediction, size))| TextResult {
        index,
        scores: ByLabel::largest(names, &prediction.scores, asked.top_k.unwrap_or(names.len())),
        logits: asked.logits.then(|| ByLabel::all(names, logits.row(index))),
        labels: held(chosen, asked, prediction),
        thresholds: thresholds.clone(),
        tokens: size.tokens,
        truncated: size.truncated,
    });
    let results: Vec<TextResult<'a>> = results.collect();
    let tokens = classified.sizes.iter().map(|size| size.tokens).sum();
    let usage = Usage { texts: results.len(), tokens };
    EmotionsAnswer { id: Uuid::now_v7().to_string(), model: ModelRef::from(model), results, usage }
}

/// The labels decided, counted; nothing when the request wanted no decision.
fn held<'a>(chosen: &'a Chosen, asked: &EmotionsRequest, prediction: Prediction) -> Option<Names<'a>> {
    if asked.deciding == Deciding::Nothing {
        return None;
    }
    prediction.labels.iter().for_each(|&label| chosen.positive(label));
    Some(Names::held(chosen.model.decider.labels().names(), prediction))
}
