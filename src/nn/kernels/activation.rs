//! Elementwise functions; here those of one exponential: SiLU, GELU's tanh approximation, soft caps.

use super::gelu;
use super::simd::{dispatch, exp, fma};
use crate::nn::ops::UnaryOp;

/// `y = op(x)`.
pub(crate) fn forward(op: UnaryOp, y: &mut [f32], x: &[f32]) {
    match op {
        UnaryOp::Gelu => gelu::forward(y, x),
        UnaryOp::GeluTanh => gelu_tanh(y, x),
        UnaryOp::Silu => silu(y, x),
        UnaryOp::Tanh => y.iter_mut().zip(x).for_each(|(y, x)| *y = x.tanh()),
        UnaryOp::Relu => y.iter_mut().zip(x).for_each(|(y, x)| *y = x.max(0.0)),
        UnaryOp::SoftCap(cap) => soft_cap(y, x, cap as f32),
    }
}

/// The gradient of `y = op(x)`, `dy`, becomes that of `x`.
pub(crate) fn backward(op: UnaryOp, dy: &mut [f32], x: &[f32], y: &[f32]) {
    match op {
        UnaryOp::Gelu => gelu::backward(dy, x),
        UnaryOp::GeluTanh => gelu_tanh_backward(dy, x),
        UnaryOp::Silu => silu_backward(dy, x),
        UnaryOp::Tanh => dy.iter_mut().zip(y).for_each(|(dy, y)| *dy *= 1.0 - y * y),
        UnaryOp::Relu => dy.iter_mut().zip(x).filter(|(_, x)| **x <= 0.0).for_each(|(dy, _)| *dy = 0.0),
        UnaryOp::SoftCap(cap) => soft_cap_backward(dy, y, cap as f32),
    }
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
fn sigmoid<const FUSED: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FUSED>(-x))
}

/// `tanh(x)` to about 3e-7 relative: its series below 0.35, where the exponential would cancel.
#[inline(always)]
pub(crate) fn tanh<const FUSED: bool>(x: f32) -> f32 {
    let square = x * x;
    let mut series = -8.863_236e-3;
    series = fma::<FUSED>(series, square, 2.186_949e-2);
    series = fma::<FUSED>(series, square, -5.396_825_4e-2);
    series = fma::<FUSED>(series, square, 0.133_333_33);
    series = fma::<FUSED>(series, square, -0.333_333_33);
    let near = fma::<FUSED>(x * square, series, x);
    let far = (1.0 - 2.0 / (1.0 + exp::<FUSED>(2.0 * x.abs()))).copysign(x);
    if x.abs() < 0.35 { near } else { far }
}

dispatch! {
    /// `y = x / (1 + e^-x)`.
    pub(crate) fn silu(y: &mut [f32], x: &[f32]) = silu_body
}

#[inline(always)]
fn silu_body<const FUSED: bool>(y: &mut [f32], x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = x * sigmoid::<FUSED>(*x);
    }
}

dispatch! {
    /// `dy *= s + x s (1 - s)` with `s = 1 / (1 + e^-x)`.
    pub(crate) fn silu_backward(dy: &mut [f32], x: &[f32]) = silu_backward_body
}

#[inline(always)]
fn silu_backward_body<const FUSED: bool>(dy: &mut [f32], x: &[f32]) {
    for (dy, x) in dy.iter_mut().zip(x) {
        let s = sigmoid::<FUSED>(*x);
        *dy *= s * fma::<FUSED>(*x, 1.0 - s, 1.0);
    }
}

/// Twice the root of `2 / pi`: `(1 + tanh(u)) / 2` is the sigmoid of `2 u`.
const TWICE_ROOT: f32 = 1.595_769;
const CUBIC: f32 = 0.044_715;

dispatch! {
    /// `y = x * sigmoid(2 u)` with `u = sqrt(2 / pi) (x + 0.044715 x^3)`.
    pub(crate) fn gelu_tanh(y: &mut [f32], x: &[f32]) = gelu_tanh_body
}

#[inline(always)]
fn gelu_tanh_body<const FUSED: bool>(y: &mut [f32], x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = x * sigmoid::<FUSED>(TWICE_ROOT * x * fma::<FUSED>(CUBIC * x, *x, 1.0));
    }
}

dispatch! {
    /// `dy *= s + x s (1 - s) (2 u)'` with `s = sigmoid(2 u)`.
    pub(crate) fn gelu_tanh_backward(dy: &mut [f32], x: &[f32]) = gelu_tanh_backward_body
}

#[inline(always)]
fn gelu_tanh_backward_body<const FUSED: bool>(dy: &mut [f32], x: &[f32]) {
    for (dy, x) in dy.iter_mut().zip(x) {
        let s = sigmoid::<FUSED>(TWICE_ROOT * x * fma::<FUSED>(CUBIC * x, *x, 1.0));
        let slope = TWICE_ROOT * fma::<FUSED>(3.0 * CUBIC * x, *x, 1.0);
        *dy *= s * fma::<FUSED>(x * slope, 1.0 - s, 1.0);
    }
}

dispatch! {
    /// `y = cap * tanh(x / cap)`.
    pub(crate) fn soft_cap(y: &mut [f32], x: &[f32], cap: f32) = soft_cap_body
}

#[inline(always)]
fn soft_cap_body<const FUSED: bool>(y: &mut [f32], x: &[f32], cap: f32) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = cap * tanh::<FUSED>(x / cap);
    }
}

dispatch! {
    /// `dy *= 1 - (y / cap)^2`.
    pub(crate) fn soft_cap_backward(dy: &mut [f32], y: &[f32], cap: f32) = soft_cap_backward_body
}

#[inline(always)]
fn soft_cap_backward_body<const FUSED: bool>(dy: &mut [f32], y: &[f32], cap: f32) {
    for (dy, y) in dy.iter_mut().zip(y) {
        let t = y / cap;
        *dy *= fma::<FUSED>(-t, t, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_those_of_double_precision() {
        let (mut worst, mut seen) = ([0.0_f64; 3], 0);
        let mut x = -12.0_f32;
        while x < 12.0 {
            let wide = f64::from(x);
            let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (wide + 0.044_715 * wide.powi(3));
            let expected = [wide.tanh(), wide * sigmoid(wide), 0.5 * wide * (1.0 + inner.tanh())];
            let (mut silus, mut gelus) = ([0.0], [0.0]);
            silu(&mut silus, &[x]);
            gelu_tanh(&mut gelus, &[x]);
            let found = [tanh::<true>(x), silus[0], gelus[0]];
            for ((worst, expected), found) in worst.iter_mut().zip(expected).zip(found) {
                *worst = worst.max((f64::from(found) - expected).abs() / expected.abs().max(1e-3));
            }
            x += 0.000_37;
            seen += 1;
        }
        assert!(seen > 60_000);
        // GELU's lower tail is an exponential of a rounded cube.
        assert!(worst.iter().zip([3e-7, 3e-7, 2e-6]).all(|(worst, allowed)| *worst < allowed), "{worst:?}");
        assert_eq!(tanh::<false>(0.0), 0.0);
    }
}
