//! Emoji as words: what a tokenizer without emoji in its vocabulary would otherwise throw away.
//!
//! Names are the short names of Unicode's CLDR, as the `emojis` crate holds them. Skin tones are
//! dropped. Letters that double as emoji (`ℹ`, `Ⓜ`) stay letters.

use emojis::{Emoji, SkinTone};

/// Characters in the longest sequence that is one emoji: a flag of seven, a family of ten.
const LONGEST: usize = 12;

/// Replaces every emoji by its name, with a space on either side. Time is linear in the text.
pub(super) fn name_emoji(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((length, emoji)) = leading(first, rest) {
            out.extend([" ", emoji.with_skin_tone(SkinTone::Default).unwrap_or(emoji).name(), " "]);
            rest = &rest[length..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// The longest emoji that `text` begins with, and its bytes.
fn leading(first: char, text: &str) -> Option<(usize, &'static Emoji)> {
    let keycap = matches!(first, '0'..='9' | '#' | '*') && text[1..].starts_with(['\u{fe0f}', '\u{20e3}']);
    if !keycap && (first.is_ascii() || first.is_alphanumeric()) {
        return None;
    }
    let ends: Vec<usize> = text.char_indices().map(|(start, character)| start + character.len_utf8()).take(LONGEST).collect();
    ends.into_iter().rev().find_map(|end| emojis::get(&text[..end]).map(|emoji| (end, emoji)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emoji_become_their_names() {
        let cases = [
            ("so happy\u{1F602}\u{1F602}!", "so happy face with tears of joy  face with tears of joy !"),
            ("\u{2764}\u{fe0f} or \u{2764}", " red heart  or  red heart "),
            ("\u{1F44D}\u{1F3FD}", " thumbs up "),
            ("\u{1F469}\u{200D}\u{1F469}\u{200D}\u{1F467}\u{200D}\u{1F466}x", " family: woman, woman, girl, boy x"),
            ("\u{1F1EB}\u{1F1F7}", " flag: France "),
            ("1\u{fe0f}\u{20e3} 1 #a *", " keycap: 1  1 #a *"),
            ("caf\u{e9} \u{2139} \u{4f60}\u{597d} \u{2026}", "caf\u{e9} \u{2139} \u{4f60}\u{597d} \u{2026}"),
        ];
        for (text, expected) in cases {
            assert_eq!(name_emoji(text), expected, "of {text:?}");
        }
    }

    /// A shipped normalisation never changes, so neither may the table behind it.
    #[test]
    fn the_names_are_those_that_shipped() {
        let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let (mut count, mut hash) = (0, 0xcbf2_9ce4_8422_2325);
        for emoji in emojis::iter() {
            hash = emoji.as_str().bytes().chain(emoji.name().bytes()).fold(hash, fnv);
            count += 1;
        }
        assert_eq!((count, hash), (1923, 5_053_956_598_276_069_148), "emoji in the table and the hash over it");
    }
}
