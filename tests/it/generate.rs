//! Searches: against transformers on a model that is a table, and against every set there is on one
//! whose logits depend on all that it read.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fs;

use limbic::generate::{
    BeamOptions, LabelMass, MAX_LOGIT, NextTokens, ScoredSet, Scores, Width, beam_search, greedy, label_sets, log_probabilities,
};
use limbic::spec::LabelSet;
use limbic::text::{LabelSpelling, Normalization, Prompt, TextEncoder};
use serde::Deserialize;

use super::support::fixture;
use super::text_prompt::tokenizer;

/// A model of whatever function of what was read, that counts what it was asked.
struct Model<F> {
    logits: F,
    words: usize,
    read: Vec<Vec<u32>>,
    calls: usize,
    tokens: usize,
}

impl<F: Fn(&[u32], u32) -> f32> Model<F> {
    fn new(words: usize, logits: F) -> Self {
        Self { logits, words, read: Vec::new(), calls: 0, tokens: 0 }
    }

    fn row(&self, read: &[u32]) -> Vec<f32> {
        (0..u32::try_from(self.words).unwrap()).map(|token| (self.logits)(read, token)).collect()
    }
}

impl<F: Fn(&[u32], u32) -> f32> NextTokens for Model<F> {
    type Error = Infallible;

    fn begin(&mut self, prompts: &[&[u32]]) -> Result<Scores, Infallible> {
        self.read = prompts.iter().map(|prompt| prompt.to_vec()).collect();
        self.calls += 1;
        self.tokens += self.read.iter().map(Vec::len).sum::<usize>();
        Ok(Scores::new(self.words, vec![1; prompts.len()], self.read.iter().flat_map(|read| self.row(read)).collect()))
    }

    fn advance(&mut self, parents: &[usize], tokens: &[&[u32]]) -> Result<Scores, Infallible> {
        let mut values = Vec::new();
        let mut next = Vec::new();
        for (&parent, tokens) in parents.iter().zip(tokens) {
            assert!(!tokens.is_empty());
            let mut read = self.read[parent].clone();
            for &token in *tokens {
                read.push(token);
                values.extend(self.row(&read));
            }
            next.push(read);
        }
        self.read = next;
        self.calls += 1;
        self.tokens += tokens.iter().map(|tokens| tokens.len()).sum::<usize>();
        Ok(Scores::new(self.words, tokens.iter().map(|tokens| tokens.len()), values))
    }
}

#[derive(Deserialize)]
struct Searches {
    words: usize,
    end: u32,
    table: Vec<f32>,
    prompts: Vec<Vec<u32>>,
    most: usize,
    greedy: Vec<Vec<u32>>,
    beams: Vec<BeamCase>,
}

#[derive(Deserialize)]
struct BeamCase {
    prompt: Vec<u32>,
    beams: usize,
    penalty: f64,
    most: usize,
    found: Vec<FoundCase>,
}

#[derive(Deserialize)]
struct FoundCase {
    tokens: Vec<u32>,
    score: f64,
}

fn searches() -> (Searches, Model<impl Fn(&[u32], u32) -> f32>) {
    let found: Searches = serde_json::from_slice(&fs::read(fixture("tiny-prompt/search.json")).unwrap()).unwrap();
    let (words, table) = (found.words, found.table.clone());
    let logits = move |read: &[u32], token: u32| {
        let [before, last] = read[read.len() - 2..] else { panic!("two tokens") };
        table[(before as usize * words + last as usize) * words + token as usize]
    };
    (found, Model::new(words, logits))
}

