//! Texts as most routes take them: one string, or a list of strings that is always a batch.

use super::check::Faults;
use super::json::Node;
use crate::serve::error::Violation;

/// The texts of a request, and where each stands in its body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Inputs {
    pub(crate) texts: Vec<String>,
    /// Of the member that held them.
    pub(crate) pointer: &'static str,
    /// Whether it was one string, which its errors' pointers need to know.
    single: bool,
}

impl Inputs {
    /// Reads the member at `pointer` (`/input`); what is no text is noted.
    pub(crate) fn parse(node: Option<Node>, pointer: &'static str, faults: &mut Faults) -> Self {
        let name = &pointer[1..];
        let (mut texts, mut single) = (Vec::new(), true);
        match node {
            None => faults.note(Violation::at(pointer, format!("{name} is missing: expected a string or a list of strings"))),
            Some(Node::String(text)) => texts.push(text),
            Some(Node::Array(list)) if list.is_empty() => {
                faults.note(Violation::at(pointer, format!("{name} is an empty list: expected at least one text")));
            }
            Some(Node::Array(list)) => (texts, single) = (strings(list, pointer, faults), false),
            Some(other) => faults.mistyped(pointer, "a string or a list of strings", &other),
        }
        Self { texts, pointer, single }
    }

    /// Where text `at` stands.
    pub(crate) fn place(&self, at: usize) -> String {
        if self.single { self.pointer.to_owned() } else { format!("{}/{at}", self.pointer) }
    }
}

/// The strings of a list; anything else in it is a fault.
pub(super) fn strings(list: Vec<Node>, pointer: &str, faults: &mut Faults) -> Vec<String> {
    let mut texts = Vec::with_capacity(list.len());
    for (at, node) in list.into_iter().enumerate() {
        if faults.is_full() {
            break;
        }
        match node {
            Node::String(text) => texts.push(text),
            other => faults.mistyped(&format!("{pointer}/{at}"), "a string", &other),
        }
    }
    texts
}
