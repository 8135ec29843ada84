//! Rows of tokens to rows of texts: the first token, or the mean.

use super::simd::add_assign;
use crate::nn::ragged::{Ragged, RowKind};

/// Each text's first row.
pub(crate) fn first_token(batch: &Ragged, y: &mut [f32], x: &[f32]) {
    let width = y.len() / batch.texts();
    for (first, y) in batch.firsts().iter().zip(y.chunks_exact_mut(width)) {
        y.copy_from_slice(&x[first * width..][..width]);
    }
}

/// The gradient of the rows that [`first_token`] took; zero for the others.
pub(crate) fn first_token_backward(batch: &Ragged, dx: &mut [f32], dy: &[f32]) {
    let width = dy.len() / batch.texts();
    dx.fill(0.0);
    for (first, dy) in batch.firsts().iter().zip(dy.chunks_exact(width)) {
        dx[first * width..][..width].copy_from_slice(dy);
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
