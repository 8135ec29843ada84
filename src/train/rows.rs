//! Encoded rows as a fit sees them: ids, tokens and answers side by side, wherever they come from.

use super::answers::Answers;
use super::data::Dataset;
use crate::text::Encoding;

/// Some rows, encoded.
#[derive(Clone)]
pub(super) struct Rows<'a> {
    pub(super) ids: Vec<&'a str>,
    pub(super) texts: Vec<&'a str>,
    pub(super) encodings: Vec<&'a Encoding>,
    pub(super) answers: Answers,
}

impl<'a> Rows<'a> {
    /// The given rows in the order given; `encodings` are the data set's, row by row.
    pub(super) fn select(data: &'a Dataset, encodings: &'a [Encoding], rows: &[usize]) -> Self {
        Self {
            ids: rows.iter().map(|&row| data.examples()[row].id.as_str()).collect(),
            texts: rows.iter().map(|&row| data.examples()[row].text.as_str()).collect(),
            encodings: rows.iter().map(|&row| &encodings[row]).collect(),
            answers: Answers::of(&data.targets().select(rows)),
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
            texts: positions.iter().map(|&position| self.texts[position]).collect(),
            encodings: positions.iter().map(|&position| self.encodings[position]).collect(),
            answers: self.answers.select(positions),
        }
    }

    /// These rows, then the other's.
    pub(super) fn joined(mut self, other: Self) -> Self {
        self.ids.extend(other.ids);
        self.texts.extend(other.texts);
        self.encodings.extend(other.encodings);
        Self { answers: self.answers.joined(&other.answers), ..self }
    }

    /// The same rows with other answers.
    pub(super) fn answering(&self, answers: Answers) -> Self {
        Self { answers, ..self.clone() }
    }

    pub(super) fn len(&self) -> usize {
        self.encodings.len()
    }
}
