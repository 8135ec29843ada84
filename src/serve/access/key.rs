//! Keys as they are kept: a name, a hash, what the key may do and how fast.
//!
//! A key is 256 random bits, so its SHA-256 is kept and not the hash of a password: a slow, salted
//! hash makes guessing dear where a secret can be guessed, and nobody guesses one of 2^256. A fast
//! one costs a request a microsecond. Hence keys that people made up are refused where they are
//! hashed ([`make`](super::make)).

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;

use super::rate::{RateSpec, Unit};

/// Longest name of a key.
const MAX_NAME: usize = 64;

/// The SHA-256 of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Of a key.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// Whether both are of one key, in a time that says nothing of where they differ.
    pub(super) fn is(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    /// Its beginning: enough to tell keys apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, ..] = self.0;
        write!(f, "sha256:{first:02x}{second:02x}...")
    }
}

impl FromStr for KeyHash {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; 32];
        if text.len() != 2 * bytes.len() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(KeyError::Hash { characters: text.chars().count() });
        }
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).expect("two hexadecimal digits are a byte: this is a bug");
        }
        Ok(Self(bytes))
    }
}

/// What a key opens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's port.
    #[default]
    Api,
    /// The operator's port too.
    Admin,
}

/// A key as it is configured.
#[derive(Debug, Clone, PartialEq)]
pub struct KeySpec {
    /// What metrics and logs call its owner.
    pub name: String,
    /// What is kept of the key itself.
    pub hash: KeyHash,
    /// What it opens.
    pub scope: Scope,
    /// How fast, if that has a limit.
    pub rate: Option<RateSpec>,
}

/// What is wrong with a key as configured, or with one that was brought along.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Metrics and logs want plain names.
    #[error("key name {found:?}: expected 1 to {most} of A-Z a-z 0-9 . _ -", most = MAX_NAME)]
    Name {
        /// As given.
        found: String,
    },
    /// It could be a key in the place of its hash, so it is not repeated.
    #[error("hash of a key: expected the 64 hexadecimal digits of a SHA-256, found {characters} characters; limbic-serve key makes both")]
    Hash {
        /// How long it is.
        characters: usize,
    },
    /// No part of a key's spelling.
    #[error("key {name}: {found:?}: expected admin, texts=PER_SECOND, requests=PER_SECOND or burst=COUNT")]
    Part {
        /// The key.
        name: String,
        /// As given.
        found: String,
    },
    /// No rate.
    #[error("key {name}: {found:?}: expected a rate from 0.001 to 1000000 a second, and a burst from 1 to 1000000")]
    Rate {
        /// The key.
        name: String,
        /// As given.
        found: String,
    },
    /// Two rates, or a burst of nothing.
    #[error("key {name}: expected one rate, of texts or of requests, and a burst only beside it")]
    Rates {
        /// The key.
        name: String,
    },
    /// Too short to be random enough.
    #[error("the key has {characters} characters: expected at least {least}, made by a machine; limbic-serve key makes one")]
    Short {
        /// How long it is.
        characters: usize,
        /// How long it has to be.
        least: usize,
    },
    /// Too regular to be random.
    #[error("the key has {different} different characters: expected at least {least}, made by a machine; limbic-serve key makes one")]
    Regular {
        /// How many different characters it has.
        different: usize,
        /// How many it has to have.
        least: usize,
    },
    /// A header cannot carry it.
    #[error("the key holds white space or something other than ASCII: no header could carry it")]
    Characters,
}

/// A name that may stand in a metric.
///
/// # Errors
/// [`KeyError::Name`].
pub(super) fn check_name(name: &str) -> Result<(), KeyError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let good = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain);
    if good { Ok(()) } else { Err(KeyError::Name { found: name.to_owned() }) }
}

impl FromStr for KeySpec {
    type Err = KeyError;

