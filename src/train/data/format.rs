//! The layouts that can be read, and which reader reads each.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::source::Source;
use super::{DataError, Rows, goemotions, jsonl, table, xed};
use crate::spec::LabelSet;

/// The layouts that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataFormat {
    /// SemEval-2018 E-c: a header, then `ID`, `Tweet` and one 0/1 column a label, parted by tabs.
    /// Split on tab and newline only; a quote is a character like any other.
    EcTsv,
    /// The competition's file: the same columns as comma-separated values with quoting (RFC 4180).
    EcCsv,
    /// `GoEmotions`: no header; text, comma-separated label positions, comment id, parted by tabs,
    /// with CSV quoting.
    Goemotions,
    /// XED: no header; text and comma-separated numbers 1 to 8, parted by a tab. Ids are
    /// `xed-` and the line.
    Xed,
    /// XED's neutral lines: no header; the number 9 and text, parted by a tab. Rows hold no label;
    /// ids are `xed-neutral-` and the line.
    XedNeutral,
    /// BRIGHTER (`SemEval`-2025 task 11, track A): a header, then `id`, `text` and one 0/1 column a
    /// label, as comma-separated values with quoting. Rows whose text is the spreadsheet error
    /// `#NAME?` are left out.
    BrighterCsv,
    /// One object a line: `{"id": ..., "text": ..., "labels": [names]}`.
    Jsonl,
}

/// A layout of ids and texts whose labels are not asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextFormat {
    /// One of the labelled ones; its label columns may say `NONE`.
    Labelled(DataFormat),
    /// Comma-separated values with quoting, under a header that has these two columns among others.
    Columns {
        /// Name of the column of ids.
        id: String,
        /// Name of the column of texts.
        text: String,
    },
}

/// Every format and its name.
const NAMES: [(DataFormat, &str); 7] = [
    (DataFormat::EcTsv, "ec_tsv"),
    (DataFormat::EcCsv, "ec_csv"),
    (DataFormat::Goemotions, "goemotions"),
    (DataFormat::Xed, "xed"),
    (DataFormat::XedNeutral, "xed_neutral"),
    (DataFormat::BrighterCsv, "brighter_csv"),
    (DataFormat::Jsonl, "jsonl"),
];

impl DataFormat {
    /// The names, for messages.
    pub const EXPECTED: &'static str = "ec_tsv, ec_csv, goemotions, xed, xed_neutral, brighter_csv or jsonl";

    pub(super) fn rows<'a>(self, source: Source<'a>, labels: &'a LabelSet) -> Result<Rows<'a>, DataError> {
        let path = source.path().to_owned();
        match self {
            Self::EcTsv => table::rows(path, source.tabs(), table::EC, labels),
            Self::EcCsv => table::rows(path, source.quoted(b','), table::EC, labels),
            Self::Goemotions => Ok(goemotions::rows(source, labels)),
            Self::Xed => xed::annotated(source, labels),
            Self::XedNeutral => xed::neutral(source, labels),
            Self::BrighterCsv => table::rows(path, source.quoted(b','), table::BRIGHTER, labels),
            Self::Jsonl => Ok(jsonl::rows(source, labels)),
        }
    }

    /// Why this text, in a file of this format, is not what anybody wrote.
    pub(super) fn lost(self, text: &str) -> Option<&'static str> {
        match self {
            Self::BrighterCsv if text == "#NAME?" => Some("the text is the spreadsheet error #NAME?"),
            Self::XedNeutral if text.is_empty() => Some("the text is empty"),
            _ => None,
        }
    }
}

impl FromStr for DataFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = NAMES.iter().find(|(_, known)| *known == name);
        known.map(|(format, _)| *format).ok_or_else(|| format!("expected {}, found {name}", Self::EXPECTED))
    }
}
