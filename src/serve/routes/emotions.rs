//! `POST /v1/emotions`.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use uuid::Uuid;

use super::classify::{Ask, Classified, classify};
use super::explain::explain;
use super::intake::{self, Deadline};
use super::judge::Judge;
use crate::decide::Prediction;
use crate::serve::app::App;
use crate::serve::batching::Priority;
use crate::serve::edge::Call;
use crate::serve::error::ApiError;
use crate::serve::wire::emotions::{
    EmotionsAnswer, EmotionsRequest, Explanation, Granularity, LongText, MappedSet, ModelRef, TextResult, ThresholdsUsed, Usage,
};
use crate::text::Parts;

/// Calibrated scores of every label, and the labels that hold.
pub(super) async fn emotions(request: HttpRequest, payload: Payload, app: Data<App>) -> Result<HttpResponse, ApiError> {
    let deadline = Deadline::of(request.headers(), Call::of(&request).started, &app.settings.times)?;
    let work = async {
        let body = intake::json(request.headers(), payload, &app.settings).await?;
        let mut asked = EmotionsRequest::parse(body, &app.model, app.text_limits())?;
        let texts = std::mem::take(&mut asked.inputs.texts);
        let (classified, answer) = answer(&app, &asked, texts, Priority::Normal, deadline).await?;
        Ok(classified.respond(&app, &answer))
    };
    deadline.bound(work).await
}

/// The answer to a checked request, whose texts were taken out of it.
///
/// # Errors
/// As [`classify`] and [`explain`].
pub(super) async fn answer<'a>(
    app: &'a App,
    asked: &'a EmotionsRequest,
    texts: Vec<String>,
    priority: Priority,
    deadline: Deadline,
) -> Result<(Classified, EmotionsAnswer<'a>), ApiError> {
    let kept = if asked.explain.is_some() { texts.clone() } else { Vec::new() };
    let parts = if asked.reader.granularity == Granularity::Sentence { Parts::Sentences } else { Parts::None };
    let ask = Ask { texts, long_text: asked.reader.long_text, parts, priority, pointer: |at| asked.inputs.place(at) };
    let classified = classify(app, ask, deadline).await?;
    let judge = Judge::new(&app.model, asked, &classified);
    let predictions: Vec<Prediction> = classified.texts.iter().map(|text| judge.prediction(&text.whole)).collect();
    let explanations = match asked.explain {
        Some(_) => explain(app, asked, kept, &predictions, deadline).await?.into_iter().map(Some).collect(),
        None => predictions.iter().map(|_| None).collect(),
    };
    predictions.iter().flat_map(|prediction| &prediction.labels).for_each(|&label| app.telemetry.positive(label));
    let results = results(&judge, predictions, explanations, (app, asked));
    let usage = Usage { texts: results.len(), tokens: classified.rows.iter().map(|row| row.tokens).sum() };
    let label_set = asked.label_set.as_ref().map(|(set, map)| MappedSet::of(set, map, &app.model));
    let answer = EmotionsAnswer { id: Uuid::now_v7().to_string(), model: ModelRef::from(&*app.model), label_set, results, usage };
    Ok((classified, answer))
}

fn results<'a>(
    judge: &Judge<'a, '_>,
    predictions: Vec<Prediction>,
    explanations: Vec<Option<Explanation<'a>>>,
    (app, asked): (&'a App, &'a EmotionsRequest),
) -> Vec<TextResult<'a>> {
    let thresholds = ThresholdsUsed::of(&asked.deciding, &app.model);
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
