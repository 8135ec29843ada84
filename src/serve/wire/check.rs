//! Takes a JSON object apart member by member, collecting everything that is wrong with it.
//!
//! Each reader returns what it could and notes a [`Violation`] for the rest, so that a client sees
//! all its mistakes at once; [`Faults::finish`] turns any into the request's error.

use std::ops::RangeInclusive;

use super::json::Node;
use crate::serve::error::{ApiError, Violation};

/// More mistakes than this are not listed.
const MAX_FAULTS: usize = 16;
/// Longer names are cut in a pointer.
const MAX_NAME: usize = 128;

/// What is wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Violation>);

impl Faults {
    pub(crate) fn note(&mut self, violation: Violation) {
        if !self.is_full() {
            self.0.push(violation);
        }
    }

    /// Notes that `node` is not what was expected.
    pub(crate) fn mistyped(&mut self, pointer: &str, expected: &str, node: &Node) {
        self.note(Violation::at(pointer, format!("{}: expected {expected}, found {}", subject(pointer), node.kind())));
    }

    /// # Errors
    /// [`ApiError::Invalid`] when anything was noted.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        if self.0.is_empty() { Ok(()) } else { Err(ApiError::Invalid(self.0)) }
    }

    /// Whether nothing more would be noted. Loops over what a client wrote stop here, so that a
    /// mebibyte of mistakes costs no more than sixteen.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= MAX_FAULTS
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One step further down a pointer (RFC 6901).
pub(crate) fn step(pointer: &str, name: &str) -> String {
    let short: String = name.chars().take(MAX_NAME).collect();
    format!("{pointer}/{}", short.replace('~', "~0").replace('/', "~1"))
}

/// How a message names what a pointer points at: `input[3]`.
pub(crate) fn subject(pointer: &str) -> String {
    if pointer.is_empty() {
        return "the body".to_owned();
    }
    let mut name = String::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if !name.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            name = format!("{name}[{part}]");
        } else if name.is_empty() {
            name = part;
        } else {
            name = format!("{name}.{part}");
        }
    }
    name
}

/// The members of one object that have not been taken yet, and the names of those that were asked
/// for: what a checker asks for is what it knows.
pub(crate) struct Members {
    pointer: String,
    rest: Vec<(String, Node)>,
    known: Vec<&'static str>,
}

impl Members {
    /// Opens the object at `pointer`; anything else is a fault and gives no members.
    pub(crate) fn open(node: Node, pointer: &str, faults: &mut Faults) -> Self {
        let rest = match node {
            Node::Object(members) => members,
            other => {
                faults.mistyped(pointer, "an object", &other);
                Vec::new()
            }
        };
        Self { pointer: pointer.to_owned(), rest, known: Vec::new() }
    }

    /// Takes a member out; `null` counts as absent. A name that stands twice is a fault.
    pub(crate) fn take(&mut self, name: &'static str, faults: &mut Faults) -> Option<Node> {
        self.known.push(name);
        let at = self.rest.iter().position(|(member, _)| member == name)?;
        let (_, node) = self.rest.remove(at);
        if self.rest.iter().any(|(member, _)| member == name) {
            let pointer = self.pointer(name);
            faults.note(Violation::at(&pointer, format!("{} stands twice", subject(&pointer))));
            self.rest.retain(|(member, _)| member != name);
        }
        (node != Node::Null).then_some(node)
    }

    pub(crate) fn pointer(&self, name: &str) -> String {
        step(&self.pointer, name)
    }

    pub(crate) fn bool(&mut self, name: &'static str, default: bool, faults: &mut Faults) -> bool {
        match self.take(name, faults) {
            None => default,
            Some(Node::Bool(value)) => value,
            Some(other) => {
                faults.mistyped(&self.pointer(name), "a boolean", &other);
                default
            }
        }
    }

    pub(crate) fn number(&mut self, name: &'static str, faults: &mut Faults) -> Option<f64> {
        match self.take(name, faults)? {
            Node::Number(value) => Some(value),
            other => {
                faults.mistyped(&self.pointer(name), "a number", &other);
                None
            }
        }
    }

