//! Sets of labels in tokens: every set is written, allowed, and read as itself, and nothing else is.

use std::collections::HashSet;
use std::fs;

use limbic::spec::LabelSet;
use limbic::text::{AnswerCounts, Encoding, Fault, LabelSpelling, LabelTrie, Normalization, Place, Prompt, ReadAnswer, TextEncoder};

use super::support::weights;
use super::text_prompt::tokenizer;

const EMOTIONS: [&str; 11] =
    ["anger", "anticipation", "disgust", "fear", "joy", "love", "optimism", "pessimism", "sadness", "surprise", "trust"];

fn spelling(json: &[u8], template: &str, end: &str, labels: &[&str]) -> Result<LabelSpelling, limbic::text::TextError> {
    let labels = LabelSet::new(labels.iter().copied()).expect("names");
    let prompt = Prompt::plain(template, &labels, end).expect("a template");
    let encoder = TextEncoder::with_prompt(json, Normalization::None, 500, &prompt).expect("a prompt that fits");
    LabelSpelling::new(&encoder, &labels)
}

fn tiny(labels: &[&str]) -> LabelSpelling {
    spelling(&tokenizer("byte-level.json"), "{text} ### LABEL: ", "<|turn|>", labels).expect("labels that can be spelled")
}

fn set(bits: usize, labels: usize) -> Vec<bool> {
    (0..labels).map(|label| bits >> label & 1 == 1).collect()
}

/// Lists that the trie allows from here on.
fn lists(trie: &LabelTrie, place: Place) -> usize {
    if trie.is_done(place) { 1 } else { trie.steps(place).iter().map(|step| lists(trie, step.place)).sum() }
}

/// Every set of the labels.
fn check(spelling: &LabelSpelling) {
    let (count, trie) = (spelling.labels().len(), spelling.trie());
    let mut seen = HashSet::new();
    for bits in 0..1 << count {
        let held = set(bits, count);
        let tokens = spelling.target(&held);
        assert!(tokens.len() <= spelling.longest() && tokens.last() == Some(&spelling.end()));
        let (mut place, mut named) = (trie.start(), vec![false; count]);
        for &token in &tokens {
            let step = trie.steps(place).into_iter().find(|step| step.token == token).expect("the trie allows what is written");
            step.label.into_iter().for_each(|label| named[label] = true);
            place = step.place;
        }
        assert!(trie.is_done(place) && trie.steps(place).is_empty());
        assert_eq!(named, held);
        assert_eq!(spelling.read(&tokens).expect("tokens"), ReadAnswer { held, fault: None });
        assert!(seen.insert(tokens), "two sets have the same tokens");
    }
    assert_eq!((seen.len(), lists(trie, trie.start())), (1 << count, 1 << count));
}

#[test]
fn every_set_of_eleven_survives_a_tiny_vocabulary() {
    check(&tiny(&EMOTIONS));
}

#[test]
fn every_set_of_eleven_survives_a_vocabulary_that_marks_beginnings() {
    check(&spelling(&tokenizer("prefixed.json"), "{text}\nLABEL:", "</s>", &EMOTIONS).expect("labels that can be spelled"));
}

#[test]
fn every_set_of_eleven_survives_gpt2() {
    let Some(folder) = weights("text_labels::every_set_of_eleven_survives_gpt2") else { return };
    let json = fs::read(folder.join("tokenizers/gpt2.tokenizer.json")).expect("the tokenizer");
    let spelling = spelling(&json, "{text} ### LABEL: ", "<|endoftext|>", &EMOTIONS).expect("labels that can be spelled");
    check(&spelling);
    // Piece by piece is what the whole list would be.
    let whole = TextEncoder::from_json(&json, Normalization::None, 500).expect("a tokenizer");
    for bits in 0..1 << 11 {
        let held = set(bits, 11);
        let names: Vec<String> = EMOTIONS.iter().zip(&held).filter(|(_, held)| **held).map(|(name, _)| format!("{name:?}")).collect();
        let text = format!("x [{}]", names.join(", "));
        let tokens = spelling.target(&held);
        assert_eq!(whole.encode(&text).expect("a text").ids()[1..], tokens[..tokens.len() - 1], "{text}");
    }
}

