//! What a model, a version and a bundle's folder may be called, and how a request names one.
//!
//! Names come from bundles and from clients. One alphabet for all of them keeps a name the same in a
//! path, a header, a metric and a folder, and leaves nothing in it that could mean another place:
//! no separator, no dot in front, no control character. Refuses to repair what does not fit.

/// Longest name or version, in bytes.
const MAX_BYTES: usize = 128;

/// Whether `word` is 1 to 128 of `[A-Za-z0-9._-]` and does not begin with a dot.
pub(crate) fn is_plain(word: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_BYTES).contains(&word.len()) && word.bytes().all(good) && !word.starts_with('.')
}

/// `name` or `name@version`, as a request writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ModelId<'a> {
    pub(crate) name: &'a str,
    /// The current one when absent.
    pub(crate) version: Option<&'a str>,
}

impl<'a> ModelId<'a> {
    /// Nothing for what no model can be called.
    pub(crate) fn parse(written: &'a str) -> Option<Self> {
        let (name, version) = match written.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (written, None),
        };
        (is_plain(name) && version.is_none_or(is_plain)).then_some(Self { name, version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_may_follow_a_name() {
        assert_eq!(ModelId::parse("a-b.c_1"), Some(ModelId { name: "a-b.c_1", version: None }));
        assert_eq!(ModelId::parse("a@0.1.0"), Some(ModelId { name: "a", version: Some("0.1.0") }));
    }

    #[test]
    fn nothing_names_another_place() {
        let long = "a".repeat(MAX_BYTES + 1);
        let bad =
            ["", ".", "..", "../x", "a/b", "a\\b", "/etc", "a\0", "a b", "é", "%2e%2e", "a@", "@1", "a@1@2", "a@../x", ".hidden", &long];
        for written in bad {
            assert_eq!(ModelId::parse(written), None, "{written:?}");
        }
        assert!(is_plain(&long[1..]));
    }
}
