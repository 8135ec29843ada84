//! The bytes of a data file as lines, or as rows of fields: one at a time, checked to be UTF-8.
//!
//! Nothing here holds more than a row, so a file may be larger than memory. What cannot be read is
//! said with its line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::DataError;

/// Line, from 1, and the fields of one row.
pub(super) type Fields<'a> = Box<dyn Iterator<Item = Result<(usize, Vec<String>), DataError>> + 'a>;

/// Bytes, and the name that messages give them.
pub(super) struct Source<'a> {
    path: PathBuf,
    bytes: Box<dyn Read + 'a>,
}

impl<'a> Source<'a> {
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(unreadable(path))?;
        Ok(Self { path: path.to_owned(), bytes: Box::new(file) })
    }

    pub(super) fn new(name: &Path, bytes: impl Read + 'a) -> Self {
        Self { path: name.to_owned(), bytes: Box::new(bytes) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Lines that are not empty, without their ends (`\n`, or `\r\n`).
    pub(super) fn lines(self) -> impl Iterator<Item = Result<(usize, String), DataError>> + 'a {
        let Self { path, bytes } = self;
        let (mut bytes, mut number) = (BufReader::new(bytes), 0);
        std::iter::from_fn(move || {
            loop {
                number += 1;
                let mut line = Vec::new();
                match bytes.read_until(b'\n', &mut line) {
                    Err(source) => return Some(Err(unreadable(&path)(source))),
                    Ok(0) => return None,
                    Ok(_) => {}
                }
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if !line.is_empty() {
                    return Some(utf8(&path, number, line).map(|line| (number, line)));
                }
            }
        })
    }

    /// Lines split at tabs; a quote is a character like any other.
    pub(super) fn tabs(self) -> Fields<'a> {
        let split = |line: String| line.split('\t').map(str::to_owned).collect();
        Box::new(self.lines().map(move |line| line.map(|(number, line)| (number, split(line)))))
    }

    /// Fields with quoting (RFC 4180): a quoted one may hold delimiters, quotes and newlines.
    pub(super) fn quoted(self, delimiter: u8) -> Fields<'a> {
        let Self { path, bytes } = self;
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(bytes);
        let mut pending = 0;
        Box::new(std::iter::from_fn(move || {
            let mut record = csv::ByteRecord::new();
            match reader.read_byte_record(&mut record) {
                Err(error) => return Some(Err(unreadable(&path)(error.into()))),
                Ok(false) => return None,
                Ok(true) => {}
            }
            let line = record.position().map_or(0, csv::Position::line) + pending;
            // The reader takes a `\r` for the end of a row, and counts the `\n` behind it with the next.
            let last = line + record.as_slice().iter().filter(|&&byte| byte == b'\n').count() as u64;
            pending = u64::from(reader.position().line() == last);
            Some(fields(&path, usize::try_from(line).unwrap_or(usize::MAX), &record))
        }))
    }
}

fn fields(path: &Path, line: usize, record: &csv::ByteRecord) -> Result<(usize, Vec<String>), DataError> {
    let mut at = line;
    let mut field = |bytes: &[u8]| {
        let text = utf8(path, at, bytes)?;
        at += text.matches('\n').count();
        Ok(text)
    };
    Ok((line, record.iter().map(&mut field).collect::<Result<_, DataError>>()?))
}

/// The text of bytes that begin in `line`.
fn utf8(path: &Path, line: usize, bytes: &[u8]) -> Result<String, DataError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let line = line + bytes[..at].iter().filter(|&&byte| byte == b'\n').count();
        DataError::Utf8 { path: path.to_owned(), line, found: bytes[at] }
    })?;
    Ok(text.to_owned())
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> DataError {
    let path = path.to_owned();
    move |source| DataError::Read { path, source }
}
