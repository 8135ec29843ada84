//! Layer normalisation of `x`, or of `x + residual` (Ba, Kiros and Hinton 2016,
//! arXiv:1607.06450), over the last axis, with the biased variance.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};

use super::simd::{LANES, dispatch, fma, sum, sum_lanes};
use super::{gradient, numbers, read, rows};
use crate::nn::gradients::Ledger;

/// Normalises rows of `width`.
pub(crate) struct LayerNorm {
    pub(crate) scale: Tensor,
    pub(crate) shift: Tensor,
    pub(crate) width: usize,
    pub(crate) epsilon: f32,
    /// Where the gradients of scale and shift go, and their places there.
    pub(crate) ledger: Option<(Ledger, usize, usize)>,
}

dispatch! {
    /// `y = (z - mean) / sqrt(variance + epsilon) * scale + shift` with `z = x + residual`; an
    /// empty `residual` is none.
    pub(crate) fn forward(y: &mut [f32], x: &[f32], residual: &[f32], scale: &[f32], shift: &[f32], epsilon: f32) = forward_body
}

#[inline(always)]
fn forward_body<const FUSED: bool>(y: &mut [f32], x: &[f32], residual: &[f32], scale: &[f32], shift: &[f32], epsilon: f32) {
    let width = scale.len();
    for (row, (y, x)) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)).enumerate() {
        y.copy_from_slice(x);
        if !residual.is_empty() {
            super::simd::add_assign(y, &residual[row * width..][..width]);
        }
        let (mean, inverse) = moments::<FUSED>(y, epsilon);
        for ((y, scale), shift) in y.iter_mut().zip(scale).zip(shift) {
            *y = fma::<FUSED>((*y - mean) * inverse, *scale, *shift);
        }
    }
}

/// Mean and `1 / sqrt(variance + epsilon)` of one row; the variance in a second pass over the
/// centred numbers, since one pass would cancel.
#[inline(always)]
fn moments<const FUSED: bool>(row: &[f32], epsilon: f32) -> (f32, f32) {
    let width = row.len() as f32;
    let mean = sum(row) / width;
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            let centred = chunk[lane] - mean;
            lanes[lane] = fma::<FUSED>(centred, centred, lanes[lane]);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane = fma::<FUSED>(value - mean, value - mean, *lane);
    }
    (mean, 1.0 / (sum_lanes(lanes) / width + epsilon).sqrt())
}

dispatch! {
    /// `dx`, and `dscale +=`, `dshift +=`, from `z = x + residual` and `dy`. `dx` is the gradient
    /// of `x` and of `residual` alike.
    ///
    /// With `n = (z - mean) * inverse` and `g = dy * scale`:
    /// `dx = inverse * (g - mean(g) - n * mean(g * n))`.
    pub(crate) fn backward(
        dx: &mut [f32], dscale: &mut [f32], dshift: &mut [f32], x: &[f32], residual: &[f32], scale: &[f32], dy: &[f32], epsilon: f32,
    ) = backward_body
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel takes slices and sizes")]
fn backward_body<const FUSED: bool>(
    dx: &mut [f32],
    dscale: &mut [f32],
    dshift: &mut [f32],
    x: &[f32],
    residual: &[f32],
    scale: &[f32],
    dy: &[f32],
    epsilon: f32,
) {
    let width = scale.len();
    let mut normal = vec![0.0; width];
    for (row, (dx, dy)) in dx.chunks_exact_mut(width).zip(dy.chunks_exact(width)).enumerate() {
        normal.copy_from_slice(&x[row * width..][..width]);
        if !residual.is_empty() {
            super::simd::add_assign(&mut normal, &residual[row * width..][..width]);
        }
        let (mean, inverse) = moments::<FUSED>(&normal, epsilon);
        for n in &mut normal {
            *n = (*n - mean) * inverse;
        }
        for ((dx, dy), scale) in dx.iter_mut().zip(dy).zip(scale) {
            *dx = dy * scale;
        }
        let mean_g = sum(dx) / width as f32;
        let mean_gn = super::simd::dot::<FUSED>(dx, &normal) / width as f32;
        for (dx, n) in dx.iter_mut().zip(&normal) {
            *dx = inverse * fma::<FUSED>(-*n, mean_gn, *dx - mean_g);
        }
        for ((dscale, dy), n) in dscale.iter_mut().zip(dy).zip(&normal) {
            *dscale = fma::<FUSED>(*dy, *n, *dscale);
        }
        super::simd::add_assign(dshift, dy);
    }
}

impl LayerNorm {
    fn run(&self, x: &[f32], residual: &[f32]) -> Result<(CpuStorage, Shape)> {
        let mut y = vec![0.0; x.len()];
        read(&self.scale, |scale| {
            read(&self.shift, |shift| {
                forward(&mut y, x, residual, scale, shift, self.epsilon);
                Ok(())
            })
        })?;
        Ok(rows(y, self.width))
    }

    fn gradient(&self, x: &Tensor, residual: Option<&Tensor>, dy: &Tensor) -> Result<Tensor> {
        let dy = dy.contiguous()?;
        let mut dx = vec![0.0; x.elem_count()];
        let (mut dscale, mut dshift) = (vec![0.0; self.width], vec![0.0; self.width]);
        read(&dy, |dy| {
            read(x, |x| {
                read(&self.scale, |scale| {
                    let mut run = |residual: &[f32]| {
                        backward(&mut dx, &mut dscale, &mut dshift, x, residual, scale, dy, self.epsilon);
                        Ok(())
                    };
                    match residual {
                        Some(residual) => read(residual, run),
                        None => run(&[]),
                    }
                })
            })
        })?;
        if let Some((ledger, scale, shift)) = &self.ledger {
            let mut ledger = ledger.lock();
            super::simd::add_assign(ledger.dense_to_add(*scale, self.width), &dscale);
            super::simd::add_assign(ledger.dense_to_add(*shift, self.width), &dshift);
        }
        gradient(dx, x)
    }
}

impl CustomOp1 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run(numbers(storage, layout)?, &[])
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(self.gradient(x, None, dy)?))
    }
}

impl CustomOp2 for LayerNorm {
    fn name(&self) -> &'static str {
        "residual-layer-norm"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run(numbers(s1, l1)?, numbers(s2, l2)?)
    }

    fn bwd(&self, x: &Tensor, residual: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dx = self.gradient(x, Some(residual), dy)?;
        Ok((Some(dx.clone()), Some(dx)))
    }
}
