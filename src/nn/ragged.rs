//! Which rows belong to which text, and which tokens are asked about.

use super::NnError;
use super::random::fold;

/// What a row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// A row a token, texts end to end.
    Tokens,
    /// A row a text.
    Texts,
    /// A row a token that is asked about.
    Marked,
}

/// The texts of a batch, end to end: where each begins, and the key its dropout masks grow from.
#[derive(Debug, Clone)]
pub(crate) struct Ragged {
    offsets: Vec<usize>,
    /// Tokens of each text that were read before this batch.
    past: Vec<usize>,
    keys: Vec<u64>,
    /// Rows of tokens that are asked about, ascending.
    marked: Vec<usize>,
}

impl Ragged {
    /// Checks that `offsets` starts at zero, rises strictly and ends at `ids`; a text's key is
    /// its position in the batch.
    pub(crate) fn new(ids: usize, offsets: &[u32]) -> Result<Self, NnError> {
        let wrong = |found: String| NnError::Offsets { ids, found };
        if offsets.len() < 2 || offsets[0] != 0 {
            return Err(wrong(format!("{} entries, the first {:?}", offsets.len(), offsets.first())));
        }
        if let Some(pair) = offsets.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(wrong(format!("{} before {}", pair[0], pair[1])));
        }
        let offsets: Vec<usize> = offsets.iter().map(|&offset| offset as usize).collect();
        if offsets[offsets.len() - 1] != ids {
            return Err(wrong(format!("{} at the end", offsets[offsets.len() - 1])));
        }
        let keys = (0..offsets.len() as u64 - 1).collect();
        Ok(Self { past: vec![0; offsets.len() - 1], offsets, keys, marked: Vec::new() })
    }

    /// The same texts with other keys.
    pub(crate) fn with_keys(&self, keys: Vec<u64>) -> Result<Self, NnError> {
        if keys.len() != self.texts() {
            return Err(NnError::rows("text keys", format!("{} keys", self.texts()), keys.len().to_string()));
        }
        Ok(Self { keys, ..self.clone() })
    }

    /// The same texts with these rows of tokens asked about, ascending.
    pub(crate) fn with_marked(&self, marked: Vec<usize>) -> Result<Self, NnError> {
        if !marked.is_sorted_by(|a, b| a < b) || marked.last().is_some_and(|&last| last >= self.tokens()) {
            return Err(NnError::rows("marked tokens", format!("rising rows below {}", self.tokens()), format!("{marked:?}")));
        }
        Ok(Self { marked, ..self.clone() })
    }

    /// The same texts as continuations of this many tokens each.
    pub(crate) fn with_past(&self, past: Vec<usize>) -> Result<Self, NnError> {
        if past.len() != self.texts() {
            return Err(NnError::rows("a cache", format!("{} sequences", self.texts()), past.len().to_string()));
        }
        Ok(Self { past, ..self.clone() })
    }

    /// Tokens of a text before this batch.
    pub(crate) fn past(&self, text: usize) -> usize {
        self.past[text]
    }

    /// Keys of a text: its tokens so far.
    pub(crate) fn keys(&self, text: usize) -> usize {
        self.past[text] + self.offsets[text + 1] - self.offsets[text]
    }

    /// The rows of tokens that are asked about.
    pub(crate) fn marked(&self) -> &[usize] {
        &self.marked
    }

    pub(crate) fn texts(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(crate) fn tokens(&self) -> usize {
        self.offsets[self.texts()]
    }

    /// Rows of this kind in the batch.
    pub(crate) fn rows(&self, kind: RowKind) -> usize {
        match kind {
            RowKind::Tokens => self.tokens(),
            RowKind::Texts => self.texts(),
            RowKind::Marked => self.marked.len(),
        }
    }

    /// The rows of this kind that belong to `text`.
    pub(crate) fn range(&self, kind: RowKind, text: usize) -> std::ops::Range<usize> {
        match kind {
            RowKind::Tokens => self.offsets[text]..self.offsets[text + 1],
            RowKind::Texts => text..text + 1,
            RowKind::Marked => {
                let before = |row: usize| self.marked.partition_point(|&marked| marked < row);
                before(self.offsets[text])..before(self.offsets[text + 1])
            }
        }
    }

    /// The key of the row at `position` of `text`, at one place of the network.
    pub(crate) fn key(&self, place: u64, text: usize, position: usize) -> u64 {
        fold(fold(place, self.keys[text]), position as u64)
    }

    /// Each token's position within its text.
    pub(crate) fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        self.offsets.windows(2).zip(&self.past).flat_map(|(pair, past)| *past..past + pair[1] - pair[0])
    }

    /// The first row of every text.
    pub(crate) fn firsts(&self) -> &[usize] {
        &self.offsets[..self.texts()]
    }

    /// The last row of every text.
    pub(crate) fn lasts(&self) -> Vec<usize> {
        self.offsets[1..].iter().map(|end| end - 1).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_that_are_no_batch_are_refused() {
        let cases: [(usize, &[u32]); 6] = [(0, &[]), (0, &[0]), (3, &[1, 3]), (3, &[0, 2]), (3, &[0, 2, 2, 3]), (3, &[0, 3, 2])];
        for (ids, offsets) in cases {
            assert!(matches!(Ragged::new(ids, offsets), Err(NnError::Offsets { .. })), "{offsets:?}");
        }
        let ragged = Ragged::new(5, &[0, 3, 5]).expect("a batch");
        assert_eq!(ragged.positions().collect::<Vec<_>>(), [0, 1, 2, 0, 1]);
        assert_eq!(ragged.range(RowKind::Tokens, 1), 3..5);
        assert_eq!(ragged.range(RowKind::Texts, 1), 1..2);
    }
}
