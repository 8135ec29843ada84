//! Labels with scores, highest first: the list that Hugging Face's and text-embeddings-inference's
//! clients read.

use serde::Serialize;
use utoipa::ToSchema;

use crate::decide::{Decider, Logits, Probabilities};
use crate::spec::Activation;

/// What a score is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scoring {
    /// The bundle's activation and calibrators.
    Calibrated,
    /// A plain activation over the logits, uncalibrated.
    Plain(Activation),
    /// The logits themselves.
    Raw,
}

/// One label of one text.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ranked<'a> {
    label: &'a str,
    /// Calibrated probability, or what the request asked for instead.
    score: f32,
}

/// One list a text, at most `most` labels each.
pub(crate) fn rank<'a>(decider: &'a Decider, logits: &Logits, scoring: Scoring, most: usize) -> Vec<Vec<Ranked<'a>>> {
    let names = decider.labels().names();
    let row = |scores: &[f32]| {
        let mut list: Vec<Ranked<'a>> = names.iter().zip(scores).map(|(label, &score)| Ranked { label, score }).collect();
        // Stable: equal scores keep the bundle's order.
        list.sort_by(|left, right| right.score.total_cmp(&left.score));
        list.truncate(most);
        list
    };
    let rows = 0..logits.rows();
    match scoring {
        Scoring::Raw => rows.map(|at| row(logits.row(at))).collect(),
        Scoring::Calibrated => of(&decider.probabilities(logits), row),
        Scoring::Plain(activation) => of(&Probabilities::of(logits, activation), row),
    }
}

fn of<'a>(probabilities: &Probabilities, row: impl Fn(&[f32]) -> Vec<Ranked<'a>>) -> Vec<Vec<Ranked<'a>>> {
    (0..probabilities.rows()).map(|at| row(probabilities.row(at))).collect()
}
