//! Reads Rust source as far as the rules need: code without comments and literals, and the paths
//! that it names. No parser: what is looked for is plain enough for a scanner, and a scanner
//! breaks on no syntax that the compiler accepts.

/// `source` with comments, strings and character literals blanked; lines keep their numbers.
pub fn code(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' if !follows_word(bytes, at) => raw_string_end(bytes, at).unwrap_or(at),
            b'\'' => char_end(bytes, at).unwrap_or(at),
            _ => at,
        };
        if end == at {
            out.push(bytes[at]);
            at += 1;
        } else {
            out.extend(bytes[at..end].iter().map(|&byte| if byte == b'\n' { b'\n' } else { b' ' }));
            at = end;
        }
    }
    String::from_utf8(out).expect("blanking whole literals and comments keeps UTF-8: this is a bug")
}

fn follows_word(bytes: &[u8], at: usize) -> bool {
    // `br"..."` is a raw string too, so a lone b before the r does not count as a word.
    let word = |index: usize| bytes[index].is_ascii_alphanumeric() || bytes[index] == b'_';
    at > 0 && word(at - 1) && !(bytes[at - 1] == b'b' && (at == 1 || !word(at - 2)))
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |length| at + length)
}

fn comment_end(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut index) = (0_usize, at);
    while index < bytes.len() {
        if bytes[index..].starts_with(b"/*") {
            (depth, index) = (depth + 1, index + 2);
        } else if bytes[index..].starts_with(b"*/") {
            (depth, index) = (depth - 1, index + 2);
            if depth == 0 {
                return index;
            }
        } else {
            index += 1;
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut index = at + 1;
    while index < bytes.len() {
        match bytes[index] {
            b'\\' => index += 2,
            b'"' => return index + 1,
            _ => index += 1,
        }
    }
    bytes.len()
}

fn raw_string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|&&byte| byte == b'#').count();
    let open = at + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let length = bytes[open + 1..].windows(close.len()).position(|window| window == close)?;
    Some(open + 1 + length + close.len())
}

/// The end of a character literal; nothing for a lifetime.
fn char_end(bytes: &[u8], at: usize) -> Option<usize> {
    let next = *bytes.get(at + 1)?;
    if next == b'\\' {
        let length = bytes[at + 3..].iter().take(12).position(|&byte| byte == b'\'')?;
        return Some(at + 3 + length + 1);
    }
    let width = match next {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    };
    (bytes.get(at + 1 + width) == Some(&b'\'')).then_some(at + 2 + width)
}

/// A place in a file where something was named.
#[derive(Debug, PartialEq, Eq)]
pub struct Hit {
    /// Line, from 1.
    pub line: usize,
    /// What was named.
    pub name: String,
}

/// Every occurrence of `word` in `code` that is not part of a longer word, as byte offsets.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let bytes = code.as_bytes();
        let (first, last) = (word.as_bytes()[0], word.as_bytes()[word.len() - 1]);
        let before = at == 0 || !is_word(first) || !is_word(bytes[at - 1]);
        let after = !is_word(last) || bytes.get(at + word.len()).is_none_or(|&byte| !is_word(byte));
        before && after
    })
}

/// The line of a byte offset, from 1.
pub fn line_of(code: &str, at: usize) -> usize {
    code.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count() + 1
}

/// The first segments that follow `root::` anywhere in `code`, groups included: for the root
/// `crate`, `use crate::{spec::Task, text};` and `crate::nn::Ops` name spec, text and nn.
pub fn heads(code: &str, root: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    for at in words(code, root) {
        let rest = &code[at + root.len()..];
        let Some(tail) = rest.trim_start().strip_prefix("::") else { continue };
        let line = line_of(code, at);
        let tail = tail.trim_start();
        if let Some(group) = tail.strip_prefix('{') {
            hits.extend(group_heads(group).into_iter().map(|name| Hit { line, name }));
        } else {
            hits.push(Hit { line, name: ident(tail).to_owned() });
        }
    }
    hits
}

fn ident(text: &str) -> &str {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    &text[..end]
}

fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut expects) = (0_usize, Vec::new(), true);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expects = true,
            _ if expects && !letter.is_whitespace() => {
                names.push(ident(&group[at..]).to_owned());
                expects = false;
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}
