//! Products with a packed matrix, which is widened a panel of rows at a time.
//!
//! A panel is small enough to stay in the cache between its widening and its product, and wide enough
//! that the product runs as fast as one with the whole. Panels are the same whatever rows of `x`
//! there are, so a row of a result does not depend on the rows beside it here either.

use super::matmul::{Into, Matrix, product};
use crate::nn::spare::Spare;
use crate::nn::storage::Packed;

/// Numbers of a panel, about: one megabyte.
const PANEL: usize = 1 << 18;

/// Rows of a panel at least, above which products take their fast way.
const FEWEST: usize = 128;

/// The buffers of a product.
pub(crate) struct Scratch {
    /// The panel of the matrix.
    panel: Vec<f32>,
    /// The columns of a result or a gradient that belong to it.
    part: Vec<f32>,
}

impl Scratch {
    /// Those for this many rows of input.
    pub(crate) fn take(spare: &mut Spare, weight: &Packed, rows: usize) -> Self {
        let most = most(weight);
        Self { panel: spare.take(most * weight.columns()), part: spare.take(rows * most) }
    }

    pub(crate) fn give(self, spare: &mut Spare) {
        spare.give(self.panel);
        spare.give(self.part);
    }
}

/// `y = x W^T + b`, `[rows, outputs]`; an empty `bias` is none.
pub(crate) fn forward(y: &mut [f32], x: &[f32], weight: &Packed, bias: &[f32], scratch: &mut Scratch) {
    let (outputs, inputs) = (weight.rows(), weight.columns());
    let rows = x.len() / inputs;
    each_panel(weight, scratch, |first, panel, part| {
        let count = panel.len() / inputs;
        let part = &mut part[..rows * count];
        product(part, Into::Replace, Matrix::new(x, rows, inputs), Matrix::new(panel, count, inputs).transposed());
        for (y, part) in y.chunks_exact_mut(outputs).zip(part.chunks_exact(count)) {
            let y = &mut y[first..first + count];
            match bias.get(first..first + count) {
                Some(bias) => y.iter_mut().zip(part).zip(bias).for_each(|((y, part), bias)| *y = *part + bias),
                None => y.copy_from_slice(part),
            }
        }
    });
}

/// The gradient of the input, into or onto `dx`.
pub(crate) fn input_backward(dx: &mut [f32], into: Into, weight: &Packed, dy: &[f32], scratch: &mut Scratch) {
    let (outputs, inputs) = (weight.rows(), weight.columns());
    let rows = dy.len() / outputs;
    let mut into = into;
    each_panel(weight, scratch, |first, panel, part| {
        let count = panel.len() / inputs;
        let part = &mut part[..rows * count];
        for (part, dy) in part.chunks_exact_mut(count).zip(dy.chunks_exact(outputs)) {
            part.copy_from_slice(&dy[first..first + count]);
        }
        product(dx, into, Matrix::new(part, rows, count), Matrix::new(panel, count, inputs));
        into = Into::Add;
    });
}

/// Rows of the largest panel.
fn most(weight: &Packed) -> usize {
    (PANEL / weight.columns()).max(FEWEST).min(weight.rows())
}

/// Runs `with` on every panel: its first row, its numbers, and the other buffer.
fn each_panel(weight: &Packed, scratch: &mut Scratch, mut with: impl FnMut(usize, &[f32], &mut [f32])) {
    let most = most(weight);
    for first in (0..weight.rows()).step_by(most) {
        let panel = &mut scratch.panel[..most.min(weight.rows() - first) * weight.columns()];
        weight.widen(first, panel);
        with(first, panel, &mut scratch.part);
    }
}
