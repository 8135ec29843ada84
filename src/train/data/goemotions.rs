//! The split version of `GoEmotions` (Demszky et al. 2020): text, label positions, comment id.

use std::path::Path;

use super::table::read_record;
use super::{DataError, Example, Row, value_error};
use crate::spec::LabelSet;

const COLUMNS: usize = 3;

pub(super) fn rows(path: &Path, text: &str, labels: &LabelSet) -> Result<Vec<Row>, DataError> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(b'\t').from_reader(text.as_bytes());
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    while read_record(path, &mut reader, &mut record)? {
        let line = record.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(usize::MAX));
        if record.len() != COLUMNS {
            return Err(DataError::Columns { path: path.to_owned(), line, expected: COLUMNS, found: record.len() });
        }
        let held = held(path, line, &record[1], labels)?;
        rows.push(Row { line, example: Example { id: record[2].to_owned(), text: record[0].to_owned() }, held: Some(held) });
    }
    Ok(rows)
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
