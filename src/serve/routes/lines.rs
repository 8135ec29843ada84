//! A body as lines, as they come: bounded memory whatever the client sends. A line over the limit is
//! skipped to its end and told as such; the lines after it are read on.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use actix_web::body::{BodyStream, MessageBody};
use actix_web::web::{Bytes, Payload};
use tokio::time::timeout;

use crate::serve::error::ApiError;

/// One line and its number, from 1.
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) content: Result<Vec<u8>, ApiError>,
}

/// The lines of a body.
pub(super) struct Lines {
    body: Pin<Box<BodyStream<Payload>>>,
    /// What the last piece of the body held beyond the last line.
    piece: Bytes,
    number: usize,
    longest: usize,
    patience: Duration,
    ended: bool,
}

impl Lines {
    /// Lines of at most `longest` bytes; a client that sends nothing for `patience` is given up.
    pub(super) fn new(payload: Payload, longest: usize, patience: Duration) -> Self {
        let body = Box::pin(BodyStream::new(payload));
        Self { body, piece: Bytes::new(), number: 0, longest, patience, ended: false }
    }

    /// The next line that is not blank. A body that breaks off or stalls ends in a line that says so.
    pub(super) async fn next(&mut self) -> Option<Line> {
        while !self.ended {
            let content = self.line().await;
            self.number += 1;
            if content.as_ref().is_ok_and(|line| line.trim_ascii().is_empty()) {
                continue;
            }
            return Some(Line { number: self.number, content });
        }
        None
    }

    /// Reads no further; the line that was next is answered by `error`.
    pub(super) fn end(&mut self, error: ApiError) -> Option<Line> {
        let was_open = !std::mem::replace(&mut self.ended, true);
        was_open.then(|| Line { number: self.number + 1, content: Err(error) })
    }

    /// Everything up to the next line feed or the body's end, which is noted.
    async fn line(&mut self) -> Result<Vec<u8>, ApiError> {
        let (mut line, mut long) = (Vec::new(), false);
        loop {
            let end = self.piece.iter().position(|&byte| byte == b'\n');
            let part = self.piece.split_to(end.unwrap_or(self.piece.len()));
            long = long || line.len() + part.len() > self.longest;
            if !long {
                line.extend_from_slice(&part);
            }
            if end.is_some() {
                let _ = self.piece.split_to(1);
                break;
            }
            match self.piece().await {
                Ok(Some(piece)) => self.piece = piece,
                Ok(None) => {
                    self.ended = true;
                    break;
                }
                Err(error) => {
                    self.ended = true;
                    return Err(error);
                }
            }
        }
        if long { Err(ApiError::BodyTooLarge(self.longest)) } else { Ok(line) }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, ApiError> {
        let next = poll_fn(|context| self.body.as_mut().poll_next(context));
        let piece = timeout(self.patience, next).await.map_err(|_| ApiError::BodyTimeout)?;
        piece.transpose().map_err(|_| ApiError::Malformed("the body broke off".to_owned()))
    }
}
