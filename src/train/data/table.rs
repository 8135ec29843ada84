//! Column layouts under a header: an id, a text, then one column a label.

use std::path::{Path, PathBuf};

use super::source::Fields;
use super::{DataError, Example, Row, Rows, value_error};
use crate::spec::LabelSet;

/// The first two columns of E-c, as tabs and as the competition's commas.
pub(super) const EC: [&str; 2] = ["ID", "Tweet"];
/// The first two columns of BRIGHTER.
pub(super) const BRIGHTER: [&str; 2] = ["id", "text"];

/// What the competition's test file writes instead of 0 and 1.
const UNLABELLED: &str = "NONE";

/// Rows below a header that names `first` and then every label.
pub(super) fn rows<'a>(path: PathBuf, mut fields: Fields<'a>, first: [&str; 2], labels: &'a LabelSet) -> Result<Rows<'a>, DataError> {
    if let Some((_, header)) = fields.next().transpose()? {
        check_header(&path, &header, first, labels)?;
    }
    Ok(Box::new(fields.map(move |fields| fields.and_then(|(line, fields)| row(&path, line, fields, labels)))))
}

fn check_header(path: &Path, fields: &[String], first: [&str; 2], labels: &LabelSet) -> Result<(), DataError> {
    let expected: Vec<&str> = first.into_iter().chain(labels.names().iter().map(String::as_str)).collect();
    let unmarked = |(at, field): (usize, &String)| if at == 0 { field.trim_start_matches('\u{feff}').to_owned() } else { field.clone() };
    if fields.iter().enumerate().map(unmarked).eq(expected.iter().copied()) {
        return Ok(());
    }
    let found: String = fields.join(",").chars().take(400).collect();
    Err(DataError::Header { path: path.to_owned(), expected: expected.join(","), found })
}

fn row(path: &Path, line: usize, mut fields: Vec<String>, labels: &LabelSet) -> Result<Row, DataError> {
    let expected = labels.len() + 2;
    if fields.len() != expected {
        return Err(DataError::Columns { path: path.to_owned(), line, expected, found: fields.len() });
    }
    let answers = fields.split_off(2);
    let [id, text] = <[String; 2]>::try_from(fields).expect("two fields are left of the labels; anything else, this is a bug");
    let example = Example { id, text };
    if answers.iter().all(|field| field == UNLABELLED) {
        return Ok(Row { line, example, held: None });
    }
    let held = answers.iter().zip(labels.names()).map(|(field, name)| match field.as_str() {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(value_error(path, line, name, "0 or 1", field)),
    });
    Ok(Row { line, example, held: Some(held.collect::<Result<_, _>>()?) })
}
