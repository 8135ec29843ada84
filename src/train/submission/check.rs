//! A finished file, read back: its header, its ids, its rows, its values, and the sample that a
//! competition gives out.
//!
//! Whether an id stands twice is asked of some of the ids at a time, in as many readings as it
//! takes, so that memory stays bounded and the answer exact.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{ID, Ids, Layout};
use crate::spec::LabelSet;
use crate::train::{TrainError, files};

/// Ids remembered at once while looking for one that stands twice.
const REMEMBERED: usize = 1 << 18;

/// What the file must hold.
pub(super) struct Expected<'a> {
    pub(super) layout: Layout,
    pub(super) labels: &'a LabelSet,
    pub(super) rows: usize,
    /// The ids of the input.
    pub(super) ids: Ids,
}

/// A line, from 1, and the id that stands there.
type Id = (usize, String);

/// Reads `path`, which will stand at `target`, and compares it with what was to be written.
pub(super) fn check(path: &Path, target: &Path, expected: &Expected<'_>) -> Result<(), TrainError> {
    let (mut ids, mut rows) = (Ids::default(), 0);
    for id in rows_of(path, target, expected)? {
        ids.add(&id?.1);
        rows += 1;
    }
    if rows != expected.rows {
        return Err(wrong(target, rows, format!("{} rows, as the input", expected.rows), format!("{rows}")));
    }
    if ids.0.finalize() != expected.ids.clone().0.finalize() {
        return Err(wrong(target, 1, "the ids of the input in their order".to_owned(), "others".to_owned()));
    }
    let readings = rows.div_ceil(REMEMBERED);
    (0..readings).try_for_each(|reading| distinct(rows_of(path, target, expected)?, target, (reading, readings)))
}

/// Looks for an id that stands twice among those whose hash falls to this reading.
fn distinct(
    ids: Box<dyn Iterator<Item = Result<Id, TrainError>> + '_>,
    target: &Path,
    (reading, readings): (usize, usize),
) -> Result<(), TrainError> {
    let mut lines: HashMap<String, usize> = HashMap::new();
    for id in ids {
        let (line, id) = id?;
        if usize::from(u16::from_le_bytes(Sha256::digest(&id)[..2].try_into().unwrap_or_default())) % readings != reading {
            continue;
        }
        if let Some(first) = lines.get(&id) {
            return Err(wrong(target, line, "every id once".to_owned(), format!("{id:?}, which stands in line {first} already")));
        }
        lines.insert(id, line);
    }
    Ok(())
}

fn rows_of<'a>(
    path: &Path,
    target: &'a Path,
    expected: &'a Expected<'_>,
) -> Result<Box<dyn Iterator<Item = Result<Id, TrainError>> + 'a>, TrainError> {
    match expected.layout {
        Layout::Labels | Layout::Scores => {
            let mut records = records(path)?;
            let header = std::iter::once(ID).chain(expected.labels.names().iter().map(String::as_str));
            let header: Vec<String> = header.map(str::to_owned).collect();
            match records.next().transpose()? {
                Some((_, found)) if found == header => {}
                found => return Err(wrong(target, 1, header.join(","), found.map_or(String::new(), |(_, found)| found.join(",")))),
            }
            Ok(Box::new(records.map(move |record| cells(target, record?, expected))))
        }
        Layout::Lines | Layout::ScoredLines => {
            let file = File::open(path).map_err(files::failed(path, "read"))?;
            let lines = BufReader::new(file).lines().enumerate();
            let path = path.to_owned();
            Ok(Box::new(lines.map(move |(at, line)| object(target, at + 1, &line.map_err(files::failed(&path, "read"))?, expected))))
        }
    }
}