    /// `NAME:HASH`, then any of `:admin`, `:texts=50`, `:requests=5`, `:burst=200`.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default().to_owned();
        check_name(&name)?;
        let hash = match parts.next() {
            Some("sha256") => parts.next(),
            other => other,
        };
        let mut key = Self { name, hash: hash.unwrap_or_default().parse()?, scope: Scope::Api, rate: None };
        let (mut rates, mut burst) = (Vec::new(), None);
        for part in parts {
            match part.split_once('=') {
                None if part == "admin" => key.scope = Scope::Admin,
                None if part == "api" => key.scope = Scope::Api,
                Some(("texts", rate)) => rates.push((Unit::Texts, key.rate(rate)?)),
                Some(("requests", rate)) => rates.push((Unit::Requests, key.rate(rate)?)),
                Some(("burst", count)) => burst = Some(key.burst(count)?),
                _ => return Err(KeyError::Part { name: key.name, found: part.to_owned() }),
            }
        }
        key.rate = match (&rates[..], burst) {
            ([], None) => None,
            (&[(unit, per_second)], burst) => Some(RateSpec { unit, per_second, burst }),
            _ => return Err(KeyError::Rates { name: key.name }),
        };
        Ok(key)
    }
}

impl KeySpec {
    fn rate(&self, text: &str) -> Result<f64, KeyError> {
        let rate = text.parse().ok().filter(|rate| RateSpec::RANGE.contains(rate));
        rate.ok_or_else(|| KeyError::Rate { name: self.name.clone(), found: text.to_owned() })
    }

    fn burst(&self, text: &str) -> Result<NonZeroU32, KeyError> {
        let burst = text.parse().ok().filter(|burst: &NonZeroU32| burst.get() <= RateSpec::MOST);
        burst.ok_or_else(|| KeyError::Rate { name: self.name.clone(), found: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of "abc", from FIPS 180-4's example.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_hash_is_the_sha256() {
        let hash: KeyHash = ABC.parse().unwrap();
        assert_eq!((hash, hash.to_string().as_str()), (KeyHash::of(b"abc"), ABC));
        assert!(bool::from(hash.is(&KeyHash::of(b"abc"))) && !bool::from(hash.is(&KeyHash::of(b"abd"))));
        assert_eq!(format!("{hash:?}"), "sha256:ba78...");
    }

    #[track_caller]
    fn check(text: &str, expected: Result<(Scope, Option<RateSpec>), &str>) {
        match (text.parse::<KeySpec>(), expected) {
            (Ok(key), Ok(expected)) => {
                assert_eq!((key.name.as_str(), key.hash, (key.scope, key.rate)), ("lab", KeyHash::of(b"abc"), expected));
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error} does not say {part:?}"),
            (found, expected) => panic!("{text:?} gave {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_key_has_one_spelling() {
        let rate = |unit, per_second, burst| Some(RateSpec { unit, per_second, burst: NonZeroU32::new(burst) });
        check(&format!("lab:{ABC}"), Ok((Scope::Api, None)));
        check(&format!("lab:sha256:{ABC}:api"), Ok((Scope::Api, None)));
        check(&format!("lab:{}:admin", ABC.to_uppercase()), Ok((Scope::Admin, None)));
        check(&format!("lab:{ABC}:texts=50:burst=200"), Ok((Scope::Api, rate(Unit::Texts, 50.0, 200))));
        check(&format!("lab:{ABC}:requests=0.5:admin"), Ok((Scope::Admin, rate(Unit::Requests, 0.5, 0))));
        check("", Err("1 to 64"));
        check(&format!("la b:{ABC}"), Err("\"la b\""));
        check("lab", Err("64 hexadecimal digits"));
        check("lab:open-sesame", Err("found 11 characters"));
        check(&format!("lab:{ABC}:root"), Err("\"root\""));
        check(&format!("lab:{ABC}:texts=0"), Err("from 0.001"));
        check(&format!("lab:{ABC}:texts=NaN"), Err("from 0.001"));
        check(&format!("lab:{ABC}:texts=5:burst=0"), Err("from 1 to"));
        check(&format!("lab:{ABC}:texts=5:burst=1000001"), Err("from 1 to"));
        check(&format!("lab:{ABC}:burst=5"), Err("only beside it"));
        check(&format!("lab:{ABC}:texts=5:requests=5"), Err("one rate"));
        let error = "lab:open-sesame".parse::<KeySpec>().unwrap_err().to_string();
        assert!(!error.contains("sesame"), "{error}");
    }
}
