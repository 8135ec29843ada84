//! JSON into a tree, with a bound on its depth and with repeated members kept visible.
//!
//! `serde_json::Value` would silently keep the last of two members of one name and has a depth
//! limit that cannot be set; hence this small tree. A lone surrogate escape is refused by the
//! parser below it, because no text holds one.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::serve::error::ApiError;

/// Arrays and objects may nest this deep; the outermost counts as one.
pub(crate) const MAX_DEPTH: usize = 32;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    Array(Vec<Node>),
    /// In the order written; a name may stand twice.
    Object(Vec<(String, Node)>),
}

impl Node {
    /// Reads one JSON document, a byte order mark before it allowed.
    ///
    /// # Errors
    /// [`ApiError::Malformed`] with the position, never with content.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        let mut reader = serde_json::Deserializer::from_slice(body);
        let node = Depth(MAX_DEPTH).deserialize(&mut reader);
        let node = node.and_then(|node| reader.end().map(|()| node));
        node.map_err(|error| ApiError::Malformed(error.to_string()))
    }

    /// A member that is a string, the first of its name; for what has to be known before the rest is
    /// checked.
    pub(crate) fn member(&self, name: &str) -> Option<&str> {
        let Self::Object(members) = self else { return None };
        match members.iter().find(|(member, _)| member == name) {
            Some((_, Self::String(value))) => Some(value),
            _ => None,
        }
    }

    /// What kind of value this is, with its article.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// How many levels are left.
#[derive(Clone, Copy)]
struct Depth(usize);

impl Depth {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")))
    }
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Node, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value as f64))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Node, E> {
        Ok(Node::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let inner = self.deeper()?;
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element_seed(inner)? {
            nodes.push(node);
        }
        Ok(Node::Array(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Node, A::Error> {
        let inner = self.deeper()?;
        let mut members = Vec::new();
        while let Some(name) = object.next_key::<String>()? {
            members.push((name, object.next_value_seed(inner)?));
        }
        Ok(Node::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, refused_for: Option<&str>) {
        match (Node::parse(body.as_bytes()), refused_for) {
            (Ok(_), None) => {}
            (Err(ApiError::Malformed(reason)), Some(part)) => assert!(reason.contains(part), "{reason:?} does not say {part:?}"),
            (outcome, expected) => panic!("{outcome:?} where {expected:?} was expected"),
        }
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        check(&nested(31), None);
        check(&nested(32), None);
        check(&nested(33), Some("nested deeper than 32"));
        check(&nested(120), Some("nested deeper than 32"));
        check(&"[".repeat(250_000), Some("nested deeper than 32"));
        check(&"{\"a\":".repeat(250_000), Some("nested deeper than 32"));
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_position() {
        check("", Some("line 1 column 0"));
        check("{\"a\":1", Some("EOF"));
        check("{\"a\":1} x", Some("trailing characters"));
        check("[1,]", Some("trailing comma"));
        check("NaN", Some("expected value"));
        check("1e999", Some("out of range"));
        check(r#""\ud800""#, Some("column"));
        check(r#""\ud800\u0041""#, Some("column"));
        check(r#""\ud83d\ude00""#, None);
        check("\u{feff}1", None);
    }

    #[test]
    fn a_repeated_member_stays_visible() {
        let Ok(Node::Object(members)) = Node::parse(br#"{"a":1,"a":2}"#) else { panic!("an object was expected") };
        assert_eq!(members, [("a".to_owned(), Node::Number(1.0)), ("a".to_owned(), Node::Number(2.0))]);
    }
}
