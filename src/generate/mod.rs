//! Answers of a language model: what it writes when it may write anything, and how much of its
//! probability lies on each label when it may write nothing but lists of labels.
//!
//! Every search works over [`NextTokens`], which reads tokens and says what may come next; it knows no
//! network. [`Reader`] is that for a language model.
//!
//! | to | use |
//! |---|---|
//! | see what a model writes | [`greedy()`] for many prompts, [`beam_search`] for one |
//! | score labels | [`label_sets`], then [`LabelMass::of`]; for many prompts [`label_masses`] |
//! | count bad answers | [`read_answers`], then `text::AnswerCounts` |
//!
//! Nothing is sampled, so nothing is random, and each prompt is answered as if it were alone.

mod beam;
mod error;
mod greedy;
mod marginal;
mod reader;
mod scores;

pub use beam::{BeamOptions, Found, beam_search};
pub use error::GenerateError;
pub use greedy::greedy;
pub use marginal::{LabelMass, MAX_LOGIT, ScoredSet, Width, label_sets};
pub use reader::{Reader, Shared, label_masses, read_answers};
pub use scores::{Scores, log_probabilities};

/// A language model that reads sequences and says which tokens may come next.
///
/// It holds a number of sequences; a search moves all of them at once.
pub trait NextTokens {
    /// Why it could not.
    type Error;

    /// Forgets its sequences and reads these prompts, at least one and each of at least one token:
    /// logits behind the last token of each.
    ///
    /// # Errors
    /// The model's own.
    fn begin(&mut self, prompts: &[&[u32]]) -> Result<Scores, Self::Error>;

    /// Goes on: new sequence `i` is old sequence `parents[i]` with `tokens[i]`, at least one, behind
    /// it. Logits behind every one of those tokens.
    ///
    /// # Errors
    /// The model's own.
    fn advance(&mut self, parents: &[usize], tokens: &[&[u32]]) -> Result<Scores, Self::Error>;
}
