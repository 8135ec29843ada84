//! The tokenizer behind one type: normalise, tokenise, cut.
//!
//! The tokenizer's own cutting and padding are switched off. The template (`[CLS] text [SEP]`) is
//! learned once, when the tokenizer is opened, by looking at what it puts around a probe; after that
//! a text is its own tokens, cut to what fits, between the template's. A text is only text: the
//! characters `[SEP]` typed by somebody are four ordinary pieces, never the control token. Where a
//! language model is asked, a [`super::Prompt`] stands in the template's place.

use std::borrow::Cow;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::Value;
use tokenizers::Tokenizer;

use super::files::bert_tokenizer_json;
use super::{Normalization, Prompt, TextError, prompted};

/// Characters tokenised for each token allowed, about three times what the wordiest text needs:
/// the rest could not fit, and tokenising it would let one text cost seconds.
const CHARACTERS_PER_TOKEN: usize = 16;
/// Characters normalised for each token allowed: masking shortens.
const RAW_CHARACTERS_PER_TOKEN: usize = 64;
/// Bytes tokenised at a time where each token's place is wanted.
const LONGEST_STRETCH: usize = 4096;
/// Texts a thread takes at a time, so that short lists stay on the caller's thread.
const TEXTS_PER_TASK: usize = 64;
/// What vocabularies call the token that stands for a hidden one.
const MASKS: [&str; 2] = ["[MASK]", "<mask>"];
/// Texts that show the template, the first that the vocabulary can write.
const PROBES: [&str; 4] = ["a", ".", "0", "the"];

/// One text as token ids, special tokens included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    ids: Vec<u32>,
    truncated: bool,
}

impl Encoding {
    /// Takes the ids of one text and whether some were cut off.
    ///
    /// # Errors
    /// [`TextError::EmptyEncoding`] without an id.
    pub fn new(ids: Vec<u32>, truncated: bool) -> Result<Self, TextError> {
        if ids.is_empty() {
            return Err(TextError::EmptyEncoding);
        }
        Ok(Self { ids, truncated })
    }

    /// The ids, at least one.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Whether part of the text was cut off to fit the maximum length.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.truncated
    }
}

/// Text to [`Encoding`], the same way in training and in serving. Cheap to clone, safe to share.
#[derive(Debug, Clone)]
pub struct TextEncoder {
    tokenizer: Arc<Tokenizer>,
    template: Template,
    normalization: Normalization,
    max_length: usize,
    answer: Option<Answer>,
}

/// A text's own tokens, nothing cut and nothing around them, and the bytes of it behind each.
pub(super) struct Tokens {
    pub(super) ids: Vec<u32>,
    pub(super) offsets: Vec<Range<usize>>,
}

/// The special tokens around a text, or the prompt's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) before: Vec<u32>,
    pub(super) after: Vec<u32>,
    /// White space that is tokenised with the text's first word.
    pub(super) lead: &'static str,
}

/// How what a model answers begins and ends, where it is asked by a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// White space that is tokenised with the answer's beginning.
    pub(super) lead: &'static str,
    /// The token that ends it.
    pub(super) end: u32,
}

impl TextEncoder {
    /// Opens the bytes of a Hugging Face `tokenizer.json`. `max_length` counts tokens, special ones
    /// included.
    ///
    /// # Errors
    /// [`TextError::Tokenizer`] when the bytes are no tokenizer, or one that cannot encode a text;
    /// [`TextError::MaxLength`] when not even one token would fit beside the special ones.
    pub fn from_json(tokenizer_json: &[u8], normalization: Normalization, max_length: usize) -> Result<Self, TextError> {
        let (tokenizer, template) = opened(tokenizer_json)?;
        let least = template.before.len() + template.after.len() + 1;
        if max_length < least {
            return Err(TextError::MaxLength { least, found: max_length });
        }
        Ok(Self { tokenizer: Arc::new(tokenizer), template, normalization, max_length, answer: None })
    }

    /// Opens the bytes of a Hugging Face `tokenizer.json` so that a prompt stands around every text.
    /// `max_length` counts the tokens of prompt and text, and none of the answer's: only the text is
    /// cut.
    ///
    /// The prompt's parts, the text and the answer are tokenised one by one, so that their borders are
    /// those of tokens: control tokens are read in the prompt alone, whatever a text says. A space at
    /// the end of a part is tokenised with what follows it. Where the tokenizer's own template or the
    /// prompt begins with a token that marks the beginning, it stands there once.
    ///
    /// # Errors
    /// As [`TextEncoder::from_json`]; [`TextError::ControlToken`] when the tokenizer lacks a token
    /// that the prompt counts on, [`TextError::PromptLength`] when no token of text fits beside it.
    pub fn with_prompt(tokenizer_json: &[u8], normalization: Normalization, max_length: usize, prompt: &Prompt) -> Result<Self, TextError> {
        let (tokenizer, template, answer) = prompted::open(tokenizer_json, prompt)?;
        let around = template.before.len() + template.after.len();
        if max_length <= around {
            return Err(TextError::PromptLength { prompt: around, max_length });
        }
        Ok(Self { tokenizer: Arc::new(tokenizer), template, normalization, max_length, answer: Some(answer) })
    }

