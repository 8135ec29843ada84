//! The shapes of vLLM's and OpenAI's clients.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use uuid::Uuid;

use super::classify::{Ask, Classified, classify};
use super::intake::{self, Deadline};
use crate::decide::Prediction;
use crate::serve::app::App;
use crate::serve::clock;
use crate::serve::edge::Call;
use crate::serve::error::ApiError;
use crate::serve::registry::Chosen;
use crate::serve::wire::openai::{
    Classification, ClassifyAnswer, ClassifyRequest, Moderation, ModerationAnswer, ModerationRequest, TokenUsage,
};
use crate::serve::wire::ranked::Scoring;

/// `POST /classify` and `/v1/classify`: vLLM's shape.
pub(super) async fn vllm_classify(request: HttpRequest, payload: Payload, app: Data<App>) -> Result<HttpResponse, ApiError> {
    let deadline = Deadline::of(request.headers(), &Call::of(&request), &app.settings.times)?;
    let work = async {
        let body = intake::json(request.headers(), payload, &app.settings).await?;
        let chosen = app.choose(body.member("model"))?;
        let mut asked = ClassifyRequest::parse(body, &chosen.model, app.text_limits())?;
        let texts = std::mem::take(&mut asked.inputs.texts);
        let plain = Ask::plain(texts, |at| asked.inputs.place(at));
        let ask = Ask { long_text: asked.long_text, ..plain };
        let deadline = asked.priority.map_or(deadline, |priority| deadline.with(priority));
        let classified = classify(&app, &chosen, ask, deadline).await?;
        let names = chosen.model.decider.labels().names();
        let data = decided(&chosen, &classified).into_iter().enumerate().map(|(index, prediction)| {
            let values = match asked.scoring {
                Scoring::Raw => classified.answer.logits.row(index).to_vec(),
                Scoring::Calibrated | Scoring::Plain(_) => prediction.scores.clone(),
            };
            Classification::new(names, index, prediction, values)
        });
        let answer = ClassifyAnswer {
            id: format!("classify-{}", Uuid::now_v7()),
            object: "list",
            created: clock::unix_seconds(),
            model: &chosen.model.name,
            data: data.collect(),
            usage: TokenUsage::of(classified.tokens(&(0..classified.rows.len()))),
        };
        Ok(classified.respond(&app, &answer))
    };
    deadline.bound(work).await
}

/// `POST /v1/moderations`: OpenAI's shape, each label a category.
pub(super) async fn moderations(request: HttpRequest, payload: Payload, app: Data<App>) -> Result<HttpResponse, ApiError> {
    let deadline = Deadline::of(request.headers(), &Call::of(&request), &app.settings.times)?;
    let work = async {
        let body = intake::json(request.headers(), payload, &app.settings).await?;
        let chosen = app.choose(body.member("model"))?;
        let mut asked = ModerationRequest::parse(body, app.text_limits())?;
        let texts = std::mem::take(&mut asked.inputs.texts);
        let classified = classify(&app, &chosen, Ask::plain(texts, |at| asked.inputs.place(at)), deadline).await?;
        let names = chosen.model.decider.labels().names();
        let results = decided(&chosen, &classified).iter().map(|prediction| Moderation::new(names, prediction)).collect();
        let answer = ModerationAnswer { id: format!("modr-{}", Uuid::now_v7()), model: &chosen.model.name, results };
        Ok(classified.respond(&app, &answer))
    };
    deadline.bound(work).await
}

/// By the bundle's thresholds, counted.
fn decided(chosen: &Chosen, classified: &Classified) -> Vec<Prediction> {
    let predictions = chosen.model.decider.decide(&classified.answer.logits);
    predictions.iter().for_each(|prediction| chosen.scored(&prediction.scores));
    predictions
}
