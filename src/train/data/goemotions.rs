//! The split version of `GoEmotions` (Demszky et al. 2020): text, label positions, comment id.

use std::path::Path;

use super::source::Source;
use super::{DataError, Example, Row, Rows, value_error};
use crate::spec::LabelSet;

const COLUMNS: usize = 3;

pub(super) fn rows<'a>(source: Source<'a>, labels: &'a LabelSet) -> Rows<'a> {
    let path = source.path().to_owned();
    Box::new(source.quoted(b'\t').map(move |fields| fields.and_then(|(line, fields)| row(&path, line, fields, labels))))
}

fn row(path: &Path, line: usize, fields: Vec<String>, labels: &LabelSet) -> Result<Row, DataError> {
    let columns = |fields: Vec<String>| DataError::Columns { path: path.to_owned(), line, expected: COLUMNS, found: fields.len() };
    let [text, positions, id] = <[String; COLUMNS]>::try_from(fields).map_err(columns)?;
    let held = held(path, line, &positions, labels)?;
    Ok(Row { line, example: Example { id, text }, held: Some(held) })
}

fn held(path: &Path, line: usize, field: &str, labels: &LabelSet) -> Result<Vec<bool>, DataError> {
    let mut held = vec![false; labels.len()];
    for position in field.split(',') {
        let slot = position.trim().parse::<usize>().ok().and_then(|index| held.get_mut(index));
        let expected = format!("label positions below {}, parted by commas", labels.len());
        *slot.ok_or_else(|| value_error(path, line, "labels", &expected, field))? = true;
    }
    Ok(held)
}