    pub(crate) fn string(&mut self, name: &'static str, faults: &mut Faults) -> Option<String> {
        match self.take(name, faults)? {
            Node::String(value) => Some(value),
            other => {
                faults.mistyped(&self.pointer(name), "a string", &other);
                None
            }
        }
    }

    /// A whole number from 1 to `most`.
    pub(crate) fn count(&mut self, name: &'static str, most: usize, faults: &mut Faults) -> Option<usize> {
        self.whole(name, 1..=most, faults)
    }

    /// A whole number of a range.
    pub(crate) fn whole(&mut self, name: &'static str, range: RangeInclusive<usize>, faults: &mut Faults) -> Option<usize> {
        let node = self.take(name, faults)?;
        let pointer = self.pointer(name);
        let (least, most) = (*range.start(), *range.end());
        match node {
            // Whole and within the range, so the cast is exact.
            Node::Number(value) if value.fract() == 0.0 && value >= least as f64 && value <= most as f64 => Some(value as usize),
            Node::Number(value) => {
                let detail = format!("{} is {value}: expected a whole number from {least} to {most}", subject(&pointer));
                faults.note(Violation::at(&pointer, detail));
                None
            }
            other => {
                faults.mistyped(&pointer, "a whole number", &other);
                None
            }
        }
    }

    /// Notes every member that nobody took.
    pub(crate) fn finish(self, faults: &mut Faults) {
        let known = self.known.join(", ");
        for (name, _) in &self.rest {
            if faults.is_full() {
                return;
            }
            let pointer = step(&self.pointer, name);
            faults.note(Violation::at(&pointer, format!("{} is unknown here; known are {known}", subject(&pointer))));
        }
    }
}

/// What one request may bring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextLimits {
    pub(crate) texts: usize,
    pub(crate) characters: usize,
    /// Of a text that is read through windows.
    pub(crate) windowed_characters: usize,
}

impl TextLimits {
    /// The same for texts that are read through windows.
    pub(crate) fn through_windows(self) -> Self {
        Self { characters: self.windowed_characters, ..self }
    }

    /// Checks how many texts there are and each one's size; `pointer` gives a text's place.
    ///
    /// # Errors
    /// [`ApiError::TooManyTexts`], [`ApiError::EmptyText`] or [`ApiError::TextTooLong`].
    pub(crate) fn check(self, list: &str, texts: &[String], pointer: impl Fn(usize) -> String) -> Result<(), ApiError> {
        if texts.len() > self.texts {
            let detail = format!("{} has {} texts; the limit is {}", subject(list), texts.len(), self.texts);
            return Err(ApiError::TooManyTexts(Violation::at(list, detail).over(self.texts, Some(texts.len()))));
        }
        let blank = |(at, _): (usize, &String)| {
            let pointer = pointer(at);
            let detail = format!("{} is empty: expected at least one character that is not white space", subject(&pointer));
            Violation::at(pointer, detail)
        };
        let empty: Vec<Violation> =
            texts.iter().enumerate().filter(|(_, text)| text.trim().is_empty()).map(blank).take(MAX_FAULTS).collect();
        if !empty.is_empty() {
            return Err(ApiError::EmptyText(empty));
        }
        let long = |(at, text): (usize, &String)| {
            // No text of fewer bytes has more characters.
            let characters = if text.len() > self.characters { text.chars().count() } else { 0 };
            let pointer = pointer(at);
            let detail = || format!("{} has {characters} characters; the limit is {}", subject(&pointer), self.characters);
            (characters > self.characters).then(|| Violation::at(&pointer, detail()).over(self.characters, Some(characters)))
        };
        let long: Vec<Violation> = texts.iter().enumerate().filter_map(long).take(MAX_FAULTS).collect();
        if long.is_empty() { Ok(()) } else { Err(ApiError::TextTooLong(long)) }
    }
}
