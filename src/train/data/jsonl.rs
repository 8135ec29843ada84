//! One JSON object a line, for data of one's own.

use std::path::Path;

use serde::Deserialize;

use super::source::Source;
use super::{DataError, Example, Row, Rows, value_error};
use crate::spec::LabelSet;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    text: String,
    labels: Option<Vec<String>>,
}

pub(super) fn rows<'a>(source: Source<'a>, labels: &'a LabelSet) -> Rows<'a> {
    let path = source.path().to_owned();
    let lines = source.lines().filter(|line| line.as_ref().map_or(true, |(_, line)| !line.trim().is_empty()));
    Box::new(lines.map(move |line| line.and_then(|(number, line)| row(&path, number, &line, labels))))
}

fn row(path: &Path, number: usize, line: &str, labels: &LabelSet) -> Result<Row, DataError> {
    let expected = r#"{"id": text, "text": text, "labels": [names]}"#;
    let parsed: Line = serde_json::from_str(line).map_err(|error| value_error(path, number, "object", expected, &error.to_string()))?;
    let held = parsed.labels.map(|names| held(path, number, &names, labels)).transpose()?;
    Ok(Row { line: number, example: Example { id: parsed.id, text: parsed.text }, held })
}

fn held(path: &Path, line: usize, names: &[String], labels: &LabelSet) -> Result<Vec<bool>, DataError> {
    let mut held = vec![false; labels.len()];
    for name in names {
        let index = labels.index_of(name).ok_or_else(|| {
            let expected = format!("names among {}", labels.names().join(", "));
            value_error(path, line, "labels", &expected, name)
        })?;
        held[index] = true;
    }
    Ok(held)
}