#[test]
fn names_may_begin_alike_and_hold_anything() {
    check(&tiny(&["joy", "joyful", "jo", "a \"b\", c", "\\", "caf\u{e9} \u{1f602}", "[]", " x"]));
    check(&tiny(&["a"]));
}

#[test]
fn a_vocabulary_that_loses_what_is_written_is_refused() {
    let bert = limbic::text::bert_tokenizer_json("[UNK]\n[CLS]\n[SEP]\njoy\nfear\n[\n]\n\"\n,\n").expect("a vocabulary");
    for (labels, told) in [
        (vec!["joy", "Joy"], "label \"joy\" and label \"Joy\" have the same tokens"),
        (vec!["joy", "fear"], "the list of [\"joy\"] is not read as it is written: Some(Unknown)"),
        (vec!["a", "b"], "label \"a\" and label \"b\" have the same tokens"),
    ] {
        let found = spelling(&bert, "{text}", "[SEP]", &labels).expect_err(told).to_string();
        assert!(found.contains(told), "{found}");
    }
    let encoder = TextEncoder::from_json(&bert, Normalization::None, 9).expect("a tokenizer");
    let found = LabelSpelling::new(&encoder, &LabelSet::new(["joy"]).expect("a name")).expect_err("no prompt").to_string();
    assert!(found.contains("expected an encoder with a prompt"), "{found}");
}

#[test]
fn answers_are_read_strictly_and_counted() {
    let spelling = tiny(&["anger", "joy"]);
    let json = tokenizer("byte-level.json");
    let plain = TextEncoder::from_json(&json, Normalization::None, 100).expect("a tokenizer");
    let read = |text: &str, ended: bool| {
        let mut tokens = plain.encode(text).expect("a text").ids()[1..].to_vec();
        tokens.extend(ended.then_some(spelling.end()));
        spelling.read(&tokens).expect("tokens")
    };
    let cases = [
        ("[\"joy\", \"anger\"]", true, [true, true], None),
        (" [ \"joy\",\"joy\" ] ", true, [false, true], None),
        ("[]", true, [false, false], None),
        ("[\"joy\"]", false, [false, false], Some(Fault::Truncated)),
        ("", false, [false, false], Some(Fault::Truncated)),
        ("", true, [false, false], Some(Fault::Unparsed)),
        ("['joy']", true, [false, false], Some(Fault::Unparsed)),
        ("[\"joy\"", true, [false, false], Some(Fault::Unparsed)),
        ("[\"joy\"] indeed", true, [false, false], Some(Fault::Unparsed)),
        ("[\"joy\", 1]", true, [false, false], Some(Fault::Unparsed)),
        ("[\"joy\", \"happiness\"]", true, [false, true], Some(Fault::Unknown)),
        ("[\"Joy\"]", true, [false, false], Some(Fault::Unknown)),
    ];
    let answers: Vec<ReadAnswer> = cases
        .into_iter()
        .map(|(text, ended, held, fault)| {
            let found = read(text, ended);
            assert_eq!(found, ReadAnswer { held: held.to_vec(), fault }, "{text:?}");
            found
        })
        .collect();
    let counts = AnswerCounts::of(&answers);
    assert_eq!(counts, AnswerCounts { answers: 12, truncated: 2, unparsed: 5, unknown: 2 });
    assert!((counts.faulty() - 0.75).abs() < 1e-12 && AnswerCounts::default().faulty() == 0.0);
}

#[test]
fn a_completion_asks_for_the_answer_and_its_end() {
    let spelling = tiny(&["anger", "joy"]);
    let prompt = Encoding::new(vec![9, 8, 7], false).expect("ids");
    let found = spelling.completion(&prompt, &[false, true]);
    assert_eq!((found.first(), &found.ids[..3]), (2, &[9, 8, 7][..]));
    assert_eq!(found.answer, spelling.target(&[false, true]));
    assert_eq!(found.ids[3..], found.answer[..found.answer.len() - 1]);
}