fn cells(target: &Path, (line, mut record): (usize, Vec<String>), expected: &Expected<'_>) -> Result<Id, TrainError> {
    if record.len() != expected.labels.len() + 1 {
        return Err(wrong(target, line, format!("{} columns", expected.labels.len() + 1), record.len().to_string()));
    }
    let fine = |cell: &String| match expected.layout {
        Layout::Labels => cell == "0" || cell == "1",
        _ => cell.parse::<f32>().is_ok_and(|score| (0.0..=1.0).contains(&score)),
    };
    if let Some(found) = record[1..].iter().find(|cell| !fine(cell)) {
        let expected = if expected.layout == Layout::Labels { "0 or 1" } else { "a number in [0, 1]" };
        return Err(wrong(target, line, expected.to_owned(), found.clone()));
    }
    Ok((line, record.swap_remove(0)))
}

/// A line of JSON, read back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    id: String,
    labels: Vec<String>,
    scores: Option<Map<String, Value>>,
}

fn object(target: &Path, line: usize, text: &str, expected: &Expected<'_>) -> Result<Id, TrainError> {
    let object: Object = serde_json::from_str(text).map_err(|error| wrong(target, line, "an object".to_owned(), error.to_string()))?;
    let mut places = object.labels.iter().map(|name| expected.labels.index_of(name));
    if !(places.all(|place| place.is_some()) && object.labels.iter().is_sorted_by_key(|name| expected.labels.index_of(name))) {
        return Err(wrong(target, line, "labels of the bundle in their order".to_owned(), object.labels.join(", ")));
    }
    let scores = object.scores.map(|scores| {
        let fine = scores.values().all(|score| score.as_f64().is_some_and(|score| (0.0..=1.0).contains(&score)));
        fine && scores.keys().eq(expected.labels.names())
    });
    let wanted = (expected.layout == Layout::ScoredLines).then_some(true);
    if scores != wanted {
        return Err(wrong(target, line, "a score in [0, 1] for every label, or none at all".to_owned(), text.to_owned()));
    }
    Ok((line, object.id))
}

/// Compares header, number of rows and ids with a sample submission, row by row.
pub(super) fn against_sample(path: &Path, target: &Path, sample: &Path) -> Result<(), TrainError> {
    let (mut ours, mut theirs) = (records(path)?, records(sample)?);
    let mut rows = 0;
    loop {
        let (our, their) = (ours.next().transpose()?, theirs.next().transpose()?);
        let of_sample = |what: &str| format!("{what} of {}", sample.display());
        match (our, their) {
            (None, None) => return Ok(()),
            (Some((line, our)), Some((_, their))) if rows == 0 && our != their => {
                return Err(wrong(target, line, of_sample(&format!("the header {:?}", their.join(","))), our.join(",")));
            }
            (Some((line, our)), Some((_, their))) if our.first() != their.first() => {
                let (our, their) = (our.into_iter().next().unwrap_or_default(), their.into_iter().next().unwrap_or_default());
                return Err(wrong(target, line, of_sample(&format!("the id {their:?}")), our));
            }
            (Some(_), Some(_)) => rows += 1,
            (Some((line, our)), None) => return Err(wrong(target, line, of_sample("the end"), our.join(","))),
            (None, Some((_, their))) => {
                return Err(wrong(target, rows + 1, of_sample(&format!("the row {:?}", their.join(","))), "the end".to_owned()));
            }
        }
    }
}

/// Records of a comma-separated file, header and all, with their lines.
fn records(path: &Path) -> Result<impl Iterator<Item = Result<(usize, Vec<String>), TrainError>> + use<>, TrainError> {
    let file = File::open(path).map_err(files::failed(path, "read"))?;
    let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
    let path = path.to_owned();
    Ok(reader.into_records().map(move |record| {
        let record = record.map_err(|error| files::failed(&path, "read")(error.into()))?;
        let line = record.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(usize::MAX));
        Ok((line, record.iter().map(str::to_owned).collect()))
    }))
}

fn wrong(path: &Path, line: usize, expected: String, found: String) -> TrainError {
    TrainError::Submission { path: path.to_owned(), line, expected, found }
}
