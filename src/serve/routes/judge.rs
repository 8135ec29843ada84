//! From rows of logits to what is said of a text or a part of it: the scores of its passages made
//! one, decided, doubted where that was asked, and put in the words of the label set asked for.

use std::ops::Range;

use super::classify::{Classified, Row, TextRows};
use crate::decide::{Prediction, Probabilities};
use crate::serve::model::ServedModel;
use crate::serve::wire::emotions::{Abstaining, ByLabel, EmotionsRequest, Granularity, Names, PartResult, Verdict};

/// One request's logits as scores, and how it wants them judged.
pub(super) struct Judge<'a, 'c> {
    model: &'a ServedModel,
    asked: &'a EmotionsRequest,
    pub(super) classified: &'c Classified,
    probabilities: Probabilities,
}

impl<'a, 'c> Judge<'a, 'c> {
    pub(super) fn new(model: &'a ServedModel, asked: &'a EmotionsRequest, classified: &'c Classified) -> Self {
        Self { model, asked, classified, probabilities: model.decider.probabilities(&classified.answer.logits) }
    }

    /// The model's own labels and scores for a text or a part of it; no labels where none are to be
    /// decided.
    pub(super) fn prediction(&self, rows: &Range<usize>) -> Prediction {
        let scores = self.asked.reader.aggregation.of(&self.probabilities, rows.clone());
        match self.asked.deciding.thresholds(self.model) {
            Some(thresholds) => self.model.decider.judge(&scores, thresholds),
            None => Prediction { scores, labels: Vec::new() },
        }
    }

    /// What is said of a text or a part of it.
    pub(super) fn verdict(&self, rows: &Range<usize>, prediction: Prediction) -> Verdict<'a> {
        let names = self.asked.labels(self.model).names();
        let abstain = self.abstaining(&prediction);
        let told = self.asked.told(prediction);
        let decides = self.asked.deciding.thresholds(self.model).is_some();
        let own = self.model.decider.labels().names();
        let logits = (self.asked.logits && rows.len() == 1).then(|| ByLabel::all(own, self.classified.answer.logits.row(rows.start)));
        Verdict {
            scores: ByLabel::largest(names, &told.scores, self.asked.top_k.unwrap_or(names.len())),
            labels: decides.then(|| Names::at(names, told.labels)),
            logits,
            abstain,
        }
    }

    fn abstaining(&self, prediction: &Prediction) -> Option<Abstaining<'a>> {
        let policy = self.asked.abstain?;
        let thresholds = self.asked.deciding.thresholds(self.model);
        let margin = thresholds.map(|thresholds| self.model.decider.margin(&prediction.scores, thresholds));
        let doubts = policy.doubts(&prediction.scores, margin);
        Some(Abstaining {
            abstained: !doubts.is_empty(),
            reasons: doubts.into_iter().map(|doubt| doubt.name()).collect(),
            margin: margin.map(|margin| margin.distance),
            nearest: margin.map(|margin| self.model.decider.labels().names()[margin.label].as_str()),
            top_score: prediction.scores.iter().copied().fold(0.0, f32::max),
        })
    }

    /// What is said of a text's sentences, where that was asked.
    pub(super) fn sentences(&self, text: &TextRows) -> Option<Vec<PartResult<'a>>> {
        let part = |(span, rows): &(_, Range<usize>)| {
            let verdict = self.verdict(rows, self.prediction(rows));
            PartResult::new(*span, verdict, self.classified.tokens(rows), self.classified.truncated(rows))
        };
        (self.asked.reader.granularity == Granularity::Sentence).then(|| text.sentences.iter().map(part).collect())
    }

    /// What is said of a text's windows, where that was asked.
    pub(super) fn windows(&self, text: &TextRows) -> Option<Vec<PartResult<'a>>> {
        let part = |row: usize| {
            let Row { span, tokens, truncated } = self.classified.rows[row];
            PartResult::new(span, self.verdict(&(row..row + 1), self.prediction(&(row..row + 1))), tokens, truncated)
        };
        (self.asked.reader.granularity == Granularity::Window).then(|| text.whole.clone().map(part).collect())
    }
}

impl EmotionsRequest {
    /// A prediction in the labels that the answer speaks of.
    pub(super) fn told(&self, prediction: Prediction) -> Prediction {
        match &self.label_set {
            Some((_, map)) => map.prediction(&prediction),
            None => prediction,
        }
    }
}
