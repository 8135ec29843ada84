//! Sentences, windows and words of a text: every position slices the original back, and what the
//! model reads of a part is what it would read of that part alone.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use limbic::text::{Long, Normalization, Parts, Passage, Reading, Span, TextEncoder, TextError, read_tokenizer_json, without};
use proptest::prelude::*;

use super::support::{base_model, fixture};

const RULES: [Normalization; 3] = [Normalization::None, Normalization::TweetV1, Normalization::TweetV2];

fn bert(normalization: Normalization, max_length: usize) -> TextEncoder {
    let json = read_tokenizer_json(&base_model()).expect("the base model has a tokenizer");
    TextEncoder::from_json(&json, normalization, max_length).expect("it can be used")
}

fn roberta(normalization: Normalization, max_length: usize) -> TextEncoder {
    let json = read_tokenizer_json(&fixture("tiny-roberta")).expect("the fixture has a tokenizer");
    TextEncoder::from_json(&json, normalization, max_length).expect("it can be used")
}

fn windows(encoder: &TextEncoder, text: &str, step: Option<usize>) -> Vec<Passage> {
    let long = Long::Windows { step: step.map(|step| NonZeroUsize::new(step).expect("above zero")) };
    let read = encoder.read(text, Reading { long, parts: Parts::None, most: 100_000 }).expect("a text");
    assert_eq!(read.whole, 0..read.passages.len());
    read.passages
}

/// Where the spans lie, that they are in order, and that only white space lies outside all of them.
fn check_cover(text: &str, spans: &[Span]) {
    let points: Vec<char> = text.chars().collect();
    let mut covered = vec![false; points.len()];
    for span in spans {
        assert!(span.start <= span.end && span.end <= points.len(), "{span:?} in {} code points", points.len());
        let slice: String = points[span.start..span.end].iter().collect();
        assert_eq!(span.of(text), slice, "in code points");
        assert_eq!(slice.trim(), slice, "ends are trimmed");
        covered[span.start..span.end].fill(true);
    }
    assert!(spans.windows(2).all(|pair| pair[0].start <= pair[1].start && pair[0].end <= pair[1].end), "{spans:?}");
    let lost: String = points.iter().zip(&covered).filter(|(_, covered)| !**covered).map(|(point, _)| *point).collect();
    // What normalisation leaves nothing of is read by nobody.
    assert!(Normalization::TweetV2.apply(&lost).is_empty(), "{lost:?} of {text:?} is in no part");
}

#[test]
fn a_window_reads_what_its_stretch_alone_would() {
    let text =
        "The first part is calm. Then it is &amp; was SO loud, @somebody shouted http://a.example/b! caf\u{e9} \u{1F602}\u{1F602} end";
    let mut seen = 0;
    for rule in RULES {
        for (room, step) in [(6, 1), (8, 3), (10, 8), (40, 20)] {
            let encoder = bert(rule, room + 2);
            let found = windows(&encoder, text, Some(step));
            check_cover(text, &found.iter().map(|passage| passage.span).collect::<Vec<_>>());
            for Passage { encoding, span } in found {
                assert!(encoding.ids().len() <= room + 2 && !encoding.truncated());
                let alone = bert(rule, 64).encode(span.of(text)).expect("a text");
                // A word longer than a window is cut inside; no window of forty tokens does that.
                if alone.ids().len() <= room + 2 {
                    assert_eq!(encoding.ids(), alone.ids(), "{:?} by {rule:?} within {room}", span.of(text));
                    seen += 1;
                }
            }
        }
    }
    assert!(seen >= 60, "compared {seen} windows");
}

