//! `POST /v1/emotions`.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use uuid::Uuid;

use super::classify::{Ask, Classified, classify};
use super::explain::Occlusion;
use super::intake::{self, Deadline};
use super::judge::Judge;
use crate::decide::Prediction;
use crate::serve::app::App;
use crate::serve::edge::Call;
use crate::serve::error::ApiError;
use crate::serve::model::ServedModel;
use crate::serve::registry::Chosen;
use crate::serve::wire::emotions::{
    EmotionsAnswer, EmotionsRequest, Explanation, Granularity, LongText, MappedSet, ModelRef, TextResult, ThresholdsUsed, Usage,
};
use crate::text::Parts;

/// Calibrated scores of every label, and the labels that hold.
pub(super) async fn emotions(request: HttpRequest, payload: Payload, app: Data<App>) -> Result<HttpResponse, ApiError> {
    let deadline = Deadline::of(request.headers(), &Call::of(&request), &app.settings.times)?;
    let work = async {
        let body = intake::json(request.headers(), payload, &app.settings).await?;
        let chosen = app.choose(body.member("model"))?;
        let mut asked = EmotionsRequest::parse(body, &chosen.model, app.text_limits())?;
        let texts = std::mem::take(&mut asked.inputs.texts);
        let (classified, answer) = answer(&app, &chosen, &asked, texts, deadline).await?;
        Ok(classified.respond(&app, &answer))
    };
    deadline.bound(work).await
}

/// The answer to a checked request, whose texts were taken out of it.
///
/// # Errors
/// As [`classify`] and [`Occlusion::explain`].
pub(super) async fn answer<'a>(
    app: &App,
    chosen: &'a Chosen,
    asked: &'a EmotionsRequest,
    texts: Vec<String>,
    deadline: Deadline,
) -> Result<(Classified, EmotionsAnswer<'a>), ApiError> {
    let model = &*chosen.model;
    let kept = if asked.explain.is_some() { texts.clone() } else { Vec::new() };
    let parts = if asked.reader.granularity == Granularity::Sentence { Parts::Sentences } else { Parts::None };
    let ask = Ask { texts, long_text: asked.reader.long_text, parts, pointer: |at| asked.inputs.place(at) };
    let classified = classify(app, chosen, ask, deadline).await?;
    let judge = Judge::new(model, asked, &classified);
    let predictions: Vec<Prediction> = classified.texts.iter().map(|text| judge.prediction(&text.whole)).collect();
    let explanations = match asked.explain {
        Some(_) => Occlusion { app, chosen, asked, deadline }.explain(kept, &predictions).await?.into_iter().map(Some).collect(),
        None => predictions.iter().map(|_| None).collect(),
    };
    predictions.iter().for_each(|prediction| chosen.scored(&prediction.scores));
    let results = results(&judge, predictions, explanations, (model, asked));
    let usage = Usage { texts: results.len(), tokens: classified.rows.iter().map(|row| row.tokens).sum() };
    let label_set = asked.label_set.as_ref().map(|(set, map)| MappedSet::of(set, map, model));
    let answer = EmotionsAnswer { id: Uuid::now_v7().to_string(), model: ModelRef::from(model), label_set, results, usage };
    Ok((classified, answer))
}

fn results<'a>(
    judge: &Judge<'a, '_>,
    predictions: Vec<Prediction>,
    explanations: Vec<Option<Explanation<'a>>>,
    (model, asked): (&'a ServedModel, &'a EmotionsRequest),
) -> Vec<TextResult<'a>> {
    let thresholds = ThresholdsUsed::of(&asked.deciding, model);
    let windowed = matches!(asked.reader.long_text, LongText::Window { .. });
    let rows = judge.classified.texts.iter().zip(predictions).zip(explanations).enumerate();
    let results = rows.map(|(index, ((text, prediction), explanation))| TextResult {
        index,
        verdict: judge.verdict(&text.whole, prediction),
        thresholds: thresholds.clone(),
        tokens: judge.classified.tokens(&text.whole),
        truncated: judge.classified.truncated(&text.whole),
        aggregation: windowed.then(|| asked.reader.aggregation.name()),
        spans: judge.sentences(text),
        windows: judge.windows(text),
        explanation,
    });
    results.collect()
}
