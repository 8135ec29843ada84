//! The configuration file: TOML whose sections and keys are the options' own.
//!
//! There is no second list of options to fall behind the first. An option's section is the heading that
//! `--help` shows it under, its key is its flag without the section's name in front (`--tls-cert` is `cert` in `[tls]`),
//! and its values are read by the option's own parser. What the file says becomes the option's default,
//! so that flags and the environment win without a rule of their own. An unknown key is refused with
//! the nearest known one; nothing is ignored.

use std::any::TypeId;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};
use thiserror::Error;
use toml::{Table, Value};

use crate::serve::access::KeySpec;
use crate::serve::secret::Secret;

/// The option whose values are tables in the file.
const KEYS: &str = "key";

/// Why a file configures nothing.
#[derive(Debug, Error)]
pub enum FileError {
    /// It is not there, or not to be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no TOML.
    #[error("{}:{line}: not TOML: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What.
        reason: String,
    },
    /// No option is called so.
    #[error("{}: unknown {what} {found}; did you mean {nearest}?", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// A section or a key.
        what: &'static str,
        /// As written.
        found: String,
        /// What it may have been meant to be.
        nearest: String,
    },
    /// The option does not take this.
    #[error("{}: {key}: {reason}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key with its section.
        key: String,
        /// What was expected and what was found.
        reason: String,
    },
}

/// Where an option stands in the file.
pub(super) struct Place<'a> {
    pub(super) arg: &'a Arg,
    pub(super) section: String,
    pub(super) key: String,
}

impl Place<'_> {
    /// Whether its values are never shown.
    pub(super) fn is_secret(&self) -> bool {
        self.arg.get_value_parser().type_id() == TypeId::of::<Secret>()
    }
}

/// The options that have a place in the file: those under a heading.
pub(super) fn places(command: &Command) -> Vec<Place<'_>> {
    let place = |arg: &'_ Arg| {
        let section = arg.get_help_heading()?.to_lowercase().replace(' ', "_");
        let name = arg.get_long()?.replace('-', "_");
        let key = name.strip_prefix(&format!("{section}_")).unwrap_or(&name).to_owned();
        Some((section, key))
    };
    command.get_arguments().filter_map(|arg| place(arg).map(|(section, key)| Place { arg, section, key })).collect()
}

/// What the file says about one option, as it would be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) id: String,
    pub(super) values: Vec<String>,
}

/// Reads the file, and lets each option's parser look at what is said about it.
///
/// # Errors
/// [`FileError`] naming the file and the key.
pub(super) fn read(path: &Path, command: &Command) -> Result<Vec<Given>, FileError> {
    let text = std::fs::read_to_string(path).map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    File { path, places: places(command) }.given(&text)
}

struct File<'a> {
    path: &'a Path,
    places: Vec<Place<'a>>,
}