#[test]
fn every_token_is_read_in_order() {
    let text = "It was a dark and stormy night; antidisestablishmentarianism! ".repeat(200);
    for open in [bert, roberta] {
        let (encoder, roomy, room) = (open(Normalization::TweetV1, 32), open(Normalization::TweetV1, 32_768), 30);
        let whole = roomy.encode(&text).expect("a text");
        let whole = &whole.ids()[roomy.own_tokens(&whole)];
        // Side by side the windows are the text's own tokens.
        let own = |passage: &Passage| passage.encoding.ids()[encoder.own_tokens(&passage.encoding)].to_vec();
        assert_eq!(windows(&encoder, &text, Some(room)).iter().flat_map(own).collect::<Vec<_>>(), whole);
        let overlapping = windows(&encoder, &text, None);
        assert!(overlapping.len() > whole.len() / room, "{} windows by the usual stride", overlapping.len());
    }
}

#[test]
fn a_word_longer_than_a_window_is_cut_at_characters() {
    let encoder = bert(Normalization::TweetV1, 12);
    let long = "\u{4f60}\u{597d}\u{518d}\u{89c1}".repeat(20);
    let found = windows(&encoder, &format!("a {long} b"), Some(10));
    let spans: Vec<Span> = found.iter().map(|passage| passage.span).collect();
    check_cover(&format!("a {long} b"), &spans);
    assert!(spans.iter().all(|span| span.end - span.start <= 12), "{spans:?}");
    assert_eq!(spans.len(), 9);
    // What normalisation changed is not told apart.
    let changed = format!("a &amp;{long} b");
    let found = windows(&encoder, &changed, Some(10));
    assert!(found.len() >= 8 && found.iter().any(|passage| passage.span.of(&changed).starts_with("&amp;")));
    assert!(found.iter().all(|passage| passage.encoding.ids().len() <= 12 && !passage.encoding.truncated()));
    // Bytes of one character stay together.
    let emoji = "\u{1F602}".repeat(40);
    let encoder = roberta(Normalization::TweetV1, 12);
    let found = windows(&encoder, &emoji, Some(5));
    check_cover(&emoji, &found.iter().map(|passage| passage.span).collect::<Vec<_>>());
    assert!(found.len() > 4 && found.iter().all(|passage| !passage.encoding.truncated()));
}

#[test]
fn sentences_are_read_beside_the_whole() {
    let encoder = bert(Normalization::TweetV2, 16);
    let text = " So happy! Really? It goes on and on and on and on and on and on and on. \u{1F602} ";
    for (long, passages) in [(Long::Cut, vec![1, 1, 1, 1]), (Long::Windows { step: NonZeroUsize::new(14) }, vec![1, 1, 2, 1])] {
        let read = encoder.read(text, Reading { long, parts: Parts::Sentences, most: 100_000 }).expect("a text");
        check_cover(text, &read.sentences.iter().map(|(span, _)| *span).collect::<Vec<_>>());
        assert_eq!(read.sentences.iter().map(|(_, rows)| rows.len()).collect::<Vec<_>>(), passages);
        assert_eq!(read.whole.end, read.sentences[0].1.start);
        for (span, rows) in &read.sentences {
            let alone = encoder.read(span.of(text), Reading { long, parts: Parts::None, most: 100_000 }).expect("a text");
            let encodings = |passages: &[Passage]| passages.iter().map(|passage| passage.encoding.clone()).collect::<Vec<_>>();
            assert_eq!(encodings(&read.passages[rows.clone()]), encodings(&alone.passages));
        }
    }
}

