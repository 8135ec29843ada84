//! The two column layouts of E-c: `ID`, `Tweet`, then one column a label.

use std::path::Path;

use super::{DataError, Example, Row, value_error};
use crate::spec::LabelSet;

/// What the competition's test file writes instead of 0 and 1.
const UNLABELLED: &str = "NONE";

/// Tab-separated: lines end in `\n` (a `\r` before it belongs to the line end), nothing is quoted.
pub(super) fn tabs(path: &Path, text: &str, labels: &LabelSet) -> Result<Vec<Row>, DataError> {
    let (mut rows, mut headed) = (Vec::new(), false);
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let fields: Vec<&str> = line.split('\t').collect();
        if headed {
            rows.push(row(path, index + 1, &fields, labels)?);
        } else {
            check_header(path, &fields, labels)?;
            headed = true;
        }
    }
    Ok(rows)
}

/// Comma-separated with quoting; a quoted field may hold commas, quotes and newlines.
pub(super) fn commas(path: &Path, text: &str, labels: &LabelSet) -> Result<Vec<Row>, DataError> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let (mut rows, mut headed) = (Vec::new(), false);
    let mut record = csv::StringRecord::new();
    while read_record(path, &mut reader, &mut record)? {
        let line = record.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(usize::MAX));
        let fields: Vec<&str> = record.iter().collect();
        if headed {
            rows.push(row(path, line, &fields, labels)?);
        } else {
            check_header(path, &fields, labels)?;
            headed = true;
        }
    }
    Ok(rows)
}

/// The next record, or false at the end.
pub(super) fn read_record(path: &Path, reader: &mut csv::Reader<&[u8]>, record: &mut csv::StringRecord) -> Result<bool, DataError> {
    reader.read_record(record).map_err(|error| {
        let line = error.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(usize::MAX));
        value_error(path, line, "row", "comma- or tab-separated values", &error.to_string())
    })
}

fn check_header(path: &Path, fields: &[&str], labels: &LabelSet) -> Result<(), DataError> {
    let expected: Vec<&str> = ["ID", "Tweet"].into_iter().chain(labels.names().iter().map(String::as_str)).collect();
    let first = fields.first().map_or("", |field| field.trim_start_matches('\u{feff}'));
    if first == expected[0] && fields.get(1..) == Some(&expected[1..]) {
        return Ok(());
    }
    let found: String = fields.join(",").chars().take(400).collect();
    Err(DataError::Header { path: path.to_owned(), expected: expected.join(","), found })
}

fn row(path: &Path, line: usize, fields: &[&str], labels: &LabelSet) -> Result<Row, DataError> {
    let expected = labels.len() + 2;
    if fields.len() != expected {
        return Err(DataError::Columns { path: path.to_owned(), line, expected, found: fields.len() });
    }
    let example = Example { id: fields[0].to_owned(), text: fields[1].to_owned() };
    if fields[2..].iter().all(|&field| field == UNLABELLED) {
        return Ok(Row { line, example, held: None });
    }
    let held = fields[2..].iter().zip(labels.names()).map(|(&field, name)| match field {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(value_error(path, line, name, "0 or 1", field)),
    });
    Ok(Row { line, example, held: Some(held.collect::<Result<_, _>>()?) })
}
