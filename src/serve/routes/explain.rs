//! Explanation by occlusion: the text is read again without each of its words, and what a label's
//! score loses is that word's effect. It needs nothing of the model but its answers, so it holds
//! for every engine; it says what the model did with this text and not why people feel as they do.
//!
//! Off the hot path: its own limit on words, the lowest priority, and so few variants at a time that
//! they cannot fill the queue.

use std::sync::Arc;

use actix_web::web;

use super::classify::{Ask, compute};
use super::intake::Deadline;
use crate::decide::Prediction;
use crate::serve::app::App;
use crate::serve::batching::Priority;
use crate::serve::error::{ApiError, Violation};
use crate::serve::model::ServedModel;
use crate::serve::registry::Chosen;
use crate::serve::wire::emotions::{ByLabel, EmotionsRequest, Explain, Explanation, WordEffect};
use crate::text::{Span, without};

/// Variants that wait at a time.
const AT_ONCE: usize = 16;

/// A text without one of its words.
struct Variant {
    text: usize,
    word: Span,
    rest: String,
}

/// One request's explanations.
pub(super) struct Occlusion<'a, 'r> {
    pub(super) app: &'r App,
    pub(super) chosen: &'a Chosen,
    pub(super) asked: &'a EmotionsRequest,
    pub(super) deadline: Deadline,
}

impl<'a> Occlusion<'a, '_> {
    /// One explanation a text. `found` is what was said of each, in the model's own labels.
    ///
    /// # Errors
    /// [`ApiError::TextTooLong`] over the limit of words, otherwise as [`compute`].
    pub(super) async fn explain(&self, texts: Vec<String>, found: &[Prediction]) -> Result<Vec<Explanation<'a>>, ApiError> {
        let (chosen, asked) = (self.chosen, self.asked);
        let told: Vec<Prediction> = found.iter().map(|prediction| asked.told(prediction.clone())).collect();
        let labels: Vec<Vec<usize>> = told.iter().map(|prediction| explained(asked, prediction)).collect();
        let names = asked.labels(&chosen.model).names();
        let mut words: Vec<Vec<WordEffect<'a>>> = texts.iter().map(|_| Vec::new()).collect();
        let at_once = AT_ONCE.min(self.app.settings.limits.passages.get());
        for some in self.variants(texts).await?.chunks(at_once) {
            let rests = some.iter().map(|variant| variant.rest.clone()).collect();
            let ask = Ask::plain(rests, |_| asked.inputs.pointer.to_owned());
            let classified = compute(self.app, chosen, ask, self.deadline.with(Priority::Low)).await?;
            let probabilities = chosen.model.decider.probabilities(&classified.answer.logits);
            for (row, Variant { text, word, .. }) in some.iter().enumerate() {
                let without = asked.told(Prediction { scores: probabilities.row(row).to_vec(), labels: Vec::new() }).scores;
                let effect = |&label: &usize| (label, told[*text].scores[label] - without[label]);
                words[*text].push(WordEffect::new(*word, ByLabel::some(names, labels[*text].iter().map(effect).collect())));
            }
        }
        Ok(words.into_iter().map(Explanation::by_occlusion).collect())
    }

    async fn variants(&self, texts: Vec<String>) -> Result<Vec<Variant>, ApiError> {
        let (model, limit) = (Arc::clone(&self.chosen.model), self.app.settings.limits.words.get());
        web::block(move || variants(&model, &texts, limit)).await.unwrap_or(Err(ApiError::Internal))
    }
}

/// Every text without each of its words, of which there are at most `limit` in all.
fn variants(model: &ServedModel, texts: &[String], limit: usize) -> Result<Vec<Variant>, ApiError> {
    let words: Vec<Vec<Span>> = texts.iter().map(|text| model.encoder.words(text)).collect();
    let count: usize = words.iter().map(Vec::len).sum();
    if count > limit {
        let detail = format!("the texts have {count} words; an explanation takes at most {limit}");
        return Err(ApiError::TextTooLong(vec![Violation::at("/explain", detail).over(limit, Some(count))]));
    }
    let variant = |(text, word): (usize, Span)| Variant { text, word, rest: without(&texts[text], word) };
    let each = words.into_iter().enumerate().flat_map(|(text, words)| words.into_iter().map(move |word| (text, word)));
    Ok(each.map(variant).collect())
}

/// The labels to explain, in the label set's order.
fn explained(asked: &EmotionsRequest, told: &Prediction) -> Vec<usize> {
    let mut labels = match &asked.explain {
        Some(Explain::Labels(labels)) => labels.clone(),
        Some(Explain::Decided) | None => told.labels.clone(),
    };
    if labels.is_empty() {
        let likeliest =
            (0..told.scores.len()).max_by(|&left, &right| told.scores[left].total_cmp(&told.scores[right]).then(right.cmp(&left)));
        labels.extend(likeliest);
    }
    labels.sort_unstable();
    labels
}