#[test]
fn more_than_may_be_read_is_refused_before_it_is() {
    let encoder = bert(Normalization::TweetV1, 12);
    let text = "So it is. ".repeat(40);
    let windows = Long::Windows { step: NonZeroUsize::new(10) };
    for (long, parts, needed) in
        [(Long::Cut, Parts::None, 1), (windows, Parts::None, 16), (Long::Cut, Parts::Sentences, 41), (windows, Parts::Sentences, 56)]
    {
        let read = |most| encoder.read(&text, Reading { long, parts, most });
        assert_eq!(read(needed).expect("enough").passages.len(), needed);
        let refused = read(needed - 1);
        assert!(matches!(refused, Err(TextError::Passages { most }) if most == needed - 1), "{refused:?}");
    }
    let start = Instant::now();
    let hostile = ". A".repeat(300_000);
    let refused = encoder.read(&hostile, Reading { long: Long::Cut, parts: Parts::Sentences, most: 512 });
    assert!(refused.is_err() && start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
}

#[test]
fn a_hostile_text_is_cheap() {
    let encoder = bert(Normalization::TweetV2, 128);
    let reading = Reading { long: Long::Windows { step: None }, parts: Parts::Sentences, most: 512 };
    for unit in ["a", "-", "^", "\u{1F602}", "a ", "&amp;", "\u{4f60}", "@a ", "e\u{301}", ". A"] {
        let text: String = unit.chars().cycle().take(100_000).collect();
        let once = || {
            let start = Instant::now();
            let read = encoder.read(&text, reading);
            assert!(matches!(read, Ok(_) | Err(TextError::Passages { .. })), "{unit:?}: {read:?}");
            assert!(encoder.words(&text).len() <= 100_000);
            start.elapsed()
        };
        // The best of five: the machine may be busy with other tests.
        let took = (0..5).map(|_| once()).min().expect("five");
        assert!(took < Duration::from_secs(5), "a hundred thousand of {unit:?} took {took:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn any_text_is_covered_and_sliced_back(text in arbitrary(), room in 1..12_usize, step in 1..12_usize) {
        for rule in RULES {
            for encoder in [tiny(rule, room + 2), roberta(rule, room + 2)] {
                let read = encoder.read(&text, Reading { long: Long::Windows { step: NonZeroUsize::new(step) }, parts: Parts::Sentences, most: 100_000 });
                let read = read.expect("a text");
                check_cover(&text, &read.passages[read.whole.clone()].iter().map(|passage| passage.span).collect::<Vec<_>>());
                check_cover(&text, &read.sentences.iter().map(|(span, _)| *span).collect::<Vec<_>>());
                prop_assert!(read.passages.iter().all(|passage| passage.encoding.ids().len() <= room + 2));
                let words = encoder.words(&text);
                prop_assert!(words.windows(2).all(|pair| pair[0].end <= pair[1].start));
                for word in words {
                    let rest = without(&text, word);
                    prop_assert_eq!(rest.chars().count() + (word.end - word.start), text.chars().count());
                    prop_assert!(!word.of(&text).trim().is_empty());
                }
            }
        }
    }

    #[test]
    fn a_text_that_fits_is_one_window_and_reads_as_ever(text in arbitrary()) {
        for rule in RULES {
            for encoder in [tiny(rule, 4096), roberta(rule, 4096)] {
                let found = windows(&encoder, &text, None);
                prop_assert_eq!(found.len(), 1);
                prop_assert_eq!(&found[0].encoding, &encoder.encode(&text).expect("a text"));
            }
        }
    }
}

fn tiny(rule: Normalization, max_length: usize) -> TextEncoder {
    let json = std::fs::read(fixture("tiny-bert").join("tokenizer.json")).expect("a fixture");
    TextEncoder::from_json(&json, rule, max_length).expect("it can be used")
}

/// Any characters, and pieces that normalisation, sentence ends and tokenizers care about.
fn arbitrary() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        2 => any::<char>().prop_map(String::from),
        6 => prop::sample::select(vec![
            " ", " ", "\n", "\u{a0}", "\r\n", "word", "Word", ".", "! ", "? ", "...", "&amp;", "&#32;", "\\n", "@user_1", "http://a.b/c", "e\u{301}",
            "\u{301}", "\u{1}", "\u{200d}", "\u{fe0f}", "\u{1F602}", "\u{1F469}\u{200D}\u{1F467}", "1\u{fe0f}\u{20e3}", "\u{4f60}\u{597d}", "\u{3002}",
            "\u{5e9}\u{5dc}", "[SEP]", "<s>", "aaaaaaaaaaaaaaaaaaaaaaaa",
        ]).prop_map(String::from),
    ];
    prop::collection::vec(piece, 1..24).prop_map(|pieces| pieces.concat())
}
