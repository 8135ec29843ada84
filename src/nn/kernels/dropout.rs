//! Dropout (Srivastava et al. 2014) on rows: each number is zeroed with probability `p`, the rest
//! grow by `1 / (1 - p)`. The mask is a function of counters and is stored nowhere.

use std::sync::Arc;

use super::simd::dispatch;
use crate::nn::ragged::{Ragged, RowKind};
use crate::nn::random::Keep;

/// Dropout at one place of the network.
#[derive(Debug)]
pub(crate) struct Dropout {
    pub(crate) batch: Arc<Ragged>,
    pub(crate) kind: RowKind,
    pub(crate) keep: Keep,
    /// The key of this place.
    pub(crate) place: u64,
}

impl Dropout {
    /// The key of every row, in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.batch.texts()).flat_map(move |text| {
            (0..self.batch.range(self.kind, text).len()).map(move |position| self.batch.key(self.place, text, position))
        })
    }

    /// Multiplies rows, or their gradient, by the mask.
    pub(crate) fn apply(&self, rows: &mut [f32]) {
        let width = rows.len() / self.batch.rows(self.kind);
        for (row, key) in rows.chunks_exact_mut(width).zip(self.keys()) {
            mask_row(row, self.keep, key);
        }
    }
}

dispatch! {
    /// One row times its mask.
    fn mask_row(row: &mut [f32], keep: Keep, key: u64) = mask_row_body
}

#[inline(always)]
fn mask_row_body<const FUSED: bool>(row: &mut [f32], keep: Keep, key: u64) {
    for (column, value) in row.iter_mut().enumerate() {
        *value *= keep.factor(key, column as u32);
    }
}
