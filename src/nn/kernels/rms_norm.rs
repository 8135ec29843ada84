//! Root mean square normalisation (Zhang and Sennrich 2019, arXiv:1910.07467) of every `width`
//! numbers, with the factor `offset + scale`.

use super::simd::{dispatch, dot, fma};

dispatch! {
    /// `y = x / sqrt(mean(x^2) + epsilon) * (offset + scale)`.
    pub(crate) fn forward(y: &mut [f32], x: &[f32], scale: &[f32], offset: f32, epsilon: f32) = forward_body
}

#[inline(always)]
fn forward_body<const FUSED: bool>(y: &mut [f32], x: &[f32], scale: &[f32], offset: f32, epsilon: f32) {
    let width = scale.len();
    for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
        let inverse = inverse::<FUSED>(x, epsilon);
        for ((y, x), scale) in y.iter_mut().zip(x).zip(scale) {
            *y = x * inverse * (offset + scale);
        }
    }
}

/// `1 / sqrt(mean(x^2) + epsilon)`.
#[inline(always)]
fn inverse<const FUSED: bool>(x: &[f32], epsilon: f32) -> f32 {
    1.0 / (dot::<FUSED>(x, x) / x.len() as f32 + epsilon).sqrt()
}

dispatch! {
    /// The gradient of the result, `d`, becomes that of `x`; `dscale +=` unless it is empty.
    ///
    /// With `n = x * inverse` and `g = dy * (offset + scale)`: `dx = inverse * (g - n * mean(g * n))`.
    pub(crate) fn backward(d: &mut [f32], dscale: &mut [f32], x: &[f32], scale: &[f32], offset: f32, epsilon: f32) = backward_body
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel takes slices and sizes")]
fn backward_body<const FUSED: bool>(d: &mut [f32], dscale: &mut [f32], x: &[f32], scale: &[f32], offset: f32, epsilon: f32) {
    let width = scale.len();
    for (d, x) in d.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
        let inverse = inverse::<FUSED>(x, epsilon);
        for ((dscale, d), x) in dscale.iter_mut().zip(d.iter()).zip(x) {
            *dscale = fma::<FUSED>(*d, x * inverse, *dscale);
        }
        for (d, scale) in d.iter_mut().zip(scale) {
            *d *= offset + scale;
        }
        let mean = dot::<FUSED>(d, x) * inverse / width as f32;
        for (d, x) in d.iter_mut().zip(x) {
            *d = inverse * fma::<FUSED>(-(x * inverse), mean, *d);
        }
    }
}
