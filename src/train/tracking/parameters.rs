//! A recipe as pairs of a key and a text, as experiment trackers want it.

use toml::{Table, Value};

use crate::train::recipe::Recipe;

/// Every key of the resolved recipe, `section.key`, and its value; `[tracking]` is left out.
pub(super) fn of(recipe: &Recipe) -> Vec<(String, String)> {
    let table: Table = toml::from_str(&recipe.untracked().echo()).expect("an echo reads back; anything else, this is a bug");
    let mut pairs = Vec::new();
    flatten("", Value::Table(table), &mut pairs);
    pairs
}

fn flatten(key: &str, value: Value, pairs: &mut Vec<(String, String)>) {
    let inner = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    match value {
        Value::Table(table) => table.into_iter().for_each(|(name, value)| flatten(&inner(&name), value, pairs)),
        Value::Array(items) if items.iter().any(Value::is_table) => {
            items.into_iter().enumerate().for_each(|(index, value)| flatten(&inner(&index.to_string()), value, pairs));
        }
        Value::String(text) => pairs.push((key.to_owned(), text)),
        other => pairs.push((key.to_owned(), other.to_string())),
    }
}
