//! How a text is read: cut to what the model takes or window by window, as a whole and, where that
//! is asked, sentence by sentence.
//!
//! Sentences are found in the text as it was given (Unicode Standard Annex 29), so each is a
//! stretch of it and is read as that stretch alone would be. Annex 29 knows no abbreviations: it
//! ends a sentence after "Dr." where a capital follows.

use std::num::NonZeroUsize;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::span::{Span, spans, trimmed};
use super::{Encoding, TextEncoder, TextError};

/// What to do with a text of more tokens than the model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Long {
    /// Read its beginning.
    Cut,
    /// Read all of it, window by window.
    Windows {
        /// Tokens from the start of one window to the start of the next, at most: windows begin at
        /// words. Half a window when absent, so that whatever spans up to half a window stands
        /// whole in one of them.
        step: Option<NonZeroUsize>,
    },
}

/// What is read on its own beside the whole text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// Nothing.
    None,
    /// Every sentence.
    Sentences,
}

/// How texts are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What to do with what is too long, be it the text or one of its sentences.
    pub long: Long,
    /// What is read beside the whole.
    pub parts: Parts,
    /// The most passages; at least one.
    pub most: usize,
}

impl Reading {
    /// The whole text, cut.
    pub const PLAIN: Self = Self { long: Long::Cut, parts: Parts::None, most: 1 };
}

/// What the model reads in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Its tokens.
    pub encoding: Encoding,
    /// What it was made of. Where the encoding is truncated, the model saw only the beginning.
    pub span: Span,
}

/// A text as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadText {
    /// Everything the model reads of it, the whole text's passages first.
    pub passages: Vec<Passage>,
    /// Which passages are the whole text: one, or its windows in order.
    pub whole: Range<usize>,
    /// Its sentences in order, and the passages of each.
    pub sentences: Vec<(Span, Range<usize>)>,
}

impl TextEncoder {
    /// Everything that the model shall read of one text.
    ///
    /// # Errors
    /// [`TextError::Passages`] when that is more than allowed, otherwise as [`TextEncoder::encode`].
    pub fn read(&self, text: &str, reading: Reading) -> Result<ReadText, TextError> {
        let Reading { long, parts, most } = reading;
        let mut passages = self.passages(text, 0..text.len(), (long, most))?;
        let whole = 0..passages.len();
        let ranges = match parts {
            Parts::None => Vec::new(),
            // Before any of them is tokenised.
            Parts::Sentences => sentences(text).take(most + 1).collect(),
        };
        let mut parts = Vec::with_capacity(ranges.len());
        for range in &ranges {
            let first = passages.len();
            let left = most.saturating_sub(first + ranges.len() - parts.len() - 1);
            let found = self.passages(text, range.clone(), (long, left));
            passages.extend(
                found.map_err(|error| if matches!(error, TextError::Passages { .. }) { TextError::Passages { most } } else { error })?,
            );
            parts.push(first..passages.len());
        }
        let places = spans(text, passages.iter().map(|(_, range)| range.clone()));
        let passages = passages.into_iter().zip(places).map(|((encoding, _), span)| Passage { encoding, span }).collect();
        Ok(ReadText { passages, whole, sentences: spans(text, ranges).into_iter().zip(parts).collect() })
    }

    /// The passages of a stretch of `text`, with their bytes.
    fn passages(&self, text: &str, range: Range<usize>, (long, most): (Long, usize)) -> Result<Vec<(Encoding, Range<usize>)>, TextError> {
        let range = trimmed(text, range);
        let part = &text[range.clone()];
        match long {
            _ if most == 0 => Err(TextError::Passages { most }),
            Long::Cut => Ok(vec![(self.encode(part)?, range)]),
            Long::Windows { step } => {
                let step = step.map_or(self.room().div_ceil(2), NonZeroUsize::get);
                let shifted = |(encoding, inner): (Encoding, Range<usize>)| (encoding, range.start + inner.start..range.start + inner.end);
                Ok(self.windows(part, step, most)?.into_iter().map(shifted).collect())
            }
        }
    }
}

/// The sentences of a text that hold more than white space, as bytes, ends trimmed.
fn sentences(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let bounds = text.split_sentence_bound_indices().map(|(start, part)| trimmed(text, start..start + part.len()));
    bounds.filter(|range| !range.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = sentences(text).map(|range| &text[range]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn sentences_are_those_of_annex_29() {
        check("So happy! Really?  \u{201c}Yes.\u{201d} He left.", &["So happy!", "Really?", "\u{201c}Yes.\u{201d}", "He left."]);
        check("see www.a.example for 3.5 more... and on", &["see www.a.example for 3.5 more... and on"]);
        check("one\ntwo\r\n\r\nthree", &["one", "two", "three"]);
        check("no!!! \u{1F62D}\u{1F62D} why", &["no!!!", "\u{1F62D}\u{1F62D} why"]);
        check("\u{4f60}\u{597d}\u{3002}\u{518d}\u{89c1}", &["\u{4f60}\u{597d}\u{3002}", "\u{518d}\u{89c1}"]);
        check("Dr. Who", &["Dr.", "Who"]);
        check(" \n ", &[]);
    }
}