    /// Opens the text of a BERT `vocab.txt` as an uncased `WordPiece` tokenizer.
    ///
    /// # Errors
    /// As [`bert_tokenizer_json`] and [`TextEncoder::from_json`].
    pub fn from_vocab(vocab_txt: &str, normalization: Normalization, max_length: usize) -> Result<Self, TextError> {
        Self::from_json(&bert_tokenizer_json(vocab_txt)?, normalization, max_length)
    }

    /// One text: normalised, cut to a bounded number of characters, tokenised, and cut so that the
    /// template's special tokens stay and the whole has at most [`max_length`](Self::max_length)
    /// tokens. An empty text is the special tokens alone.
    ///
    /// # Errors
    /// [`TextError::Encode`] when the tokenizer fails, [`TextError::EmptyEncoding`] when there are
    /// neither tokens nor special tokens.
    pub fn encode(&self, text: &str) -> Result<Encoding, TextError> {
        let (raw, raw_cut) = cap(text.trim(), self.max_length.saturating_mul(RAW_CHARACTERS_PER_TOKEN));
        let normal: Cow<'_, str> = self.normalization.apply(raw);
        let (short, cut) = cap(normal.trim_end(), self.max_length.saturating_mul(CHARACTERS_PER_TOKEN));
        let led = self.led(short);
        let body = self.tokenizer.encode_fast(&*led, false).map_err(|reason| failed(short, &reason))?;
        let body = body.get_ids();
        let kept = &body[..body.len().min(self.room())];
        self.between_template(kept, raw_cut || cut || body.len() > kept.len())
    }

    /// Every text in order, on the current rayon pool when there are many.
    ///
    /// # Errors
    /// As [`TextEncoder::encode`], for one of the texts that failed.
    pub fn encode_all<S: AsRef<str> + Sync>(&self, texts: &[S]) -> Result<Vec<Encoding>, TextError> {
        texts.par_iter().with_min_len(TEXTS_PER_TASK).map(|text| self.encode(text.as_ref())).collect()
    }

    /// The tokens of a text that was normalised already, all of them; nothing when there are more
    /// than `most`.
    pub(super) fn tokens(&self, normal: &str, most: usize) -> Result<Option<Tokens>, TextError> {
        let mut tokens = Tokens { ids: Vec::new(), offsets: Vec::new() };
        for Range { start, end } in stretches(normal) {
            let stretch = &normal[start..end];
            let led = if start == 0 { self.led(stretch) } else { Cow::Borrowed(stretch) };
            let body = self.tokenizer.encode(&*led, false).map_err(|reason| failed(stretch, &reason))?;
            tokens.ids.extend_from_slice(body.get_ids());
            let place = |at: usize| start + at.saturating_sub(led.len() - stretch.len());
            tokens.offsets.extend(body.get_offsets().iter().map(|&(first, last)| place(first)..place(last)));
            if tokens.ids.len() > most {
                return Ok(None);
            }
        }
        Ok(Some(tokens))
    }

    /// The text behind the white space that belongs to its first word.
    fn led<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if text.is_empty() || self.template.lead.is_empty() { Cow::Borrowed(text) } else { Cow::Owned([self.template.lead, text].concat()) }
    }

    /// The tokens of a piece of an answer, control tokens taken for mere text.
    pub(super) fn piece(&self, text: &str) -> Result<Vec<u32>, TextError> {
        let encoding = self.tokenizer.encode_fast(text, false).map_err(|reason| failed(text, &reason))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of tokens of an answer.
    pub(super) fn text(&self, ids: &[u32]) -> Result<String, TextError> {
        self.tokenizer.decode(ids, false).map_err(|reason| unusable(format!("it cannot write {} tokens as text: {reason}", ids.len())))
    }

    /// How an answer begins and ends, where a prompt asks for one.
    pub(super) fn answer(&self) -> Option<Answer> {
        self.answer
    }

    /// The prompt's own tokens before and after a text, or the template's.
    #[must_use]
    pub fn around(&self) -> (&[u32], &[u32]) {
        (&self.template.before, &self.template.after)
    }

    /// Tokens of a text's own that fit beside the template's, at least one.
    pub(super) fn room(&self) -> usize {
        self.max_length - self.template.before.len() - self.template.after.len()
    }

    pub(super) fn between_template(&self, body: &[u32], truncated: bool) -> Result<Encoding, TextError> {
        Encoding::new([&self.template.before, body, &self.template.after].concat(), truncated)
    }

    /// The most tokens of one text, special tokens included.
    #[must_use]
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// The token that stands for a hidden one, where the vocabulary has one.
    #[must_use]
    pub fn mask_token(&self) -> Option<u32> {
        MASKS.iter().find_map(|name| self.tokenizer.token_to_id(name))
    }

    /// Which of an encoding's tokens are the text's own, and not the template's.
    #[must_use]
    pub fn own_tokens(&self, encoding: &Encoding) -> Range<usize> {
        let end = encoding.ids().len().saturating_sub(self.template.after.len());
        self.template.before.len().min(end)..end
    }

    /// What is done to a text first.
    #[must_use]
    pub fn normalization(&self) -> Normalization {
        self.normalization
    }

    /// One more than the largest id that an encoding can hold: the network's word table must have
    /// at least as many rows.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        let pieces = self.tokenizer.get_vocab(true).into_values();
        let special = self.template.before.iter().chain(&self.template.after).copied();
        pieces.chain(special).max().map_or(0, |id| id as usize + 1)
    }
}