#[test]
fn greedy_answers_are_those_of_transformers() {
    let (Searches { end, prompts, most, greedy: expected, .. }, mut model) = searches();
    let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    assert_eq!(greedy(&mut model, &prompts, end, most), Ok(expected.clone()));
    let ended = expected.iter().filter(|answer| answer.last() == Some(&end)).count();
    assert!(prompts.len() == 12 && ended > 3 && ended < 12, "{ended} of {}", prompts.len());
    for (prompt, answer) in prompts.iter().zip(&expected) {
        assert_eq!(greedy(&mut model, &[prompt], end, most), Ok(vec![answer.clone()]));
        assert_eq!(greedy(&mut model, &[prompt], end, 2), Ok(vec![answer[..answer.len().min(2)].to_vec()]));
    }
    assert_eq!(greedy(&mut model, &[], end, most), Ok(Vec::new()));
}

#[test]
fn beams_are_those_of_transformers() {
    let (Searches { end, beams, .. }, mut model) = searches();
    let mut answers = 0;
    for BeamCase { prompt, beams, penalty, most, found: expected } in beams {
        let options = BeamOptions { beams, length_penalty: penalty, most };
        let Ok(found) = beam_search(&mut model, &prompt, end, options);
        assert_eq!(found.len(), expected.len(), "{prompt:?}, {options:?}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.tokens, expected.tokens, "{prompt:?}, {options:?}");
            assert!((found.score - expected.score).abs() < 2e-5, "{prompt:?}, {options:?}: {} is not {}", found.score, expected.score);
            answers += 1;
        }
    }
    assert_eq!(answers, 156);
}

const LABELS: [&str; 4] = ["anger", "joy", "joyful", "sadness"];
const EXACT: Width = Width { beams: 16, negligible: 0.0 };

fn spelling() -> LabelSpelling {
    let labels = LabelSet::new(LABELS).unwrap();
    let prompt = Prompt::plain("{text} ### LABEL: ", &labels, "<|turn|>").unwrap();
    let encoder = TextEncoder::with_prompt(&tokenizer("byte-level.json"), Normalization::None, 100, &prompt).unwrap();
    LabelSpelling::new(&encoder, &labels).unwrap()
}

