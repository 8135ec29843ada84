//! What a language model answered, and how often an answer was none.

/// Why an answer is not a list of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The end token did not come within the tokens that were allowed.
    Truncated,
    /// What came before the end token is no JSON list of texts.
    Unparsed,
    /// The list names something that is no label.
    Unknown,
}

/// One answer, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadAnswer {
    /// For every label whether the answer names it; no label for one that is truncated or unparsed.
    pub held: Vec<bool>,
    /// What is wrong with it, if anything.
    pub fault: Option<Fault>,
}

/// How many answers there were and how many were at fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnswerCounts {
    /// Answers.
    pub answers: usize,
    /// Those without an end.
    pub truncated: usize,
    /// Those that are no list.
    pub unparsed: usize,
    /// Those that name something that is no label.
    pub unknown: usize,
}

impl AnswerCounts {
    /// Counts the answers.
    pub fn of<'a>(answers: impl IntoIterator<Item = &'a ReadAnswer>) -> Self {
        let mut counts = Self::default();
        for answer in answers {
            counts.answers += 1;
            match answer.fault {
                Some(Fault::Truncated) => counts.truncated += 1,
                Some(Fault::Unparsed) => counts.unparsed += 1,
                Some(Fault::Unknown) => counts.unknown += 1,
                None => {}
            }
        }
        counts
    }

    /// The share of answers that are at fault, between 0 and 1; 0 without answers.
    #[must_use]
    pub fn faulty(&self) -> f64 {
        (self.truncated + self.unparsed + self.unknown) as f64 / self.answers.max(1) as f64
    }
}
