//! What a writer writes when it may write anything: how often its answers are none.
//!
//! Its scores come from lists of labels alone and know nothing of this; the shares say how far a model is
//! from writing such lists by itself.

use serde::{Deserialize, Serialize};

use crate::bundle::Figure;
use crate::text::AnswerCounts;

/// Answers, and those at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    answers: usize,
    truncated: usize,
    unparsed: usize,
    unknown: usize,
}

impl From<AnswerCounts> for Written {
    fn from(AnswerCounts { answers, truncated, unparsed, unknown }: AnswerCounts) -> Self {
        Self { answers, truncated, unparsed, unknown }
    }
}

impl Written {
    /// The answers of both.
    pub(super) fn joined(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
        Some(Self {
            answers: one.answers + other.answers,
            truncated: one.truncated + other.truncated,
            unparsed: one.unparsed + other.unparsed,
            unknown: one.unknown + other.unknown,
        })
    }

    /// Shares of the answers: without an end, no list of texts, naming what is no label.
    pub(super) fn figures(&self) -> [(String, Figure); 3] {
        let share = |count: usize| Figure { value: count as f64 / self.answers.max(1) as f64, interval: None };
        [("answers_truncated", self.truncated), ("answers_unparsed", self.unparsed), ("answers_unknown_label", self.unknown)]
            .map(|(name, count)| (name.to_owned(), share(count)))
    }
}
