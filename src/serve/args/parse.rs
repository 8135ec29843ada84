//! From what was typed, the environment and the file to one set of arguments, and the page that says
//! where each of them comes from.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use thiserror::Error;
use toml::Value;

use super::ServeArgs;
use super::file::{self, FileError, Given, Place};
use crate::serve::secret::REDACTED;

/// The arguments, and how they came about.
#[derive(Debug)]
pub struct Parsed {
    /// What holds.
    pub args: ServeArgs,
    /// The same as a configuration file, each value with its origin and no secret shown.
    pub page: String,
}

/// Why there are no arguments.
#[derive(Debug, Error)]
pub enum Unparsed {
    /// The command line or the environment; or nothing is wrong and help was asked for.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The configuration file.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Reads the command line, the environment that clap sees, and the file that either names.
///
/// # Errors
/// [`Unparsed`].
pub fn parse(typed: impl IntoIterator<Item = OsString>) -> Result<Parsed, Unparsed> {
    let typed: Vec<OsString> = typed.into_iter().collect();
    let command = ServeArgs::command();
    let first = command.clone().try_get_matches_from(&typed)?;
    let asked = first.subcommand().map_or(&first, |(_, matches)| matches);
    // Not every subcommand has it.
    let path = asked.try_get_one::<PathBuf>("config").ok().flatten();
    let given = path.map(|path| file::read(path, &command)).transpose()?.unwrap_or_default();
    let matches = file::apply(command.clone(), &given).try_get_matches_from(&typed)?;
    let page = page(&command, &matches, &given);
    Ok(Parsed { args: ServeArgs::from_arg_matches(&matches)?, page })
}

fn page(command: &Command, matches: &ArgMatches, given: &[Given]) -> String {
    let mut page = "# As it stands; behind each value its origin.\n".to_owned();
    let mut last = "";
    let places = file::places(command);
    for place in &places {
        if place.section != last {
            last = &place.section;
            let _ = writeln!(page, "\n[{last}]");
        }
        let _ = writeln!(page, "{}", line(place, matches, given));
    }
    page
}

fn line(place: &Place<'_>, matches: &ArgMatches, given: &[Given]) -> String {
    let Place { arg, key, .. } = place;
    let id = arg.get_id().as_str();
    let Some(source) = matches.value_source(id) else { return format!("# {key} is not set") };
    let values: Vec<String> = matches.get_raw(id).into_iter().flatten().map(|value| literal(&value.to_string_lossy())).collect();
    let origin = match source {
        ValueSource::CommandLine => format!("--{}", arg.get_long().unwrap_or(id)),
        ValueSource::EnvVariable => arg.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        _ if given.iter().any(|given| given.id == id) => "file".to_owned(),
        _ => "default".to_owned(),
    };
    if place.is_secret() {
        return format!("# {key} = {REDACTED}, {} of them  # {origin}", values.len());
    }
    match (values.as_slice(), matches!(arg.get_action(), clap::ArgAction::Append)) {
        ([one], false) => format!("{key} = {one}  # {origin}"),
        (several, _) => format!("{key} = [{}]  # {origin}", several.join(", ")),
    }
}

/// A typed value as TOML writes it.
fn literal(typed: &str) -> String {
    let bare = typed.parse::<i64>().is_ok() || typed == "true" || typed == "false";
    if bare { typed.to_owned() } else { Value::String(typed.to_owned()).to_string() }
}
