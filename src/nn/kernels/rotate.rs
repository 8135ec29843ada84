//! Rotary positions (Su et al. 2021, arXiv:2104.09864): each head's first half and second half are
//! the two coordinates of points, and a point of a row turns by its position times the point's speed.

use std::ops::Range;
use std::sync::Arc;

use crate::nn::ragged::Ragged;

/// Rotation of `[tokens, heads * head_width]` by the tokens' positions.
#[derive(Debug)]
pub(crate) struct Rotation {
    pub(crate) batch: Arc<Ragged>,
    pub(crate) head_width: usize,
    /// The position that the first row of the angles is for.
    pub(crate) first: usize,
    /// For every position the cosines and then the sines of a head's points, `[positions, head_width]`.
    pub(crate) angles: Arc<Vec<f32>>,
}

/// Which way rows turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// By their positions.
    Forward,
    /// Back again, which is also how gradients go.
    Back,
}

/// The [`Rotation::angles`] of some positions.
pub(crate) fn angles(positions: Range<usize>, speeds: &[f32]) -> Vec<f32> {
    let row = |position: usize| {
        let angles = speeds.iter().map(move |speed| position as f32 * speed);
        angles.clone().map(libm::cosf).chain(angles.map(libm::sinf))
    };
    positions.flat_map(row).collect()
}

impl Rotation {
    /// The cosines of a position, and its sines.
    pub(crate) fn row(&self, position: usize) -> (&[f32], &[f32]) {
        self.angles[(position - self.first) * self.head_width..][..self.head_width].split_at(self.head_width / 2)
    }

    /// Turns every row in place.
    pub(crate) fn apply(&self, rows: &mut [f32], turn: Turn) {
        let width = rows.len() / self.batch.tokens();
        let sign = if turn == Turn::Forward { 1.0 } else { -1.0 };
        for (row, position) in rows.chunks_exact_mut(width).zip(self.batch.positions()) {
            let (cosines, sines) = self.row(position);
            for head in row.chunks_exact_mut(self.head_width) {
                let (first, second) = head.split_at_mut(self.head_width / 2);
                for (((a, b), cosine), sine) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
                    (*a, *b) = (*a * cosine - sign * *b * sine, *b * cosine + sign * *a * sine);
                }
            }
        }
    }
}
