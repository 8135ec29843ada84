//! `--set key=value`, and the check of every key before anything is parsed.

use toml::{Table, Value};

use super::RecipeError;
use super::file::SECTIONS;

/// Puts `section.key=value` into the table; a section that stands several times is followed by its
/// place, `stages.0.lr=1e-4`. The value is TOML (`3`, `0.1`, `true`, `"text"`, `["a", "b"]`); what is
/// no TOML value is taken as text, so that paths need no quotes.
pub(super) fn apply(table: &mut Table, text: &str) -> Result<(), RecipeError> {
    let malformed = || RecipeError::Override { text: text.to_owned() };
    let (key, value) = text.split_once('=').ok_or_else(malformed)?;
    let (sections, leaf) = key.trim().rsplit_once('.').ok_or_else(malformed)?;
    let section = sections.split('.').try_fold(Place::Table(table), Place::inner).and_then(Place::table).ok_or_else(malformed)?;
    section.insert(leaf.to_owned(), parse(value.trim()));
    Ok(())
}

/// Where a key's path has led so far.
enum Place<'a> {
    Table(&'a mut Table),
    /// Sections that stand several times.
    Several(&'a mut Vec<Value>),
}

impl<'a> Place<'a> {
    /// The section of this name, which begins empty, or the one at this place.
    fn inner(self, name: &str) -> Option<Self> {
        let value = match self {
            Self::Table(table) => table.entry(name).or_insert_with(|| Value::Table(Table::new())),
            Self::Several(sections) => sections.get_mut(name.parse::<usize>().ok()?)?,
        };
        match value {
            Value::Table(table) => Some(Self::Table(table)),
            Value::Array(sections) => Some(Self::Several(sections)),
            _ => None,
        }
    }

    fn table(self) -> Option<&'a mut Table> {
        if let Self::Table(table) = self { Some(table) } else { None }
    }
}

fn parse(text: &str) -> Value {
    let parsed: Option<Table> = toml::from_str(&format!("value = {text}")).ok();
    let alone = parsed.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    alone.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Refuses the first key that no recipe has, and names the nearest that one has.
pub(super) fn check_keys(table: &Table) -> Result<(), RecipeError> {
    for (section, value) in table {
        check_section(section, value)?;
    }
    Ok(())
}

/// The same for one section, or each of several of that name, and those inside it.
fn check_section(section: &str, value: &Value) -> Result<(), RecipeError> {
    let Some((_, keys)) = SECTIONS.iter().find(|(name, _)| *name == section) else {
        return Err(unknown(section));
    };
    let several = value.as_array().map(Vec::as_slice);
    for table in several.unwrap_or(std::slice::from_ref(value)) {
        let table = table.as_table().ok_or_else(|| RecipeError::Section { key: section.to_owned() })?;
        for (key, value) in table {
            let inner = format!("{section}.{key}");
            if !keys.contains(&key.as_str()) {
                return Err(unknown(&inner));
            }
            if SECTIONS.iter().any(|(name, _)| *name == inner) {
                check_section(&inner, value)?;
            }
        }
    }
    Ok(())
}

fn unknown(key: &str) -> RecipeError {
    let known = SECTIONS.iter().flat_map(|(section, keys)| keys.iter().map(move |key| format!("{section}.{key}")));
    let leaf = key.rsplit('.').next().unwrap_or(key);
    // A right leaf in the wrong section is nearer than any misspelling.
    let distance = |name: &String| if name.rsplit('.').next() == Some(leaf) { 0 } else { edits(name, key) };
    let nearest = known.min_by_key(distance).unwrap_or_default();
    RecipeError::UnknownKey { key: key.to_owned(), nearest }
}

/// Levenshtein's distance, in characters.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &b) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
