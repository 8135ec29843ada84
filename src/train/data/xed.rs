//! XED's English subtitles (Öhman et al. 2020): a line and the numbers of its emotions, parted by a
//! tab; and the file of neutral lines beside it, laid out the other way round.
//!
//! Neither file has ids, so they are made of the line's number: `xed-17`, `xed-neutral-17`. The
//! numbers stand for fixed names, so the labels must be those eight names, in any order; a neutral
//! line holds none of them.

use std::path::Path;

use super::source::Source;
use super::{DataError, Example, Row, Rows, value_error};
use crate::spec::LabelSet;

/// What the numbers from 1 stand for.
const NAMES: [&str; 8] = ["anger", "anticipation", "disgust", "fear", "joy", "sadness", "surprise", "trust"];
/// The number that opens every neutral line.
const NEUTRAL: &str = "9";
const COLUMNS: usize = 2;

/// `text TAB numbers`.
pub(super) fn annotated<'a>(source: Source<'a>, labels: &'a LabelSet) -> Result<Rows<'a>, DataError> {
    let (path, places) = (source.path().to_owned(), places(source.path(), labels)?);
    let row = move |(line, fields): (usize, Vec<String>)| {
        let [text, numbers] = two(&path, line, fields)?;
        let mut held = vec![false; NAMES.len()];
        for number in numbers.split(',') {
            let place = number.trim().parse::<usize>().ok().and_then(|number| places.get(number.checked_sub(1)?));
            held[*place.ok_or_else(|| value_error(&path, line, "labels", "numbers from 1 to 8, parted by commas", &numbers))?] = true;
        }
        Ok(Row { line, example: Example { id: format!("xed-{line}"), text }, held: Some(held) })
    };
    Ok(Box::new(source.tabs().map(move |fields| fields.and_then(&row))))
}

/// `9 TAB text`; a few lines end in tabs that a spreadsheet left, and one is nothing but tabs.
pub(super) fn neutral<'a>(source: Source<'a>, labels: &'a LabelSet) -> Result<Rows<'a>, DataError> {
    let path = source.path().to_owned();
    places(&path, labels)?;
    let row = move |(line, mut fields): (usize, Vec<String>)| {
        while fields.len() > COLUMNS && fields.last().is_some_and(String::is_empty) {
            fields.pop();
        }
        let [number, text] = two(&path, line, fields)?;
        if number != NEUTRAL && !(number.is_empty() && text.is_empty()) {
            return Err(value_error(&path, line, "label", "9, which stands for neutral", &number));
        }
        Ok(Row { line, example: Example { id: format!("xed-neutral-{line}"), text }, held: Some(vec![false; NAMES.len()]) })
    };
    Ok(Box::new(source.tabs().map(move |fields| fields.and_then(&row))))
}

fn two(path: &Path, line: usize, fields: Vec<String>) -> Result<[String; COLUMNS], DataError> {
    <[String; COLUMNS]>::try_from(fields).map_err(|fields| DataError::Columns {
        path: path.to_owned(),
        line,
        expected: COLUMNS,
        found: fields.len(),
    })
}

/// Where each number's name stands among the labels.
fn places(path: &Path, labels: &LabelSet) -> Result<Vec<usize>, DataError> {
    let places: Option<Vec<usize>> = NAMES.iter().map(|name| labels.index_of(name)).collect();
    places.filter(|places| places.len() == labels.len()).ok_or_else(|| DataError::Labels {
        path: path.to_owned(),
        expected: NAMES.join(","),
        found: labels.names().join(","),
    })
}
