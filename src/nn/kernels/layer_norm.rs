//! Layer normalisation of `x`, or of `x + residual` (Ba, Kiros and Hinton 2016,
//! arXiv:1607.06450), over the last axis, with the biased variance.

use super::simd::{LANES, add_assign, dispatch, dot, fma, sum, sum_lanes};

dispatch! {
    /// `y = (z - mean) / sqrt(variance + epsilon) * scale + shift` with `z = x + residual`; an
    /// empty `residual` is none.
    pub(crate) fn forward(y: &mut [f32], x: &[f32], residual: &[f32], scale: &[f32], shift: &[f32], epsilon: f32) = forward_body
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel takes slices and sizes")]
fn forward_body<const FUSED: bool>(y: &mut [f32], x: &[f32], residual: &[f32], scale: &[f32], shift: &[f32], epsilon: f32) {
    let width = scale.len();
    for (row, (y, x)) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)).enumerate() {
        y.copy_from_slice(x);
        if !residual.is_empty() {
            add_assign(y, &residual[row * width..][..width]);
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
            add_assign(&mut normal, &residual[row * width..][..width]);
        }
        let (mean, inverse) = moments::<FUSED>(&normal, epsilon);
        for n in &mut normal {
            *n = (*n - mean) * inverse;
        }
        for ((dx, dy), scale) in dx.iter_mut().zip(dy).zip(scale) {
            *dx = dy * scale;
        }
        let mean_g = sum(dx) / width as f32;
        let mean_gn = dot::<FUSED>(dx, &normal) / width as f32;
        for (dx, n) in dx.iter_mut().zip(&normal) {
            *dx = inverse * fma::<FUSED>(-*n, mean_gn, *dx - mean_g);
        }
        for ((dscale, dy), n) in dscale.iter_mut().zip(dy).zip(&normal) {
            *dscale = fma::<FUSED>(*dy, *n, *dscale);
        }
        add_assign(dshift, dy);
    }
}
