//! Beam search without constraints, step by step as transformers 4.57 does it with `early_stopping`
//! off: twice as many candidates as beams, an answer counts when it ended among the best `beams` of
//! them, and the search ends when no open beam is better by its mean than the worst answer kept.

use super::NextTokens;
use super::scores::log_sum_exp;

/// How [`beam_search`] searches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BeamOptions {
    /// Answers that are followed at a time, at least one.
    pub beams: usize,
    /// A score is the sum of log-probabilities over the answer's length to this power.
    pub length_penalty: f64,
    /// The most tokens of an answer, at least one.
    pub most: usize,
}

/// An answer that a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its tokens; the last is the end token unless it was cut.
    pub tokens: Vec<u32>,
    /// The sum of its tokens' log-probabilities over its length to the power of the penalty.
    pub score: f64,
}

#[derive(Debug, Clone)]
struct Candidate {
    beam: usize,
    token: u32,
    sum: f64,
}

/// The best answers to one prompt, the best first: at most as many as there are beams.
///
/// # Errors
/// The model's own.
pub fn beam_search<M: NextTokens>(model: &mut M, prompt: &[u32], end: u32, options: BeamOptions) -> Result<Vec<Found>, M::Error> {
    let BeamOptions { beams, length_penalty, most } = options;
    let mut found: Vec<Found> = Vec::new();
    let mut open = vec![(Vec::new(), 0.0)];
    let mut scores = model.begin(&[prompt])?;
    for length in 1..=most {
        let candidates = candidates(&open, |beam| scores.last(beam), 2 * beams);
        let whole = |candidate: &Candidate| {
            let tokens: &Vec<u32> = &open[candidate.beam].0;
            [&tokens[..], &[candidate.token]].concat()
        };
        let scaled = |sum: f64| sum / libm::pow(length as f64, length_penalty);
        let ends = |candidate: &&Candidate| candidate.token == end || length == most;
        found.extend(candidates.iter().take(beams).filter(ends).map(|one| Found { tokens: whole(one), score: scaled(one.sum) }));
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(beams);
        let going: Vec<&Candidate> = candidates.iter().filter(|one| !ends(one)).take(beams).collect();
        let hopeless = |best: &&Candidate| found.len() == beams && scaled(best.sum) <= found[beams - 1].score;
        if going.first().is_none_or(hopeless) {
            break;
        }
        let (parents, tokens): (Vec<usize>, Vec<[u32; 1]>) = going.iter().map(|one| (one.beam, [one.token])).unzip();
        let next = going.iter().map(|one| (whole(one), one.sum)).collect();
        scores = model.advance(&parents, &tokens.iter().map(<[u32; 1]>::as_slice).collect::<Vec<_>>())?;
        open = next;
    }
    Ok(found)
}

/// The likeliest ways in which the open answers go on, the likeliest first.
fn candidates<'a>(open: &[(Vec<u32>, f64)], logits: impl Fn(usize) -> &'a [f32], most: usize) -> Vec<Candidate> {
    let mut all = Vec::new();
    for (beam, (_, sum)) in open.iter().enumerate() {
        let logits = logits(beam);
        let total = log_sum_exp(logits.iter().map(|&logit| f64::from(logit)));
        all.extend((0..).zip(logits).map(|(token, &logit)| Candidate { beam, token, sum: sum + f64::from(logit) - total }));
    }
    let most = most.min(all.len());
    let order = |a: &Candidate, b: &Candidate| b.sum.total_cmp(&a.sum).then(a.beam.cmp(&b.beam)).then(a.token.cmp(&b.token));
    if most < all.len() {
        all.select_nth_unstable_by(most, order);
        all.truncate(most);
    }
    all.sort_unstable_by(order);
    all
}
