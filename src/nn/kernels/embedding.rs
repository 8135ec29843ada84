//! The sum of three table entries a token: word, position, and segment 0.
//!
//! No custom operation: the sum is the leaf of the graph, and the rows of its gradient are added
//! to the few table entries that the batch touched, never to a dense table.

use super::simd::add_assign;

/// `[tokens, width]` from tables of that width. Every id and position lies in its table.
pub(crate) fn forward(
    words: &[f32],
    positions: &[f32],
    segments: &[f32],
    width: usize,
    ids: &[u32],
    places: impl Iterator<Item = usize>,
) -> Vec<f32> {
    let mut out = Vec::with_capacity(ids.len() * width);
    for (&id, place) in ids.iter().zip(places) {
        let start = out.len();
        out.extend_from_slice(&words[id as usize * width..][..width]);
        let row = &mut out[start..];
        add_assign(row, &segments[..width]);
        add_assign(row, &positions[place * width..][..width]);
    }
    out
}