/// At most `most` characters from the start, and whether that left anything out.
fn cap(text: &str, most: usize) -> (&str, bool) {
    // A character takes a byte or more, so most texts need no counting.
    if text.len() <= most {
        return (text, false);
    }
    match text.char_indices().nth(most) {
        Some((end, _)) => (&text[..end], true),
        None => (text, false),
    }
}

/// A text in stretches of bounded length, because the library's time for offsets grows with the
/// square of the text's. Each begins with the white space before a word, which tokenizers keep with
/// it; only a word longer than a stretch is divided.
fn stretches(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    while text.len() - start > LONGEST_STRETCH {
        let limit = text.floor_char_boundary(start + LONGEST_STRETCH);
        let end = text[start..limit].rfind(char::is_whitespace).filter(|&at| at > 0).map_or(limit, |at| start + at);
        found.push(start..end);
        start = end;
    }
    found.push(start..text.len());
    found
}

fn failed(text: &str, reason: &tokenizers::Error) -> TextError {
    TextError::Encode { characters: text.chars().count(), reason: reason.to_string() }
}

pub(super) fn unusable(reason: impl ToString) -> TextError {
    TextError::Tokenizer { reason: reason.to_string() }
}

/// A tokenizer that neither cuts nor pads, and what it puts around a text.
pub(super) fn opened(json: &[u8]) -> Result<(Tokenizer, Template), TextError> {
    check_templates(json)?;
    // The library indexes and unwraps on its way through a definition it did not write itself;
    // a hostile file must still be an error.
    let opened = catch_unwind(AssertUnwindSafe(|| open(json)));
    opened.map_err(|_| unusable("the tokenizer library panicked on it"))?
}

fn open(json: &[u8]) -> Result<(Tokenizer, Template), TextError> {
    let mut tokenizer = Tokenizer::from_bytes(json).map_err(unusable)?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(unusable)?;
    tokenizer.set_encode_special_tokens(true);
    // Too long for WordPiece to take apart: shows a missing unknown token now, not in a request.
    tokenizer.encode_fast("a".repeat(1000), true).map_err(unusable)?;
    let template = probe(&tokenizer)?;
    Ok((tokenizer, template))
}

/// Finds what the tokenizer puts around a text.
fn probe(tokenizer: &Tokenizer) -> Result<Template, TextError> {
    for text in PROBES {
        let body = tokenizer.encode_fast(text, false).map_err(unusable)?;
        let whole = tokenizer.encode_fast(text, true).map_err(unusable)?;
        let (body, whole) = (body.get_ids(), whole.get_ids());
        if body.is_empty() {
            continue;
        }
        let start = whole.windows(body.len()).position(|window| window == body);
        let start = start.ok_or_else(|| unusable("its template leaves out the text"))?;
        return Ok(Template { before: whole[..start].to_vec(), after: whole[start + body.len()..].to_vec(), lead: "" });
    }
    Err(unusable(format!("it knows no token for any of {PROBES:?}")))
}

/// Refuses a template that names a special token it does not define: the library would index past it.
fn check_templates(json: &[u8]) -> Result<(), TextError> {
    let file: Value = serde_json::from_slice(json).map_err(unusable)?;
    let processor = &file["post_processor"];
    let nested = processor["processors"].as_array().into_iter().flatten();
    for processor in nested.chain([processor]) {
        let pieces = ["single", "pair"].into_iter().filter_map(|name| processor[name].as_array()).flatten();
        for name in pieces.filter_map(|piece| piece["SpecialToken"]["id"].as_str()) {
            if processor["special_tokens"].get(name).is_none() {
                return Err(unusable(format!("its template names {name:?}, which its special tokens do not define")));
            }
        }
    }
    Ok(())
}
