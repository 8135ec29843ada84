//! `y = x W^T + b`, with `x` `[rows, inputs]` and `W` `[outputs, inputs]`.

use super::matmul::{Into, Matrix, product};
use super::simd::{add_assign, dispatch};

/// `y = x W^T + b`, `[rows, outputs]`; an empty `bias` is none.
pub(crate) fn forward(y: &mut [f32], x: &[f32], weight: &[f32], bias: &[f32], outputs: usize) {
    let inputs = weight.len() / outputs;
    let into = if bias.is_empty() { Into::Replace } else { Into::Add };
    for row in y.chunks_exact_mut(outputs).filter(|_| !bias.is_empty()) {
        row.copy_from_slice(bias);
    }
    let rows = y.len() / outputs;
    product(y, into, Matrix::new(x, rows, inputs), Matrix::new(weight, outputs, inputs).transposed());
}

/// The gradient of the weight, into or onto `dw`.
pub(crate) fn weight_backward(dw: &mut [f32], into: Into, x: &[f32], dy: &[f32], outputs: usize) {
    let (rows, inputs) = (dy.len() / outputs, dw.len() / outputs);
    product(dw, into, Matrix::new(dy, rows, outputs).transposed(), Matrix::new(x, rows, inputs));
}

/// The gradient of the input, into or onto `dx`.
pub(crate) fn input_backward(dx: &mut [f32], into: Into, weight: &[f32], dy: &[f32], outputs: usize) {
    product(dx, into, Matrix::new(dy, dy.len() / outputs, outputs), Matrix::new(weight, outputs, weight.len() / outputs));
}

dispatch! {
    /// `sums += the sum of the rows of dy`.
    pub(crate) fn add_rows(sums: &mut [f32], dy: &[f32]) = add_rows_body
}

#[inline(always)]
fn add_rows_body<const FUSED: bool>(sums: &mut [f32], dy: &[f32]) {
    for row in dy.chunks_exact(sums.len()) {
        add_assign(sums, row);
    }
}