/// Logits between -1 and 1 that anything read before changes; the tokens of lists are likelier.
fn hashed(spelling: &LabelSpelling) -> Model<impl Fn(&[u32], u32) -> f32 + use<>> {
    let likely: HashSet<u32> = (0..16).flat_map(|bits| spelling.target(&set(bits))).collect();
    Model::new(430, move |read, token| {
        let hash =
            read.iter().chain([&token]).fold(0xcbf2_9ce4_8422_2325_u64, |hash, &id| (hash ^ u64::from(id)).wrapping_mul(0x0100_0000_01b3));
        let spread = (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / 16_777_216.0;
        2.0 * spread - 1.0 + if likely.contains(&token) { 7.0 } else { 0.0 }
    })
}

fn set(bits: usize) -> [bool; 4] {
    [0, 1, 2, 3].map(|label| bits >> label & 1 == 1)
}

/// The probability of every set, one by one.
fn brute(model: &Model<impl Fn(&[u32], u32) -> f32>, spelling: &LabelSpelling, prompt: &[u32]) -> Vec<f64> {
    let probability = |bits| {
        let mut read = prompt.to_vec();
        let mut sum = 0.0;
        for token in spelling.target(&set(bits)) {
            sum += log_probabilities(&model.row(&read))(token);
            read.push(token);
        }
        f64::exp(sum)
    };
    (0..16).map(probability).collect()
}

#[test]
fn a_wide_search_is_exact() {
    let spelling = spelling();
    let mut model = hashed(&spelling);
    let (mut spread, mut inside) = (0.0_f64, 0);
    for prompt in [[1, 2, 3], [7, 7, 7], [9, 0, 4], [400, 8, 1]] {
        let expected = brute(&model, &spelling, &prompt);
        let Ok(sets) = label_sets(&mut model, &prompt, spelling.trie(), EXACT);
        assert_eq!(sets.len(), 16);
        assert!(sets.is_sorted_by(|a, b| a.log_probability >= b.log_probability));
        for found in &sets {
            let bits: usize = found.labels.iter().map(|label| 1 << label).sum();
            assert!((found.log_probability.exp() / expected[bits] - 1.0).abs() < 1e-9, "{:?}", found.labels);
        }
        let mass = LabelMass::of(&sets, 4);
        let total: f64 = expected.iter().sum();
        assert!((mass.mass / total - 1.0).abs() < 1e-9 && total < 0.999, "{} of {total}", mass.mass);
        for (label, (found, odds)) in mass.probabilities().into_iter().zip(&mass.log_odds).enumerate() {
            let with: f64 = (0..16).filter(|&bits| set(bits)[label]).map(|bits| expected[bits]).sum();
            let exact = f64::ln(with / (total - with));
            assert!((odds - exact.clamp(-MAX_LOGIT, MAX_LOGIT)).abs() < 1e-6, "label {label}: {odds} is not {exact}");
            inside += usize::from(exact.abs() < MAX_LOGIT && (found - with / total).abs() < 1e-9);
            spread = spread.max((found - 0.5).abs());
        }
    }
    assert!(spread > 0.2 && inside >= 12, "the model says nothing: {spread}, {inside} of 16");
}

#[test]
fn a_narrow_search_finds_likely_sets_and_says_what_is_missing() {
    let spelling = spelling();
    let mut model = hashed(&spelling);
    let Ok(all) = label_sets(&mut model, &[1, 2, 3], spelling.trie(), EXACT);
    let whole = LabelMass::of(&all, 4).mass;
    for (beams, negligible) in [(1, 0.0), (2, 0.0), (5, 0.0), (16, 0.05), (16, 0.0)] {
        let Ok(sets) = label_sets(&mut model, &[1, 2, 3], spelling.trie(), Width { beams, negligible });
        assert!(!sets.is_empty() && sets.iter().all(|found| all.contains(found)), "{beams} beams");
        let mass = LabelMass::of(&sets, 4).mass;
        assert!(mass <= whole && mass > 0.0, "{mass} of {whole}");
        assert_eq!(sets.len() == 16, (beams, negligible) == (16, 0.0), "{beams} beams, {negligible}: {} sets", sets.len());
    }
    let unlikely = Width { beams: 1, negligible: 0.999 };
    assert_eq!(label_sets(&mut model, &[1, 2, 3], spelling.trie(), unlikely).unwrap().len(), 1);
}

#[test]
fn a_prompt_is_read_once_and_what_leaves_no_choice_in_one_go() {
    let spelling = spelling();
    let mut model = hashed(&spelling);
    let prompt = vec![5; 50];
    let Ok(sets) = label_sets(&mut model, &prompt, spelling.trie(), EXACT);
    assert_eq!(sets.len(), 16);
    let choices = model.calls;
    // Token by token it would be a call for each token of the longest list.
    assert!(choices < spelling.longest(), "{choices} calls");
    let apart: usize = (0..16).map(|bits| spelling.target(&set(bits)).len()).sum();
    assert!(model.tokens < 50 + apart, "{} tokens", model.tokens);
}

#[test]
fn logits_that_are_no_numbers_give_no_set() {
    let spelling = spelling();
    for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut model = Model::new(430, |_, _| broken);
        assert_eq!(label_sets(&mut model, &[1, 2, 3], spelling.trie(), EXACT), Ok(Vec::new()), "{broken}");
    }
}

#[test]
fn what_no_set_or_every_set_holds_is_cut() {
    let scored = |labels: &[usize], log_probability| ScoredSet { labels: labels.to_vec(), log_probability };
    let mass = LabelMass::of(&[scored(&[0], -1.0), scored(&[0, 1], -2.0)], 3);
    assert_eq!((mass.log_odds[0], mass.log_odds[2]), (MAX_LOGIT, -MAX_LOGIT));
    assert!((mass.log_odds[1] + 1.0).abs() < 1e-12 && (mass.mass - (f64::exp(-1.0) + f64::exp(-2.0))).abs() < 1e-12);
    assert!(mass.probabilities().iter().all(|found| *found > 0.0 && *found < 1.0));
}
