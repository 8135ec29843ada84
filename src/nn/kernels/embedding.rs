//! The sum of up to three table entries a token: word, position, and segment 0; times a scale.
//!
//! Its backward adds rows to the few table entries that the batch touched, never to a dense table:
//! see [`Gradients`](crate::nn::Gradients).

use super::simd::add_assign;

/// `[tokens, width]` from tables of that width: words, positions, segments; an empty one is none.
/// Every id and position lies in its table.
pub(crate) fn forward(sum: &mut [f32], tables: [&[f32]; 3], width: usize, ids: &[u32], places: impl Iterator<Item = usize>) {
    let [words, positions, segments] = tables;
    for ((row, &id), place) in sum.chunks_exact_mut(width).zip(ids).zip(places) {
        row.copy_from_slice(&words[id as usize * width..][..width]);
        if !segments.is_empty() {
            add_assign(row, &segments[..width]);
        }
        if !positions.is_empty() {
            add_assign(row, &positions[place * width..][..width]);
        }
    }
}
