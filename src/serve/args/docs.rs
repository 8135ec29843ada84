//! `docs/configuration.md`, made from the options themselves: a test holds the file to it, so that it
//! cannot say what is not so.

use std::fmt::Write;

use clap::{Arg, ArgAction, CommandFactory};

use super::ServeArgs;
use super::file::{self, Place};

const OPENING: &str = r#"# Configuration

<!-- Made from the options of limbic-serve by `just docs`; a test fails while this file is not what that writes. -->

Every option of `limbic-serve` can be typed, set in the environment, or written in a TOML file that `--config FILE` or `LIMBIC_CONFIG` names.
What is typed wins over the environment, the environment over the file, and the file over the default. `limbic-serve --print-config` shows
what holds and where each value comes from, as such a file, without its secrets.

An option's key is its flag, in a section that is the heading below; a section's own name in front is left out (`--tls-cert` is `cert` in `[tls]`).
An unknown section or key is an error that names the nearest one, and a value is checked exactly as if it had been typed. Durations carry
their unit, `10s` or `250ms`. Paths are taken from the folder the server runs in.

```toml
[bundles]
models = "bundles"
default_model = "tweet-emotion-minilm"

[network]
listen = "0.0.0.0:8080"
admin_listen = "127.0.0.1:9090"

[limits]
max_texts = 32

[[access.key]]
name = "research"
sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
texts_per_second = 50
burst = 200

[[access.key]]
name = "operator"
sha256 = "cb8379ac2098aa165029e3938a51da0bcecfc008fd6795f401178647f96c5b34"
scope = "admin"
```

`limbic-serve key --name research` makes such a key and prints its lines; [serving.md](serving.md) says what keys do. As a flag or in the environment
the first of these is `research:ba78...15ad:texts=50:burst=200` and the second `operator:cb83...5b34:admin`.
"#;

/// The whole page.
#[must_use]
pub fn markdown() -> String {
    let command = ServeArgs::command();
    let mut page = OPENING.to_owned();
    let mut last = "";
    let places = file::places(&command);
    for place in &places {
        if place.section != last {
            last = &place.section;
            let heading = place.arg.get_help_heading().unwrap_or_default();
            let _ = writeln!(page, "\n## {heading}: `[{last}]`\n\n| option | variable | key | default | meaning |\n|---|---|---|---|---|");
        }
        let _ = writeln!(page, "{}", row(place));
    }
    page
}

fn row(place: &Place<'_>) -> String {
    let Place { arg, key, .. } = place;
    let long = arg.get_long().unwrap_or_default();
    let value = arg.get_value_names().unwrap_or_default().iter().map(|name| format!(" {name}")).collect::<String>();
    let value = if arg.get_action().takes_values() { value } else { String::new() };
    let variable = arg.get_env().map(|name| format!("`{}`", name.to_string_lossy())).unwrap_or_default();
    let defaults = arg.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect::<Vec<_>>();
    let key = if matches!(arg.get_action(), ArgAction::Append) { format!("`{key}`, a list") } else { format!("`{key}`") };
    format!("| `--{long}{value}` | {variable} | {key} | {} | {} |", defaults.join(", "), meaning(arg).replace('|', "\\|"))
}

/// What `--help` says, and what may be chosen from.
fn meaning(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let stop = if help.ends_with('.') { "" } else { "." };
    let choices = arg.get_possible_values();
    let choices: Vec<String> = choices.iter().map(|choice| format!("`{}`", choice.get_name())).collect();
    let choices =
        if arg.get_action().takes_values() && !choices.is_empty() { format!(" One of {}.", choices.join(", ")) } else { String::new() };
    format!("{help}{stop}{choices}")
}
