//! Entries of a table, one a token: copied to rows, or added to them.
//!
//! The backward of it adds rows to the few table entries that the batch touched, never to a dense
//! table: see [`Gradients`](crate::nn::Gradients). A packed table is widened entry by entry.

use super::matmul::Into;
use super::simd::add_assign;
use crate::nn::storage::Packed;

/// `[tokens, width]` from a table of that width. Every entry lies in it.
pub(crate) fn whole(rows: &mut [f32], into: Into, table: &[f32], width: usize, entries: impl Iterator<Item = usize>) {
    for (row, entry) in rows.chunks_exact_mut(width).zip(entries) {
        put(row, into, &table[entry * width..][..width]);
    }
}

/// The same from a packed table.
pub(crate) fn packed(rows: &mut [f32], into: Into, table: &Packed, entries: impl Iterator<Item = usize>) {
    let mut values = vec![0.0; table.columns()];
    for (row, entry) in rows.chunks_exact_mut(table.columns()).zip(entries) {
        table.widen(entry, &mut values);
        put(row, into, &values);
    }
}

fn put(row: &mut [f32], into: Into, values: &[f32]) {
    if into == Into::Replace { row.copy_from_slice(values) } else { add_assign(row, values) }
}
