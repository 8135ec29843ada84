//! The text room against transformers, at its boundaries, and under hostile input.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use limbic::text::{
    Batch, Encoding, Normalization, TextEncoder, TextError, bert_tokenizer_json, read_tokenizer_json, roberta_tokenizer_json,
};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::support::{base_model, fixture};

/// Ids are line numbers: `[CLS]` 2, `[SEP]` 3, `a` 5, `##a` 6.
const VOCAB: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##a\nhello\nworld\n!\n[\n]\nsep\n@\nuser\nhttp\n";

fn tiny(normalization: Normalization, max_length: usize) -> TextEncoder {
    TextEncoder::from_vocab(VOCAB, normalization, max_length).expect("a vocabulary of our own")
}

fn real(normalization: Normalization, max_length: usize) -> TextEncoder {
    let json = read_tokenizer_json(&base_model()).expect("the base model has a tokenizer");
    TextEncoder::from_json(&json, normalization, max_length).expect("it can be used")
}

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    max_length: usize,
    ids: Vec<u32>,
    truncated: bool,
}

/// The texts of a fixture by the tokenizer of a folder.
fn check_ids(name: &str, folder: &std::path::Path) {
    let Fixture { cases } = serde_json::from_slice(&fs::read(fixture(name)).expect("a fixture")).expect("texts and ids");
    assert!(cases.len() >= 50, "saw {} cases", cases.len());
    let json = read_tokenizer_json(folder).expect("the folder has a tokenizer");
    let mut encoders = BTreeMap::new();
    for Case { text, max_length, ids, truncated } in cases {
        let open = || TextEncoder::from_json(&json, Normalization::None, max_length).expect("it can be used");
        let encoding = encoders.entry(max_length).or_insert_with(open).encode(&text).expect("a text");
        assert_eq!((encoding.ids(), encoding.truncated()), (&ids[..], truncated), "of {text:?} within {max_length}");
    }
}

#[test]
fn ids_are_those_of_transformers() {
    check_ids("text.json", &base_model());
    check_ids("text_roberta.json", &fixture("tiny-roberta"));
}

