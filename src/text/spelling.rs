//! A set of labels as a language model writes it: a JSON list of names in the order of the label set,
//! `[]` for none, and the token that ends the answer.
//!
//! A list is tokenised piece by piece: `["`, a name, `", "`, a name, `"]`. So what a model is trained to
//! write, what it is allowed to write ([`LabelTrie`]) and what it is scored for are the same tokens, for
//! every set. With byte-level vocabularies they are also the tokens of the list as a whole.

use super::answers::{Fault, ReadAnswer};
use super::trie::{LabelTrie, Pieces};
use super::{Encoding, TextEncoder, TextError};
use crate::spec::LabelSet;

/// Writes and reads the labels of one label set in one tokenizer's tokens, behind one prompt.
#[derive(Debug, Clone)]
pub struct LabelSpelling {
    encoder: TextEncoder,
    labels: LabelSet,
    empty: Vec<u32>,
    open: Vec<u32>,
    names: Vec<Vec<u32>>,
    between: Vec<u32>,
    close: Vec<u32>,
    end: u32,
    trie: LabelTrie,
}

/// A prompt and its answer, as a model learns them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The prompt's tokens, then the answer's but the last, which nothing follows.
    pub ids: Vec<u32>,
    /// The answer's tokens, its end included.
    pub answer: Vec<u32>,
}

impl Completion {
    /// The first of the tokens that are asked about: behind token `first() + i` comes `answer[i]`.
    #[must_use]
    pub fn first(&self) -> usize {
        self.ids.len() - self.answer.len()
    }
}

impl LabelSpelling {
    /// Spells `labels` in the tokens of an encoder that was opened with a prompt.
    ///
    /// # Errors
    /// [`TextError::Prompt`] without a prompt, [`TextError::Spelling`] when the tokenizer cannot write
    /// the labels so that they are read again, or two lists have the same tokens.
    pub fn new(encoder: &TextEncoder, labels: &LabelSet) -> Result<Self, TextError> {
        let no_prompt = || TextError::Prompt { reason: "expected an encoder with a prompt, found one without".to_owned() };
        let answer = encoder.answer().ok_or_else(no_prompt)?;
        let piece = |text: &str| encoder.piece(text);
        let begun = |text: &str| encoder.piece(&[answer.lead, text].concat());
        let spelled = labels.names().iter().map(|name| piece(inner(&quoted(name)))).collect::<Result<Vec<_>, _>>()?;
        let (empty, open, between, close) = (begun("[]")?, begun("[\"")?, piece("\", \"")?, piece("\"]")?);
        let pieces = Pieces {
            names: labels.names(),
            empty: &empty,
            open: &open,
            labels: &spelled,
            between: &between,
            close: &close,
            end: answer.end,
        };
        let trie = LabelTrie::new(pieces)?;
        let labels = labels.clone();
        let spelling = Self { encoder: encoder.clone(), labels, trie, empty, open, names: spelled, between, close, end: answer.end };
        spelling.check()?;
        Ok(spelling)
    }

    /// What an answer may look like, token by token.
    #[must_use]
    pub fn trie(&self) -> &LabelTrie {
        &self.trie
    }

    /// The labels.
    #[must_use]
    pub fn labels(&self) -> &LabelSet {
        &self.labels
    }

    /// The token that ends an answer.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.end
    }

    /// The tokens of the set that holds the labels where `held` is true, the end token included.
    ///
    /// # Panics
    /// When there is not one entry a label.
    #[must_use]
    pub fn target(&self, held: &[bool]) -> Vec<u32> {
        assert_eq!(held.len(), self.labels.len(), "one entry a label; anything else, this is a bug");
        let names: Vec<&[u32]> = self.names.iter().zip(held).filter(|(_, held)| **held).map(|(name, _)| name.as_slice()).collect();
        let list =
            if names.is_empty() { self.empty.clone() } else { [&self.open, &names.join(&self.between[..])[..], &self.close].concat() };
        [&list[..], &[self.end]].concat()
    }

    /// Tokens of the longest answer there is, its end included: no answer in the language of labels
    /// is cut by this limit.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.target(&vec![true; self.labels.len()]).len()
    }

    /// What a model learns from a text that was encoded with the prompt and the labels it holds.
    ///
    /// # Panics
    /// As [`LabelSpelling::target`].
    #[must_use]
    pub fn completion(&self, prompt: &Encoding, held: &[bool]) -> Completion {
        let answer = self.target(held);
        Completion { ids: [prompt.ids(), &answer[..answer.len() - 1]].concat(), answer }
    }

    /// Reads what a model wrote, strictly: a JSON list of texts, each the name of a label, closed by the end
    /// token. Order and repetition are no fault. What cannot be read holds no label.
    ///
    /// # Errors
    /// [`TextError::Tokenizer`] when the tokens cannot be written as text.
    pub fn read(&self, tokens: &[u32]) -> Result<ReadAnswer, TextError> {
        let mut held = vec![false; self.labels.len()];
        let Some(end) = tokens.iter().position(|token| *token == self.end) else {
            return Ok(ReadAnswer { held, fault: Some(Fault::Truncated) });
        };
        let text = self.encoder.text(&tokens[..end])?;
        let Ok(names) = serde_json::from_str::<Vec<String>>(&text) else {
            return Ok(ReadAnswer { held, fault: Some(Fault::Unparsed) });
        };
        let mut fault = None;
        for name in names {
            match self.labels.index_of(&name) {
                Some(label) => held[label] = true,
                None => fault = Some(Fault::Unknown),
            }
        }
        Ok(ReadAnswer { held, fault })
    }

    /// Checks that no label, each label, and all of them are read as they were written.
    fn check(&self) -> Result<(), TextError> {
        let count = self.labels.len();
        let one = |label: usize| (0..count).map(|other| other == label).collect();
        let sets = (0..count).map(one).chain([vec![false; count], vec![true; count]]);
        for held in sets {
            let read = self.read(&self.target(&held))?;
            if read != (ReadAnswer { held: held.clone(), fault: None }) {
                let names: Vec<&String> =
                    self.labels.names().iter().zip(held).filter(|(_, held)| *held).map(|(name, _)| name).take(3).collect();
                return Err(TextError::Spelling {
                    reason: format!("the list of {names:?} is not read as it is written: {:?}", read.fault),
                });
            }
        }
        Ok(())
    }
}

/// The labels as one list.
pub(super) fn list(names: &[String]) -> String {
    format!("[{}]", names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", "))
}

fn quoted(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}

fn inner(quoted: &str) -> &str {
    &quoted[1..quoted.len() - 1]
}
