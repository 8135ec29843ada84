//! Buffers that travel from one training step to the next.

use std::sync::Arc;

/// Most buffers kept; a pass of a twelve-layer encoder holds fewer.
const MOST: usize = 256;

/// Sizes are rounded up to these many numbers, so that texts of other lengths find a buffer.
const GRAIN: usize = 1 << 14;

/// Buffers waiting for use, shortest first. What they hold is left over from their last use.
#[derive(Debug, Default)]
pub(crate) struct Spare(Vec<Vec<f32>>);

impl Spare {
    /// A buffer of `len` numbers of any value.
    pub(crate) fn take(&mut self, len: usize) -> Vec<f32> {
        let place = self.0.partition_point(|buffer| buffer.capacity() < len);
        let mut buffer = match self.0.get(place) {
            Some(_) => self.0.remove(place),
            None => Vec::with_capacity(len.next_multiple_of(GRAIN)),
        };
        // Only what was never written is filled.
        buffer.resize(len, 0.0);
        buffer
    }

    /// Keeps a buffer for later.
    pub(crate) fn give(&mut self, buffer: Vec<f32>) {
        let place = self.0.partition_point(|other| other.capacity() < buffer.capacity());
        self.0.insert(place, buffer);
        if self.0.len() > MOST {
            self.0.remove(0);
        }
    }

    /// Keeps a buffer for later if nobody else holds it.
    pub(crate) fn give_back(&mut self, buffer: Arc<Vec<f32>>) {
        if let Ok(buffer) = Arc::try_unwrap(buffer) {
            self.give(buffer);
        }
    }

    /// Takes over all of another's buffers.
    pub(crate) fn join(&mut self, other: Self) {
        for buffer in other.0 {
            self.give(buffer);
        }
    }
}
