//! Normalisation that remembers where it came from.
//!
//! Every rule works inside runs between white space and leaves no trace of the white space but one
//! space, so a text may be normalised run by run. That gives the normalised text and, for each
//! piece of it, the stretch of the original it was made of. A run that came out unchanged maps byte
//! for byte; one that was changed (a masked address, a named emoji) maps only as a whole, and is
//! never said to lie more exactly than that.

use std::ops::Range;

use super::Normalization;
use super::span::trimmed;

/// A normalised text and what its pieces were made of.
#[derive(Debug)]
pub(super) struct Pieces {
    pub(super) text: String,
    /// In order, without overlap; runs of which nothing was left are not among them.
    pub(super) pieces: Vec<Piece>,
}

/// A run between white space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Bytes of the normalised text.
    pub(super) normal: Range<usize>,
    /// Bytes of the original.
    pub(super) original: Range<usize>,
    /// Whether the two hold the same bytes.
    pub(super) same: bool,
}

impl Piece {
    /// The bytes of the original behind bytes of the normalised text that lie within this piece.
    pub(super) fn behind(&self, normal: Range<usize>) -> Range<usize> {
        if !self.same {
            return self.original.clone();
        }
        let shift = |byte: usize| self.original.start + byte.clamp(self.normal.start, self.normal.end) - self.normal.start;
        shift(normal.start)..shift(normal.end)
    }
}

impl Pieces {
    /// Normalises `text`, white space at its ends left out.
    pub(super) fn of(text: &str, rule: Normalization) -> Self {
        match rule {
            Normalization::None => Self::as_it_is(text),
            Normalization::TweetV1 | Normalization::TweetV2 => Self::run_by_run(text, rule),
        }
    }

    fn as_it_is(text: &str) -> Self {
        let whole = trimmed(text, 0..text.len());
        let piece = |run: Range<usize>| Piece { normal: run.start - whole.start..run.end - whole.start, original: run, same: true };
        Self { text: text[whole.clone()].to_owned(), pieces: runs(text).map(piece).collect() }
    }

    fn run_by_run(text: &str, rule: Normalization) -> Self {
        let mut out = Self { text: String::with_capacity(text.len()), pieces: Vec::new() };
        for original in runs(text) {
            let run = &text[original.clone()];
            let normal = rule.apply(run);
            if normal.is_empty() {
                continue;
            }
            if !out.text.is_empty() {
                out.text.push(' ');
            }
            let start = out.text.len();
            out.text.push_str(&normal);
            out.pieces.push(Piece { normal: start..out.text.len(), original, same: normal == run });
        }
        out
    }
}

/// The runs between white space, as bytes.
pub(super) fn runs(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let base = text.as_ptr() as usize;
    text.split_whitespace().map(move |run| {
        let start = run.as_ptr() as usize - base;
        start..start + run.len()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: [Normalization; 3] = [Normalization::None, Normalization::TweetV1, Normalization::TweetV2];

    #[test]
    fn each_piece_knows_what_it_was_made_of() {
        let text = " so&amp;so  @Ann_1 \u{1F602}\u{1F602} \u{1} ok ";
        let Pieces { text: normal, pieces } = Pieces::of(text, Normalization::TweetV2);
        assert_eq!(normal, "so&so @user face with tears of joy face with tears of joy ok");
        let found: Vec<(&str, &str, bool)> =
            pieces.iter().map(|piece| (&normal[piece.normal.clone()], &text[piece.original.clone()], piece.same)).collect();
        let face = "face with tears of joy face with tears of joy";
        assert_eq!(
            found,
            [("so&so", "so&amp;so", false), ("@user", "@Ann_1", false), (face, "\u{1F602}\u{1F602}", false), ("ok", "ok", true)]
        );
        assert_eq!(pieces[1].behind(7..9), pieces[1].original);
        assert_eq!(&text[pieces[3].behind(pieces[3].normal.start + 1..pieces[3].normal.end + 9)], "k");
    }

    proptest! {
        #[test]
        fn run_by_run_is_the_whole_text_normalised(text in arbitrary()) {
            for rule in RULES {
                let found = Pieces::of(&text, rule);
                let whole = rule.apply(text.trim());
                prop_assert_eq!(&found.text, whole.trim());
                for piece in &found.pieces {
                    let (normal, original) = (&found.text[piece.normal.clone()], &text[piece.original.clone()]);
                    prop_assert_eq!(normal == original, piece.same);
                    prop_assert!(!original.chars().any(char::is_whitespace));
                }
                prop_assert!(found.pieces.windows(2).all(|pair| pair[0].original.end < pair[1].original.start));
            }
        }
    }

    /// Any characters, and the pieces whose meetings could go wrong across white space.
    fn arbitrary() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            2 => any::<char>().prop_map(String::from),
            6 => prop::sample::select(vec![
                " ", " ", "\n", "\u{a0}", "\u{3000}", "&", "amp", ";", "&amp;", "&#", "32", ";", "&nbsp;", "\\", "n", "\\n", "@", "user", "http://", "a",
                ".", "\u{301}", "\u{338}", "\u{37e}", "\u{1}", "&#x301;", "\u{1F602}", "\u{fe0f}", "\u{200d}", "\u{1F3FD}", "\u{20e3}", "1",
            ]).prop_map(String::from),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }
}
