//! A word that must not be shown: what it holds can be used, and neither printed nor logged.
//!
//! The type is the rule: a secret in a struct that derives `Debug`, in an error or in a log line
//! shows itself as `[secret]`. It does not wipe memory: who can read that has won already.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// Something secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes it over.
    pub fn new(content: impl Into<String>) -> Self {
        Self(content.into())
    }

    /// What it holds, to be used and not to be shown.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What is written in a secret's place.
pub const REDACTED: &str = "[secret]";

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(content: &str) -> Result<Self, Infallible> {
        Ok(Self::new(content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_used_and_not_shown() {
        let secret: Secret = "open sesame".parse().unwrap();
        assert_eq!(secret.expose(), "open sesame");
        let shown = format!("{secret} {secret:?} {:#?}", Some(&secret));
        assert!(!shown.contains("sesame") && shown.matches(REDACTED).count() == 3, "{shown}");
    }
}
