//! New keys, and the hash of one that somebody brings. Randomness is an argument.

use std::collections::BTreeSet;
use std::fmt;
use std::io;

use rustls::crypto::ring;

use super::key::{KeyError, KeyHash, check_name};
use crate::serve::secret::Secret;

/// How a key of ours begins, so that those who look for leaked keys recognise it.
const PREFIX: &str = "limbic_";
/// A key that was brought along has at least so many characters.
const LEAST_CHARACTERS: usize = 32;
/// And at least so many different ones. Sixty-four random hexadecimal digits have fewer with a
/// probability below one in a million; a word that is repeated has fewer.
const LEAST_DIFFERENT: usize = 10;

/// The system's randomness, for a key. The one place that draws any: callers pass it on.
///
/// # Errors
/// When the system gives none.
pub fn draw() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let drawn = ring::default_provider().secure_random.fill(&mut bytes);
    drawn.map(|()| bytes).map_err(|_| io::Error::other("the system gives no random bytes"))
}

/// A key, once: it is shown to whoever asked for it and then known by its hash alone.
#[derive(Debug)]
pub struct NewKey {
    name: String,
    key: Secret,
    hash: KeyHash,
}

impl NewKey {
    /// Makes a key of 256 bits of the system's randomness.
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn make(name: &str, random: [u8; 32]) -> Result<Self, KeyError> {
        let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Self::of(name, format!("{PREFIX}{digits}"))
    }

    /// Takes a key that was made elsewhere.
    ///
    /// # Errors
    /// [`KeyError`] where it is too short or too regular to have been drawn at random, or fits no
    /// header. Neither check proves that it was: that is its maker's word.
    pub fn brought(name: &str, key: &str) -> Result<Self, KeyError> {
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyError::Characters);
        }
        if key.len() < LEAST_CHARACTERS {
            return Err(KeyError::Short { characters: key.len(), least: LEAST_CHARACTERS });
        }
        let different = key.bytes().collect::<BTreeSet<_>>().len();
        if different < LEAST_DIFFERENT {
            return Err(KeyError::Regular { different, least: LEAST_DIFFERENT });
        }
        Self::of(name, key.to_owned())
    }

    fn of(name: &str, key: String) -> Result<Self, KeyError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), hash: KeyHash::of(key.as_bytes()), key: Secret::new(key) })
    }

    /// The key itself.
    #[must_use]
    pub fn key(&self) -> &Secret {
        &self.key
    }

    /// The lines that let it in: for the configuration file, then for the environment.
    #[must_use]
    pub fn lines(&self, admin: bool) -> impl fmt::Display {
        let Self { name, hash, .. } = self;
        let (scope, part) = if admin { ("scope = \"admin\"\n", ":admin") } else { ("", "") };
        format!("[[access.key]]\nname = \"{name}\"\nsha256 = \"{hash}\"\n{scope}\n# or: LIMBIC_KEY={name}:{hash}{part}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_key_is_its_random_bits() {
        let made = NewKey::make("lab", [0xa5; 32]).unwrap();
        let key = made.key().expose();
        assert_eq!(key, format!("limbic_{}", "a5".repeat(32)));
        let lines = made.lines(true).to_string();
        assert!(lines.contains(&format!("sha256 = \"{}\"\nscope = \"admin\"", KeyHash::of(key.as_bytes()))), "{lines}");
        assert!(!format!("{made:?} {lines}").contains(key));
    }

    #[test]
    fn keys_that_people_made_up_are_refused() {
        let refused = |key: &str| NewKey::brought("lab", key).unwrap_err();
        assert_eq!(refused("correct-horse-battery-staple"), KeyError::Short { characters: 28, least: 32 });
        assert_eq!(refused(&"secret".repeat(8)), KeyError::Regular { different: 5, least: 10 });
        assert_eq!(refused(&"correct horse battery staple ".repeat(2)), KeyError::Characters);
        assert_eq!(refused(&"ключ".repeat(12)), KeyError::Characters);
        assert!(NewKey::brought("lab", "0f1e2d3c4b5a69788796a5b4c3d2e1f0").is_ok());
        assert_eq!(NewKey::make("a b", [1; 32]).unwrap_err(), KeyError::Name { found: "a b".to_owned() });
    }
}
