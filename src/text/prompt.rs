//! What stands around a text when a language model is asked for its labels.
//!
//! A [`Prompt`] is two strings, the one before the text and the one after it, and the token that ends
//! the answer. It is made once, from a plain template or through a checkpoint's chat template, and is
//! then the same object in training and in inference: nothing is rendered while texts are read, so
//! nothing can drift. [`TextEncoder::with_prompt`](super::TextEncoder::with_prompt) puts it around texts.
//!
//! A template must give the text back as it got it: one that changes it or writes it twice is refused.

use serde_json::{Map, Value};

use super::TextError;
use super::chat::{ChatTemplate, Surroundings, Turn};
use super::date::Date;
use super::spelling::list;
use crate::spec::LabelSet;

/// Where a template wants the text.
const TEXT: &str = "{text}";
/// Where a template wants the labels, written as the answer writes them.
const LABELS: &str = "{labels}";
/// Stands for the text while a template is rendered, and for the answer: nobody writes these.
const STAND_INS: [&str; 2] = ["\u{f3a1}\u{f3a2}", "\u{f3a3}\u{f3a4}"];

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What stands before the text, control tokens by their names.
    pub before: String,
    /// What stands between the text and the answer.
    pub after: String,
    /// The control token that ends the answer.
    pub end: String,
    /// Control tokens that the prompt counts on beside `end`, such as those that mark roles: the
    /// tokenizer must have each of them.
    pub markers: Vec<String>,
}

/// A conversation that asks for a text's labels.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatTurns {
    /// What the system says first, if anything. May hold `{labels}`.
    pub system: Option<String>,
    /// What the user says. Holds `{text}` once, and may hold `{labels}`.
    pub user: String,
    /// The day that a template may write, `YYYY-MM-DD`.
    pub date: Option<String>,
    /// Variables of the template's own.
    pub variables: Map<String, Value>,
}

impl Prompt {
    /// A prompt from a plain template, which holds `{text}` once and may hold `{labels}`.
    ///
    /// # Errors
    /// [`TextError::Prompt`] when `{text}` does not stand in it exactly once, or `end` is empty.
    pub fn plain(template: &str, labels: &LabelSet, end: &str) -> Result<Self, TextError> {
        Self::around(&filled(template, labels), TEXT, end.to_owned())
    }

    /// A prompt through a chat template. The answer ends with `end`, or with the checkpoint's own
    /// `eos_token`.
    ///
    /// # Errors
    /// [`TextError::ChatTemplate`] when the template refuses the conversation, [`TextError::Prompt`]
    /// when it changes the text, or closes an answer with anything but `end`.
    pub fn chat(template: &ChatTemplate, turns: &ChatTurns, labels: &LabelSet, end: Option<&str>) -> Result<Self, TextError> {
        let end = end.or(template.eos_token()).ok_or_else(|| wrong("tokenizer_config.json names no eos_token: expected an end token"))?;
        let [text, answer] = STAND_INS;
        once(&turns.user, TEXT)?;
        let system = turns.system.as_deref().map(|system| filled(system, labels));
        let user = filled(&turns.user, labels).replacen(TEXT, text, 1);
        let mut said: Vec<Turn<'_>> = system.iter().map(|content| Turn { role: "system", content }).collect();
        said.push(Turn { role: "user", content: &user });
        let date = turns.date.as_deref().map(Date::parse).transpose()?;
        let around = Surroundings { date, variables: &turns.variables };
        let prompt = Self::around(&template.render(&said, true, around)?, text, end.to_owned())?;
        said.push(Turn { role: "assistant", content: answer });
        let answered = template.render(&said, false, around)?;
        match answered.split_once(answer) {
            Some((_, closing)) if closing.starts_with(end) => Ok(prompt),
            found => {
                let found = found.map_or("no answer at all", |(_, closing)| closing);
                Err(wrong(format!("the chat template closes an answer with {found:?}: expected its end token {end:?}")))
            }
        }
    }

    /// The same prompt, counting on these control tokens too.
    #[must_use]
    pub fn with_markers(self, markers: Vec<String>) -> Self {
        Self { markers, ..self }
    }

    fn around(whole: &str, text: &str, end: String) -> Result<Self, TextError> {
        let (before, after) = once(whole, text)?;
        if end.is_empty() {
            return Err(wrong("the end token is empty"));
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned(), end, markers: Vec::new() })
    }
}

/// What stands before and after `what`, which must stand in `whole` exactly once.
fn once<'a>(whole: &'a str, what: &str) -> Result<(&'a str, &'a str), TextError> {
    match whole.split_once(what) {
        Some((before, after)) if !after.contains(what) => Ok((before, after)),
        _ => Err(wrong(format!("the text stands {} times in it: expected once, as {TEXT}", whole.matches(what).count()))),
    }
}

fn filled(template: &str, labels: &LabelSet) -> String {
    template.replace(LABELS, &list(labels.names()))
}

fn wrong(reason: impl Into<String>) -> TextError {
    TextError::Prompt { reason: reason.into() }
}
