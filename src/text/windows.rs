//! A text of any length as windows that the model can take.
//!
//! The text is tokenised once; a window is a run of its tokens between the template's, as in
//! transformers' overflowing tokens. A window begins and ends where a word (a run between white
//! space) does. Only a word too long for any window is cut inside, at a token, and only if
//! normalisation left it as it was: otherwise nobody can say which of its characters a token was
//! made of, and its windows share its span.

use std::ops::Range;

use super::encoder::Tokens;
use super::pieces::{Piece, Pieces};
use super::span::trimmed;
use super::{Encoding, TextEncoder, TextError};

/// One window: what the model reads, and the bytes of the original it was made of.
pub(super) type Window = (Encoding, Range<usize>);

impl TextEncoder {
    /// Windows over the whole of `text`, at least one, each beginning at most `step` tokens behind
    /// the one before, so that none of it is left out.
    ///
    /// # Errors
    /// [`TextError::Passages`] when there are more than `most`, otherwise as [`TextEncoder::encode`].
    pub(super) fn windows(&self, text: &str, step: usize, most: usize) -> Result<Vec<Window>, TextError> {
        let pieces = Pieces::of(text, self.normalization());
        // So many windows hold no more, however they lie.
        let tokens = self.tokens(&pieces.text, most.saturating_mul(self.room()))?.ok_or(TextError::Passages { most })?;
        let atoms = atoms(&pieces, &tokens, self.room());
        if atoms.is_empty() {
            return Ok(vec![(self.between_template(&[], false)?, trimmed(text, 0..text.len()))]);
        }
        let window = |range: Range<usize>| {
            let (first, last) = (&atoms[range.start], &atoms[range.end - 1]);
            let ids = &tokens.ids[first.tokens.start..last.tokens.end];
            // Only one character of more tokens than a window takes is ever too long here.
            let kept = &ids[..ids.len().min(self.room())];
            let encoding = self.between_template(kept, kept.len() < ids.len())?;
            // A token may be a part of a character, or the white space between two words.
            let start = text.floor_char_boundary(first.original.start);
            Ok((encoding, trimmed(text, start..text.ceil_char_boundary(last.original.end.max(first.original.end)))))
        };
        let lengths: Vec<usize> = atoms.iter().map(|atom| atom.tokens.len()).collect();
        let ranges = cover(&lengths, self.room(), step);
        if ranges.len() > most {
            return Err(TextError::Passages { most });
        }
        ranges.into_iter().map(window).collect()
    }
}

/// What a window is never divided within.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Atom {
    tokens: Range<usize>,
    original: Range<usize>,
}

/// Words, and the tokens of words that do not fit into `room`.
fn atoms(pieces: &Pieces, tokens: &Tokens, room: usize) -> Vec<Atom> {
    let mut atoms = Vec::new();
    let mut start = 0;
    for (at, piece) in pieces.pieces.iter().enumerate() {
        let inside = tokens.offsets[start..].partition_point(|offset| offset.start < piece.normal.end);
        // A trimmed space at the very end belongs to the last word.
        let end = if at + 1 == pieces.pieces.len() { tokens.ids.len() } else { start + inside };
        if end - start <= room {
            atoms.push(Atom { tokens: start..end, original: piece.original.clone() });
        } else {
            atoms.extend(divided(piece, tokens, start..end));
        }
        start = end;
    }
    atoms
}

/// A word too long for a window, token by token. What no token was made of, a mark that the tokenizer
/// drops, goes with the token before it.
fn divided(piece: &Piece, tokens: &Tokens, range: Range<usize>) -> Vec<Atom> {
    let mut atoms: Vec<Atom> = Vec::with_capacity(range.len());
    for token in range {
        let original = piece.behind(tokens.offsets[token].clone());
        match atoms.last_mut() {
            // Several tokens for one character, as byte-level vocabularies have them.
            Some(last) if piece.same && original.start < last.original.end => {
                last.tokens.end = token + 1;
                last.original.end = last.original.end.max(original.end);
            }
            last => {
                if let Some(last) = last {
                    last.original.end = last.original.end.max(original.start.min(piece.original.end));
                }
                atoms.push(Atom { tokens: token..token + 1, original });
            }
        }
    }
    if let Some(first) = atoms.first_mut() {
        first.original.start = piece.original.start;
    }
    if let Some(last) = atoms.last_mut() {
        last.original.end = piece.original.end;
    }
    atoms
}

/// Ranges of items, each as long as `room` allows and at least one item, until the last item is
/// covered. They begin at most `step` apart, unless an item is longer than that or nothing new would be
/// read.
fn cover(lengths: &[usize], room: usize, step: usize) -> Vec<Range<usize>> {
    let reach = |start: usize, most: usize| {
        let mut sum = 0;
        lengths[start..].iter().take_while(|&&length| (sum + length <= most).then(|| sum += length).is_some()).count()
    };
    let mut ranges = Vec::new();
    let mut start = 0;
    while start < lengths.len() {
        let end = start + reach(start, room).max(1);
        ranges.push(start..end);
        if end == lengths.len() {
            break;
        }
        start += reach(start, step).max(1);
        start = (start..end).find(|&start| start + reach(start, room) > end).unwrap_or(end);
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "one window is a case like the others")]
    fn windows_step_by_whole_items() {
        for (lengths, room, step, expected) in [
            (vec![1; 10], 4, 2, vec![0..4, 2..6, 4..8, 6..10]),
            (vec![1; 10], 4, 4, vec![0..4, 4..8, 8..10]),
            (vec![1; 3], 4, 1, vec![0..3]),
            (vec![2, 3, 2, 3], 5, 2, vec![0..2, 1..3, 2..4]),
            (vec![9, 1, 9], 4, 2, vec![0..1, 1..2, 2..3]),
            (vec![0, 0, 4, 0, 4, 0], 4, 4, vec![0..4, 4..6]),
            (vec![0, 3, 4], 5, 1, vec![0..2, 2..3]),
        ] {
            assert_eq!(cover(&lengths, room, step), expected, "of {lengths:?} within {room} by {step}");
        }
    }

    proptest! {
        #[test]
        fn every_item_is_covered_and_nothing_overflows(
            lengths in prop::collection::vec(0..6_usize, 1..40), room in 1..12_usize, step in 1..12_usize,
        ) {
            let ranges = cover(&lengths, room, step);
            prop_assert_eq!((ranges[0].start, ranges.last().map(|range| range.end)), (0, Some(lengths.len())));
            for pair in ranges.windows(2) {
                prop_assert!(pair[0].start < pair[1].start && pair[1].start <= pair[0].end && pair[0].end < pair[1].end);
            }
            for range in ranges {
                let sum: usize = lengths[range.clone()].iter().sum();
                prop_assert!(sum <= room || range.len() == 1, "{} in {:?}", sum, range);
            }
        }
    }
}
