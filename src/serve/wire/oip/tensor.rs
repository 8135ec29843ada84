//! BYTES: strings in JSON, or each behind its length in four little-endian bytes.

use crate::serve::error::Violation;
use crate::serve::wire::check::Faults;
use crate::serve::wire::json::Node;

/// Strings in one row of bytes.
pub(super) fn packed<S: AsRef<str>>(strings: &[S]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(strings.iter().map(|string| 4 + string.as_ref().len()).sum());
    for string in strings {
        let string = string.as_ref().as_bytes();
        // Labels and scores: far below four gibibytes.
        bytes.extend_from_slice(&u32::try_from(string.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(string);
    }
    bytes
}

/// The strings of a row of bytes; what does not add up or is no UTF-8 is noted.
pub(super) fn unpacked(mut bytes: &[u8], pointer: &str, faults: &mut Faults) -> Vec<String> {
    let mut strings = Vec::new();
    while !bytes.is_empty() && !faults.is_full() {
        let at = strings.len();
        let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
            faults.note(Violation::at(pointer, format!("element {at}: expected four bytes of length, found {}", bytes.len())));
            break;
        };
        let Some((string, rest)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize) else {
            let detail = format!("element {at}: expected {} bytes, found {}", u32::from_le_bytes(*length), rest.len());
            faults.note(Violation::at(pointer, detail));
            break;
        };
        match String::from_utf8(string.to_vec()) {
            Ok(string) => strings.push(string),
            Err(_) => {
                faults.note(Violation::at(pointer, format!("element {at}: expected UTF-8")));
                break;
            }
        }
        bytes = rest;
    }
    strings
}

/// The strings of a JSON list, of `[n]` or `[n, 1]`: each by itself, or alone in a list.
pub(super) fn flat(list: Vec<Node>, pointer: &str, faults: &mut Faults) -> Vec<String> {
    let mut strings = Vec::with_capacity(list.len());
    for (at, node) in list.into_iter().enumerate() {
        if faults.is_full() {
            break;
        }
        match alone(node) {
            Ok(string) => strings.push(string),
            Err(other) => faults.mistyped(&format!("{pointer}/{at}"), "a string, or a list of one", &other),
        }
    }
    strings
}

fn alone(node: Node) -> Result<String, Node> {
    match node {
        Node::String(string) => Ok(string),
        Node::Array(mut inner) if inner.len() == 1 => match inner.remove(0) {
            Node::String(string) => Ok(string),
            other => Err(other),
        },
        other => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<String>, String> {
        let mut faults = Faults::default();
        let strings = unpacked(bytes, "/inputs/0", &mut faults);
        faults.finish().map(|()| strings).map_err(|error| error.to_string())
    }

    #[test]
    fn what_does_not_add_up_is_refused() {
        for (bytes, told) in [
            (&b"\x01\0\0"[..], "element 0: expected four bytes of length, found 3"),
            (b"\x02\0\0\0a", "element 0: expected 2 bytes, found 1"),
            (b"\xff\xff\xff\xffa", "element 0: expected 4294967295 bytes, found 1"),
            (b"\x01\0\0\0a\x01\0\0\0\xff", "element 1: expected UTF-8"),
        ] {
            assert_eq!(read(bytes), Err(told.to_owned()));
        }
        assert_eq!(read(b"\0\0\0\0\x01\0\0\0a"), Ok(vec![String::new(), "a".to_owned()]));
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_back(strings in prop::collection::vec(any::<String>(), 0..8)) {
            prop_assert_eq!(read(&packed(&strings)), Ok(strings));
        }

        #[test]
        fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&bytes);
        }
    }
}
