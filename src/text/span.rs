//! Where something stands in a text: positions counted in Unicode code points (scalar values), the
//! way Python slices a string, and never in bytes or UTF-16 units.

use std::ops::Range;

/// A stretch of a text, `start` inclusive and `end` exclusive, in code points of the text as it was
/// given, before anything was done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Code points before it.
    pub start: usize,
    /// Code points before its end.
    pub end: usize,
}

impl Span {
    /// The stretch itself.
    #[must_use]
    pub fn of(self, text: &str) -> &str {
        let byte = |point: usize| text.char_indices().nth(point).map_or(text.len(), |(at, _)| at);
        &text[byte(self.start)..byte(self.end).max(byte(self.start))]
    }
}

/// Ranges of bytes as spans. Time is linear in the text where starts rise and ends rise.
pub(super) fn spans(text: &str, ranges: impl IntoIterator<Item = Range<usize>>) -> Vec<Span> {
    let (mut starts, mut ends) = (Cursor::new(text), Cursor::new(text));
    ranges.into_iter().map(|range| Span { start: starts.point(range.start), end: ends.point(range.end) }).collect()
}

/// Counts code points up to a byte, going on from where it was asked last.
struct Cursor<'a> {
    text: &'a str,
    byte: usize,
    points: usize,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, byte: 0, points: 0 }
    }

    fn point(&mut self, byte: usize) -> usize {
        if byte < self.byte {
            (self.byte, self.points) = (0, 0);
        }
        self.points += self.text[self.byte..byte].chars().count();
        self.byte = byte;
        self.points
    }
}

/// The range without the white space at its ends; empty ranges stay where they end.
pub(super) fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_code_points() {
        let text = "a\u{1F602} \u{e9}e\u{301}. b";
        let ranges = [0..5, 6..8, 0..text.len(), 8..11, 12..13];
        let found = spans(text, ranges.clone());
        assert_eq!(found, [(0, 2), (3, 4), (0, 9), (4, 6), (7, 8)].map(|(start, end)| Span { start, end }));
        for (span, range) in found.into_iter().zip(ranges) {
            assert_eq!(span.of(text), &text[range]);
        }
        assert_eq!(trimmed(" \u{a0}a b\n", 0..7), 3..6);
        assert_eq!(trimmed("a   b", 1..4), 4..4);
        assert_eq!(Span { start: 3, end: 2 }.of("abcdef"), "");
    }
}
