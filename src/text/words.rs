//! The words of a text, for saying which of them an answer hangs on.
//!
//! A word is a run between white space where normalisation changes that run (a masked name, an
//! address, emoji written out), because its inside is not what the model read; elsewhere it is a
//! word of Unicode Standard Annex 29 that holds more than punctuation.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::pieces::Pieces;
use super::span::spans;
use super::{Span, TextEncoder};

impl TextEncoder {
    /// The words of `text`, in order, without overlap.
    #[must_use]
    pub fn words(&self, text: &str) -> Vec<Span> {
        let Pieces { pieces, .. } = Pieces::of(text, self.normalization());
        let within = |start: usize, run: &str| -> Vec<Range<usize>> {
            let words = run.split_word_bound_indices().filter(|(_, word)| says_something(word));
            words.map(|(at, word)| start + at..start + at + word.len()).collect()
        };
        let ranges = pieces
            .into_iter()
            .flat_map(|piece| if piece.same { within(piece.original.start, &text[piece.original]) } else { vec![piece.original] });
        spans(text, ranges.collect::<Vec<_>>())
    }
}

/// `text` without one stretch of it.
#[must_use]
pub fn without(text: &str, span: Span) -> String {
    let points = text.chars().enumerate().filter(|(at, _)| !(span.start..span.end).contains(at));
    points.map(|(_, character)| character).collect()
}

/// Letters, digits, emoji, other signs; not white space, and not the punctuation of ASCII, of the
/// General Punctuation block or of the CJK one.
fn says_something(word: &str) -> bool {
    let silent = |character: char| {
        character.is_whitespace()
            || character.is_ascii_punctuation()
            || matches!(character, '\u{2000}'..='\u{206f}' | '\u{3000}'..='\u{303f}')
    };
    !word.chars().all(silent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Normalization;

    #[test]
    fn words_are_what_an_answer_may_hang_on() {
        let vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n";
        let encoder = TextEncoder::from_vocab(vocab, Normalization::TweetV2, 8).expect("a vocabulary of our own");
        let text = "I don't like it, @Ann_1: #mondays\u{2026} \u{1F62D}\u{1F62D}! https://a.example \u{4f60}\u{597d}\u{3002}";
        let words: Vec<&str> = encoder.words(text).into_iter().map(|span| span.of(text)).collect();
        let expected =
            ["I", "don't", "like", "it", "@Ann_1:", "mondays", "\u{1F62D}\u{1F62D}!", "https://a.example", "\u{4f60}", "\u{597d}"];
        assert_eq!(words, expected);
        let span = encoder.words(text)[4];
        assert_eq!(without(text, span), text.replacen("@Ann_1:", "", 1));
    }
}
