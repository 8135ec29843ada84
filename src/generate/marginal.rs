//! How much of a model's probability lies on each label.
//!
//! A model that writes lists of labels gives every set of labels a probability: that of the tokens
//! that spell it. The sum over the sets that hold a label, over the sum over all sets, is the
//! label's probability given that the answer is a list of labels at all. There are two to the power of
//! the labels of sets; those that matter are found by a beam search over the trie of lists. Their
//! log-probabilities are sums and are not scaled by lengths: they are compared as probabilities, since a
//! beginning is at least as probable as all that goes on from it together.
//!
//! With as many beams as there are sets, and nothing negligible, the result is exact.

use super::scores::{log_probabilities, log_sum_exp};
use super::{NextTokens, Scores};
use crate::text::{LabelTrie, Place, Step};

/// Log-odds beyond this, either way, are cut: a set that no beam found is rare, not impossible.
pub const MAX_LOGIT: f64 = 12.0;

/// How widely [`label_sets`] looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Width {
    /// Beginnings of lists that are followed at a time, at least one.
    pub beams: usize,
    /// A beginning is left alone when its share of what was found and is still followed is below
    /// this; from 0, where nothing is, to below 1.
    pub negligible: f64,
}

/// A set of labels and how probable its list is.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredSet {
    /// The labels, ascending.
    pub labels: Vec<usize>,
    /// The sum of the log-probabilities of the list's tokens, its end included.
    pub log_probability: f64,
}

/// A list that is being written.
#[derive(Debug, Clone)]
struct Beginning {
    /// Which of the model's sequences it goes on from.
    sequence: usize,
    /// Tokens that the model has not read.
    unread: Vec<u32>,
    place: Place,
    set: ScoredSet,
}

impl Beginning {
    fn taking(&self, step: Step, log_probability: f64) -> Self {
        let mut next = self.clone();
        next.take(step);
        next.set.log_probability += log_probability;
        next
    }

    fn take(&mut self, step: Step) {
        self.unread.push(step.token);
        self.place = step.place;
        self.set.labels.extend(step.label);
    }
}

/// The probable sets behind a prompt, each with its probability, the likeliest first. At least one,
/// unless the model's logits are no numbers.
///
/// # Errors
/// The model's own.
pub fn label_sets<M: NextTokens>(model: &mut M, prompt: &[u32], trie: &LabelTrie, width: Width) -> Result<Vec<ScoredSet>, M::Error> {
    let mut scores = model.begin(&[prompt])?;
    let nothing = ScoredSet { labels: Vec::new(), log_probability: 0.0 };
    let mut open = vec![Beginning { sequence: 0, unread: Vec::new(), place: trie.start(), set: nothing }];
    let mut found: Vec<ScoredSet> = Vec::new();
    while !open.is_empty() {
        let going = open.iter().flat_map(|from| {
            let log_probability = log_probabilities(scores.last(from.sequence));
            trie.steps(from.place).into_iter().map(move |step| from.taking(step, log_probability(step.token)))
        });
        let kept = kept(going.collect(), &found, width);
        let (done, mut reading) = forced(kept, trie);
        found.extend(done);
        if reading.is_empty() {
            break;
        }
        scores = read(model, &mut reading, trie)?;
        let (done, going): (Vec<_>, Vec<_>) = reading.into_iter().partition(|one| trie.is_done(one.place));
        found.extend(done.into_iter().map(|one| one.set));
        open = going;
    }
    found.sort_by(|a, b| b.log_probability.total_cmp(&a.log_probability));
    Ok(found)
}

/// The likeliest beginnings, as many as there are beams, without those that do not matter.
fn kept(mut going: Vec<Beginning>, found: &[ScoredSet], width: Width) -> Vec<Beginning> {
    going.sort_by(|a, b| b.set.log_probability.total_cmp(&a.set.log_probability));
    going.truncate(width.beams.max(1));
    let all = log_sum_exp(going.iter().map(|one| &one.set).chain(found).map(|set| set.log_probability));
    let least = libm::log(width.negligible) + all;
    going.retain(|one| one.set.log_probability >= least);
    going
}

/// Takes every step that leaves no choice: lists that are done without further reading, and those
/// that the model must read.
fn forced(kept: Vec<Beginning>, trie: &LabelTrie) -> (Vec<ScoredSet>, Vec<Beginning>) {
    let (mut done, mut reading) = (Vec::new(), Vec::new());
    for mut one in kept {
        if trie.is_done(one.place) {
            done.push(one.set);
            continue;
        }
        while let [step] = trie.steps(one.place)[..] {
            one.take(step);
        }
        reading.push(one);
    }
    (done, reading)
}

/// Has the model read what each beginning took, all in one go, and adds how probable the tokens
/// were that left no choice. The end token follows from what stands before it and is not read.
fn read<M: NextTokens>(model: &mut M, reading: &mut [Beginning], trie: &LabelTrie) -> Result<Scores, M::Error> {
    let parents: Vec<usize> = reading.iter().map(|one| one.sequence).collect();
    let tokens: Vec<&[u32]> = reading.iter().map(|one| &one.unread[..one.unread.len() - usize::from(trie.is_done(one.place))]).collect();
    let scores = model.advance(&parents, &tokens)?;
    for (sequence, one) in reading.iter_mut().enumerate() {
        let forced = one.unread.drain(..).skip(1).enumerate();
        one.set.log_probability += forced.map(|(before, token)| log_probabilities(scores.behind(sequence, before))(token)).sum::<f64>();
        one.sequence = sequence;
    }
    Ok(scores)
}

/// Where a model's probability lies.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelMass {
    /// For every label the log-odds that an answer holds it, within [`MAX_LOGIT`] of zero.
    pub log_odds: Vec<f64>,
    /// The probability of all sets found together, between 0 and 1. What is missing lies on sets that
    /// were not followed, and on answers that are no list of labels.
    pub mass: f64,
}

impl LabelMass {
    /// Sums the sets over each of `labels` labels.
    ///
    /// # Panics
    /// Without sets.
    #[must_use]
    pub fn of(sets: &[ScoredSet], labels: usize) -> Self {
        assert!(!sets.is_empty(), "a search finds at least one set; anything else, this is a bug");
        let mass = |label: usize, held: bool| {
            log_sum_exp(sets.iter().filter(move |set| set.labels.contains(&label) == held).map(|set| set.log_probability))
        };
        let odds = |label| (mass(label, true) - mass(label, false)).clamp(-MAX_LOGIT, MAX_LOGIT);
        let all = log_sum_exp(sets.iter().map(|set| set.log_probability));
        Self { log_odds: (0..labels).map(odds).collect(), mass: libm::exp(all).min(1.0) }
    }

    /// For every label the probability that an answer holds it.
    #[must_use]
    pub fn probabilities(&self) -> Vec<f64> {
        self.log_odds.iter().map(|odds| 1.0 / (1.0 + libm::exp(-odds))).collect()
    }
}
