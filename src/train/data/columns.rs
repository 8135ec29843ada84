//! Comma-separated values of anybody's making: two columns are named, the others are passed over.

use std::path::Path;

use super::source::Source;
use super::{DataError, Example, Row, Rows};

/// Rows below a header with one column called `id` and one called `text`.
pub(super) fn rows<'a>(source: Source<'a>, id: &str, text: &str) -> Result<Rows<'a>, DataError> {
    let path = source.path().to_owned();
    let mut fields = source.quoted(b',');
    let Some((_, header)) = fields.next().transpose()? else { return Ok(Box::new(std::iter::empty())) };
    let (id, text, columns) = (place(&path, &header, id)?, place(&path, &header, text)?, header.len());
    Ok(Box::new(fields.map(move |fields| {
        let (line, fields) = fields?;
        if fields.len() != columns {
            return Err(DataError::Columns { path: path.clone(), line, expected: columns, found: fields.len() });
        }
        Ok(Row { line, example: Example { id: fields[id].clone(), text: fields[text].clone() }, held: None })
    })))
}

fn place(path: &Path, header: &[String], column: &str) -> Result<usize, DataError> {
    let named = |(at, name): (usize, &String)| (name.trim_start_matches('\u{feff}') == column).then_some(at);
    let mut places = header.iter().enumerate().filter_map(named);
    match (places.next(), places.next()) {
        (Some(place), None) => Ok(place),
        _ => Err(DataError::NoColumn { path: path.to_owned(), column: column.to_owned(), found: header.join(",") }),
    }
}
