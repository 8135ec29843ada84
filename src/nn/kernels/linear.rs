//! `y = x W^T + b`.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::matmul::{Into, Matrix, product};
use super::simd::{add_assign, dispatch};
use super::{gradient, numbers, read, rows};
use crate::nn::gradients::Ledger;

/// A dense layer on rows `[rows, inputs]`; `weight` is `[outputs, inputs]`.
pub(crate) struct Linear {
    pub(crate) weight: Tensor,
    pub(crate) bias: Tensor,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Where the gradients of weight and bias go, and their places there.
    pub(crate) ledger: Option<(Ledger, usize, usize)>,
}

/// `y = x W^T + b`, `[rows, outputs]`.
pub(crate) fn forward(x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let outputs = bias.len();
    let inputs = weight.len() / outputs;
    let rows = x.len() / inputs;
    let mut y = Vec::with_capacity(rows * outputs);
    for _ in 0..rows {
        y.extend_from_slice(bias);
    }
    product(&mut y, Into::Add, Matrix::new(x, rows, inputs), Matrix::new(weight, outputs, inputs).transposed());
    y
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

impl CustomOp1 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = numbers(storage, layout)?;
        let y = read(&self.weight, |weight| read(&self.bias, |bias| Ok(forward(x, weight, bias))))?;
        Ok(rows(y, self.outputs))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dy = dy.contiguous()?;
        let count = x.dim(0)?;
        read(&dy, |dy| {
            let dy_rows = Matrix::new(dy, count, self.outputs);
            if let Some((ledger, weight, bias)) = &self.ledger {
                let mut ledger = ledger.lock();
                read(x, |x| {
                    let (dw, into) = ledger.dense(*weight, self.outputs * self.inputs);
                    product(dw, into, dy_rows.transposed(), Matrix::new(x, count, self.inputs));
                    Ok(())
                })?;
                add_rows(ledger.dense_to_add(*bias, self.outputs), dy);
            }
            let mut dx = vec![0.0; count * self.inputs];
            read(&self.weight, |weight| {
                product(&mut dx, Into::Replace, dy_rows, Matrix::new(weight, self.outputs, self.inputs));
                Ok(())
            })?;
            Ok(Some(gradient(dx, x)?))
        })
    }
}