#[test]
fn byte_pairs_that_are_no_tokenizer_are_refused_by_name() {
    let vocab = r#"{"<s>": 0, "</s>": 1, "a": 2, "b": 3, "ab": 4}"#;
    let file = roberta_tokenizer_json(vocab, "#version: 0.2\na b\n").expect("ours");
    let encoder = TextEncoder::from_json(&file, Normalization::None, 8).expect("it can be used");
    assert_eq!(encoder.encode("abba").expect("a text").ids(), [0, 4, 3, 2, 1]);
    let cases = [
        ("[]", "", "vocab.json: invalid type"),
        (r#"{"<s>": 0, "a": 2}"#, "", "expected </s>, found none"),
        (r#"{"<s>": 0, "</s>": 0}"#, "", "share the id 0"),
        (vocab, "#version: 0.2\na b\nab\n", "merges.txt: expected two pieces on line 3, found \"ab\""),
    ];
    for (vocab, merges, told) in cases {
        let reason = roberta_tokenizer_json(vocab, merges).expect_err(told).to_string();
        assert!(reason.contains(told), "{reason}");
    }
    // A merge of pieces that the vocabulary lacks is the tokenizer library's to refuse.
    let file = roberta_tokenizer_json(vocab, "b a\n").expect("two pieces");
    assert!(matches!(TextEncoder::from_json(&file, Normalization::None, 8), Err(TextError::Tokenizer { .. })));
}

#[test]
fn a_vocabulary_file_gives_the_same_tokenizer() {
    let vocab = fs::read_to_string(base_model().join("vocab.txt")).expect("the base model has a vocabulary");
    let from_vocab = TextEncoder::from_vocab(&vocab, Normalization::TweetV1, 64).expect("a BERT vocabulary");
    let from_json = real(Normalization::TweetV1, 64);
    assert_eq!((from_vocab.vocabulary(), from_json.vocabulary()), (30_522, 30_522));
    for text in ["", "Caf\u{e9} &amp; \u{6211}\u{1F602} [SEP] @you http://a.b", "unaffable!!", &"word ".repeat(100)] {
        assert_eq!(from_vocab.encode(text).expect("a text"), from_json.encode(text).expect("a text"), "of {text:?}");
    }
    assert_eq!(bert_tokenizer_json(VOCAB).expect("ours"), bert_tokenizer_json(VOCAB).expect("ours"), "the same bytes every time");
}

#[test]
fn masks_are_whole_pieces_of_the_vocabulary() {
    let encoder = real(Normalization::TweetV1, 16);
    assert_eq!(encoder.encode("@Some_One https://t.co/x").expect("a text").ids(), [101, 1030, 5310, 8299, 102]);
}

#[test]
fn a_text_is_cut_between_the_special_tokens() {
    let check = |text: &str, max_length, expected: &[u32], truncated| {
        let encoding = tiny(Normalization::None, max_length).encode(text).expect("a text");
        assert_eq!((encoding.ids(), encoding.truncated()), (expected, truncated), "of {text:?} within {max_length}");
    };
    check("", 3, &[2, 3], false);
    check("hello", 3, &[2, 7, 3], false);
    check("hello world", 3, &[2, 7, 3], true);
    check("hello world", 4, &[2, 7, 8, 3], false);
    check("hello world!", 4, &[2, 7, 8, 3], true);
    check("hello world!", 5, &[2, 7, 8, 9, 3], false);
    check("[SEP] a", 7, &[2, 10, 12, 11, 5, 3], false);
    check("hello     ", 3, &[2, 7, 3], false);
    check(&format!("hello{}", " ".repeat(100_000)), 3, &[2, 7, 3], false);
    check(&format!("hello {}", "\u{1F602}".repeat(100_000)), 3, &[2, 7, 3], true);
}

#[test]
fn a_normalised_text_may_be_longer_before() {
    let text = format!("{} hello", "@somebody_with_a_long_name ".repeat(6));
    let encoding = tiny(Normalization::TweetV1, 15).encode(&text).expect("a text");
    assert_eq!(encoding.ids(), [2, 13, 14, 13, 14, 13, 14, 13, 14, 13, 14, 13, 14, 7, 3]);
    assert!(!encoding.truncated());
}

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let started = Instant::now();
    let result = work();
    let took = started.elapsed();
    drop(result);
    took
}

#[test]
fn time_is_bounded_whatever_the_text() {
    let encoder = real(Normalization::TweetV2, 128);
    for piece in ["a", "-", "^", " ", "a ", "&amp;", "&", "@", "http://", "\u{1F602}", "\u{6211}", "e\u{301}", "\\n", "zxqj"] {
        let text = piece.repeat(1_900_000 / piece.len());
        let encoding = encoder.encode(&text).expect("a text");
        // The best of five: the machine may be busy with other tests.
        let took = (0..5).map(|_| time(|| encoder.encode(&text))).min().expect("five");
        assert!(encoding.ids().len() <= 128 && (encoding.truncated() || piece.trim().is_empty()), "of {piece:?}: {encoding:?}");
        assert!(took < Duration::from_millis(50), "1.9 MB of {piece:?} took {took:?}");
    }
}

#[test]
fn many_texts_come_back_in_order() {
    let encoder = tiny(Normalization::None, 80);
    let texts: Vec<String> = (0..500).map(|count| "a ".repeat(count % 70)).collect();
    let encodings = encoder.encode_all(&texts).expect("texts");
    let lengths: Vec<usize> = encodings.iter().map(|encoding| encoding.ids().len()).collect();
    assert_eq!(lengths, (0..500).map(|count| count % 70 + 2).collect::<Vec<_>>());
    let batch = Batch::new(&encodings).expect("a batch");
    assert_eq!((batch.texts(), batch.longest(), batch.tokens()), (500, 71, lengths.iter().sum()));
}

#[test]
fn the_files_own_cutting_and_padding_are_off() {
    let mut file: Value = serde_json::from_slice(&bert_tokenizer_json(VOCAB).expect("ours")).expect("JSON");
    file["truncation"] = json!({"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0});
    file["padding"] = json!({"strategy": {"Fixed": 12}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"});
    let encoder = TextEncoder::from_json(&serde_json::to_vec(&file).expect("JSON"), Normalization::None, 8).expect("it can be used");
    assert_eq!(encoder.encode("hello world a").expect("a text").ids(), [2, 7, 8, 5, 3]);
}

/// The tiny tokenizer's file with one place changed.
fn changed(pointer: &str, value: Value) -> Vec<u8> {
    let mut file: Value = serde_json::from_slice(&bert_tokenizer_json(VOCAB).expect("ours")).expect("JSON");
    *file.pointer_mut(pointer).expect("the place exists") = value;
    serde_json::to_vec(&file).expect("JSON")
}

#[test]
fn what_is_no_tokenizer_is_an_error() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("not JSON", b"{".to_vec()),
        ("not UTF-8", vec![b'"', 0xff, b'"']),
        ("null", b"null".to_vec()),
        ("a list", b"[]".to_vec()),
        ("another object", b"{\"model\": 1}".to_vec()),
        ("deep nesting", deep.into_bytes()),
        ("an unknown model", changed("/model/type", json!("Oracle"))),
        ("no vocabulary", changed("/model/vocab", json!({}))),
        ("a vocabulary of strings", changed("/model/vocab", json!({"a": "b"}))),
        ("ids below zero", changed("/model/vocab", json!({"a": -1, "[UNK]": 1}))),
        ("no unknown piece", changed("/model/unk_token", json!("[NONE]"))),
        ("a special token that is not defined", changed("/post_processor/special_tokens", json!({}))),
        ("a template without the text", changed("/post_processor/single", json!([{"SpecialToken": {"id": "[CLS]", "type_id": 0}}]))),
        ("a template with the second text", changed("/post_processor/single", json!([{"Sequence": {"id": "B", "type_id": 0}}]))),
    ];
    let seen = cases.len();
    for (name, bytes) in cases {
        let opened = TextEncoder::from_json(&bytes, Normalization::None, 16);
        assert!(matches!(opened, Err(TextError::Tokenizer { .. })), "{name}: {opened:?}");
    }
    assert_eq!(seen, 15);
}

#[test]
fn a_length_without_room_for_a_token_is_an_error() {
    for found in [0, 1, 2] {
        let opened = TextEncoder::from_vocab(VOCAB, Normalization::None, found);
        let Err(TextError::MaxLength { least: 3, found: told }) = opened else { panic!("{found}: {opened:?}") };
        assert_eq!(told, found);
    }
}

#[test]
fn a_vocabulary_with_a_piece_twice_or_without_one_is_an_error() {
    for (vocab, told) in [("[UNK]\n[CLS]\n[SEP]\na\na\n", "lines 4 and 5"), ("[UNK]\n[CLS]\na\n", "[SEP]"), ("", "[UNK]")] {
        let reason = bert_tokenizer_json(vocab).expect_err("no BERT vocabulary").to_string();
        assert!(reason.contains(told), "{reason:?} does not say {told:?}");
    }
}

#[test]
fn a_folder_without_a_tokenizer_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = |folder: &std::path::Path| read_tokenizer_json(folder).expect_err("nothing to read").to_string();
    assert!(told(folder.path()).contains("tokenizer.json or vocab.txt, or vocab.json and merges.txt"));
    assert!(told(&folder.path().join("absent")).contains("absent"));
    fs::write(folder.path().join("vocab.txt"), [0xff, 0xfe]).expect("a file");
    assert!(told(folder.path()).contains("vocab.txt: invalid utf-8"), "{}", told(folder.path()));
    fs::write(folder.path().join("vocab.txt"), VOCAB).expect("a file");
    let json = read_tokenizer_json(folder.path()).expect("a vocabulary");
    assert!(TextEncoder::from_json(&json, Normalization::None, 8).is_ok());
}

#[test]
fn encodings_and_batches_are_never_empty() {
    assert!(matches!(Encoding::new(vec![], false), Err(TextError::EmptyEncoding)));
    assert!(matches!(Batch::new([]), Err(TextError::EmptyBatch)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_gives_a_bounded_encoding(text in any::<String>(), max_length in 3..40usize) {
        for normalization in [Normalization::None, Normalization::TweetV1, Normalization::TweetV2] {
            let encoding = tiny(normalization, max_length).encode(&text).expect("a text");
            let ids = encoding.ids();
            prop_assert!(ids.len() <= max_length && ids[0] == 2 && ids[ids.len() - 1] == 3);
            prop_assert!(!encoding.truncated() || ids.len() == max_length);
        }
    }
}
