//! The ragged batch: every token of every text in one row of ids, and where each text begins.

use super::{Encoding, TextError};

/// One or more encoded texts laid end to end.
///
/// `offsets` has one entry more than there are texts, starts at zero and rises strictly: text `i`
/// is `ids[offsets[i]..offsets[i + 1]]`. A batch holds at least one text and no empty text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    ids: Vec<u32>,
    offsets: Vec<u32>,
}

impl Batch {
    /// Lays the encodings end to end, in order.
    ///
    /// # Errors
    /// [`TextError::EmptyBatch`] without encodings.
    pub fn new<'a>(encodings: impl IntoIterator<Item = &'a Encoding>) -> Result<Self, TextError> {
        let mut ids = Vec::new();
        let mut offsets = vec![0];
        for encoding in encodings {
            ids.extend_from_slice(encoding.ids());
            offsets.push(u32::try_from(ids.len()).map_err(|_| TextError::BatchTooLarge)?);
        }
        if offsets.len() == 1 {
            return Err(TextError::EmptyBatch);
        }
        Ok(Self { ids, offsets })
    }

    /// Number of texts, at least one.
    #[must_use]
    pub fn texts(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Number of tokens over all texts.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// All ids, text after text.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Where each text begins, and the end: `texts + 1` entries.
    #[must_use]
    pub fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    /// The ids of each text in turn.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.offsets.windows(2).map(|pair| &self.ids[pair[0] as usize..pair[1] as usize])
    }

    /// Tokens in the longest text.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.rows().map(<[u32]>::len).max().unwrap_or(0)
    }
}
