//! Rows of tokens to rows of texts: one of them, or the mean.

use super::simd::add_assign;
use crate::nn::ragged::{Ragged, RowKind};

/// These rows, `width` wide.
pub(crate) fn pick(y: &mut [f32], x: &[f32], rows: &[usize], width: usize) {
    for (row, y) in rows.iter().zip(y.chunks_exact_mut(width)) {
        y.copy_from_slice(&x[row * width..][..width]);
    }
}

/// The gradient of the rows that [`pick`] took; zero for the others.
pub(crate) fn pick_backward(dx: &mut [f32], dy: &[f32], rows: &[usize], width: usize) {
    dx.fill(0.0);
    for (row, dy) in rows.iter().zip(dy.chunks_exact(width)) {
        dx[row * width..][..width].copy_from_slice(dy);
    }
}

/// The mean of each text's rows.
pub(crate) fn mean_tokens(batch: &Ragged, y: &mut [f32], x: &[f32]) {
    let width = y.len() / batch.texts();
    y.fill(0.0);
    for (text, y) in y.chunks_exact_mut(width).enumerate() {
        let range = batch.range(RowKind::Tokens, text);
        let share = 1.0 / range.len() as f32;
        for row in x[range.start * width..range.end * width].chunks_exact(width) {
            add_assign(y, row);
        }
        y.iter_mut().for_each(|y| *y *= share);
    }
}

/// The gradient of the rows under [`mean_tokens`].
pub(crate) fn mean_tokens_backward(batch: &Ragged, dx: &mut [f32], dy: &[f32]) {
    let width = dy.len() / batch.texts();
    for (text, dy) in dy.chunks_exact(width).enumerate() {
        let range = batch.range(RowKind::Tokens, text);
        let share = 1.0 / range.len() as f32;
        for row in dx[range.start * width..range.end * width].chunks_exact_mut(width) {
            for (dx, dy) in row.iter_mut().zip(dy) {
                *dx = dy * share;
            }
        }
    }
}