impl File<'_> {
    fn given(&self, text: &str) -> Result<Vec<Given>, FileError> {
        // Without the line itself, which is what its own message would show.
        let syntax = |error: toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            FileError::Syntax { path: self.path.to_owned(), line, reason: error.message().to_owned() }
        };
        let sections: Table = toml::from_str(text).map_err(syntax)?;
        let mut given = Vec::new();
        for (section, content) in sections {
            let known = || self.places.iter().map(|place| place.section.as_str());
            if !known().any(|known| known == section) {
                return Err(self.unknown("section", format!("[{section}]"), (&section, known()), |nearest| format!("[{nearest}]")));
            }
            let Value::Table(content) = content else {
                return Err(self.wrong(&section, "expected a section of keys".to_owned()));
            };
            for (key, value) in content {
                given.push(self.one(&section, &key, value)?);
            }
        }
        Ok(given)
    }

    fn one(&self, section: &str, key: &str, value: Value) -> Result<Given, FileError> {
        let full = format!("{section}.{key}");
        let siblings = || self.places.iter().filter(|place| place.section == section);
        let Some(place) = siblings().find(|place| place.key == key) else {
            let known = siblings().map(|place| place.key.as_str());
            return Err(self.unknown("key", full, (key, known), |nearest| format!("{section}.{nearest}")));
        };
        let several = matches!(place.arg.get_action(), ArgAction::Append);
        let values = match value {
            Value::Array(list) if several => list,
            Value::Array(_) => return Err(self.wrong(&full, "expected one value, found a list".to_owned())),
            one => vec![one],
        };
        let spelt = values.into_iter().map(|value| self.spelling(&full, place, value));
        let values = spelt.collect::<Result<Vec<_>, _>>()?;
        self.check(&full, place.arg, &values)?;
        Ok(Given { id: place.arg.get_id().to_string(), values })
    }

    /// A value as it would be typed.
    fn spelling(&self, full: &str, place: &Place<'_>, value: Value) -> Result<String, FileError> {
        match value {
            Value::String(text) => Ok(text),
            Value::Integer(number) => Ok(number.to_string()),
            Value::Float(number) => Ok(number.to_string()),
            Value::Boolean(truth) => Ok(truth.to_string()),
            Value::Table(table) if place.arg.get_id() == KEYS => self.access_key(full, table),
            Value::Table(_) | Value::Array(_) | Value::Datetime(_) => {
                Err(self.wrong(full, "expected a text, a number, or true or false".to_owned()))
            }
        }
    }

    /// A key's table as the key would be typed.
    fn access_key(&self, full: &str, mut table: Table) -> Result<String, FileError> {
        /// Each member, and what stands before its value where it is typed.
        const MEMBERS: [(&str, &str); 6] = [
            ("name", ""),
            ("sha256", ""),
            ("scope", ""),
            ("texts_per_second", "texts="),
            ("requests_per_second", "requests="),
            ("burst", "burst="),
        ];
        let mut parts = Vec::new();
        for (member, before) in MEMBERS {
            match table.remove(member) {
                Some(Value::String(text)) => parts.push(format!("{before}{text}")),
                Some(Value::Integer(number)) => parts.push(format!("{before}{number}")),
                Some(Value::Float(number)) => parts.push(format!("{before}{number}")),
                Some(_) => return Err(self.wrong(full, format!("{member}: expected a text or a number"))),
                None if before.is_empty() && member != "scope" => return Err(self.wrong(full, format!("{member} is missing"))),
                None => {}
            }
        }
        match table.keys().next() {
            None => Ok(parts.join(":")),
            Some(found) => {
                let known = MEMBERS.iter().map(|(member, _)| *member);
                Err(self.unknown("key", format!("{full}.{found}"), (found, known), |nearest| format!("{full}.{nearest}")))
            }
        }
    }

    /// What the option's parser says, with the file's name in front.
    fn check(&self, full: &str, arg: &Arg, values: &[String]) -> Result<(), FileError> {
        let wrong = |reason| self.wrong(full, reason);
        if arg.get_id() == KEYS {
            return values.iter().try_for_each(|value| value.parse::<KeySpec>().map(drop).map_err(|error| wrong(error.to_string())));
        }
        if !arg.get_action().takes_values() {
            return if values.iter().all(|value| value == "true" || value == "false") {
                Ok(())
            } else {
                Err(wrong("expected true or false".to_owned()))
            };
        }
        // The option alone, without what it says of others.
        let alone = Arg::new(arg.get_id().clone())
            .long("value")
            .value_name("value")
            .action(arg.get_action().clone())
            .value_parser(arg.get_value_parser().clone());
        let typed = values.iter().map(|value| format!("--value={value}"));
        let parsed = Command::new("limbic-serve").no_binary_name(true).arg(alone).try_get_matches_from(typed);
        parsed.map(drop).map_err(|error| wrong(paragraph(&error)))
    }

    fn wrong(&self, key: &str, reason: String) -> FileError {
        FileError::Value { path: self.path.to_owned(), key: key.to_owned(), reason }
    }

    fn unknown<'n>(
        &self,
        what: &'static str,
        found: String,
        (word, known): (&str, impl Iterator<Item = &'n str>),
        write: impl Fn(&str) -> String,
    ) -> FileError {
        let nearest = known.min_by_key(|known| distance(word, known)).map(write).unwrap_or_default();
        FileError::Unknown { path: self.path.to_owned(), what, found, nearest }
    }
}

/// The first paragraph of what clap would print, without what it calls the option here.
fn paragraph(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
    let text = lines.join(" ").replace(" for '--value <value>'", "");
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

/// Puts what the file says in the place of the defaults.
pub(super) fn apply(command: Command, given: &[Given]) -> Command {
    let filled = |arg: Arg| match given.iter().find(|given| arg.get_id() == given.id.as_str()) {
        Some(given) => arg.default_values(given.values.clone()),
        None => arg,
    };
    command.mut_args(filled).mut_subcommand("healthcheck", |command| command.mut_args(filled))
}

/// How many letters have to change (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, letter) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, other) in right.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_counts_changed_letters() {
        for (left, right, letters) in [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("flaw", "lawn", 2)] {
            assert_eq!(distance(left, right), letters, "{left} {right}");
        }
    }
}
