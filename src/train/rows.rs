//! Encoded rows as a fit sees them: ids, tokens and targets side by side.

use super::data::Dataset;
use crate::spec::Targets;
use crate::text::Encoding;

/// Some rows of a data set, encoded.
pub(super) struct Rows<'a> {
    pub(super) ids: Vec<&'a str>,
    pub(super) encodings: Vec<&'a Encoding>,
    pub(super) targets: Targets,
}

impl<'a> Rows<'a> {
    /// The given rows in the order given; `encodings` are the data set's, row by row.
    pub(super) fn select(data: &'a Dataset, encodings: &'a [Encoding], rows: &[usize]) -> Self {
        Self {
            ids: rows.iter().map(|&row| data.examples()[row].id.as_str()).collect(),
            encodings: rows.iter().map(|&row| &encodings[row]).collect(),
            targets: data.targets().select(rows),
        }
    }

    /// All rows.
    pub(super) fn all(data: &'a Dataset, encodings: &'a [Encoding]) -> Self {
        Self::select(data, encodings, &(0..encodings.len()).collect::<Vec<_>>())
    }

    /// Some of these rows, by position.
    pub(super) fn pick(&self, positions: &[usize]) -> Self {
        Self {
            ids: positions.iter().map(|&position| self.ids[position]).collect(),
            encodings: positions.iter().map(|&position| self.encodings[position]).collect(),
            targets: self.targets.select(positions),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.encodings.len()
    }
}
