//! TensorBoard's event files: records of a length, a message and two checksums.
//!
//! Framing: <https://github.com/tensorflow/tensorboard/blob/master/tensorboard/summary/writer/record_writer.py>;
//! field numbers: `tensorboard/compat/proto/event.proto` and `summary.proto` there. Of the messages,
//! what scalars need.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crc::{CRC_32_ISCSI, Crc};
use prost::Message;

use crate::train::{TrainError, files};

/// CRC-32C.
const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
/// Added to a rotated checksum, so that the checksum of data that holds checksums stays a good one.
const MASK: u32 = 0xa282_ead8;
/// First record of every file.
const VERSION: &str = "brain.Event:2";
/// `SessionLog.SessionStatus`.
const START: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

/// `Summary.Value`.
#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// One event file, written record by record.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Creates the file; there must be none.
    ///
    /// `time` is since 1970, here and below.
    ///
    /// # Errors
    /// [`TrainError::File`], as everywhere below.
    pub fn create(path: &Path, time: Duration) -> Result<Self, TrainError> {
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(files::failed(path, "create"))?;
        let mut events = Self { path: path.to_owned(), file };
        events.write(&Event { wall_time: time.as_secs_f64(), file_version: Some(VERSION.to_owned()), ..Event::default() })?;
        Ok(events)
    }

    /// A session begins at `step`: readers forget what earlier files of the folder say of that step and
    /// later ones.
    ///
    /// # Errors
    /// As above.
    pub fn start(&mut self, step: u64, time: Duration) -> Result<(), TrainError> {
        self.write(&Event {
            wall_time: time.as_secs_f64(),
            step: signed(step),
            session_log: Some(SessionLog { status: START }),
            ..Event::default()
        })
    }

    /// Values of one step, by tag. They are stored in single precision.
    ///
    /// # Errors
    /// As above.
    pub fn scalars(&mut self, step: u64, time: Duration, values: &[(String, f64)]) -> Result<(), TrainError> {
        let value = values.iter().map(|(tag, value)| Scalar { tag: tag.clone(), simple_value: Some(*value as f32) }).collect();
        self.write(&Event { wall_time: time.as_secs_f64(), step: signed(step), summary: Some(Summary { value }), ..Event::default() })
    }

    /// One call of the system a record, so that a kill leaves whole records.
    fn write(&mut self, event: &Event) -> Result<(), TrainError> {
        self.file.write_all(&record(&event.encode_to_vec())).map_err(files::failed(&self.path, "write"))
    }
}

fn signed(step: u64) -> i64 {
    i64::try_from(step).unwrap_or(i64::MAX)
}

/// A message in its frame: length, its checksum, the message, its checksum, little-endian.
fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), message, &masked(message)].concat()
}

fn masked(bytes: &[u8]) -> [u8; 4] {
    CHECKSUM.checksum(bytes).rotate_right(15).wrapping_add(MASK).to_le_bytes()
}
