//! One body, three compilations: portable, AVX2 and AVX-512, chosen when the program runs.
//!
//! The crate is compiled for any x86-64, so that one binary runs everywhere; the widest
//! instructions a processor has are worth a factor of two to eight in these loops. [`dispatch!`]
//! therefore compiles a generic body once for each level. Bodies are ordinary safe Rust over
//! slices, written in [`LANES`] at a time so that the compiler vectorises them; nothing here uses
//! intrinsics. On other processors only the portable compilation exists.

/// Floats handled together: one AVX-512 register, two AVX2 ones, four of SSE2 or NEON.
pub(crate) const LANES: usize = 16;

/// Floats that travel together.
pub(crate) type Lanes = [f32; LANES];

/// What the processor offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// The baseline of the target.
    Portable,
    /// 256-bit registers and fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512-bit registers.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The best level of this processor. Cheap: the answer is cached by the standard library.
#[inline]
pub(crate) fn level() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        let fused = std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
        let wide = std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512vl")
            && std::arch::is_x86_feature_detected!("avx512dq")
            && std::arch::is_x86_feature_detected!("avx512bw");
        if wide && fused {
            return Level::Avx512;
        }
        if fused {
            return Level::Avx2;
        }
    }
    Level::Portable
}

/// Whether the baseline itself fuses multiplication and addition: `mul_add` would otherwise be a
/// call into the C library.
pub(crate) const BASELINE_FUSES: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// `a * b + c`, fused where the level has it.
#[inline(always)]
pub(crate) fn fma<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Defines `name` as `body`, compiled for every level and chosen at run time.
///
/// `body` is an `#[inline(always)]` function with one const parameter, whether `fma` is one
/// instruction.
macro_rules! dispatch {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments, reason = "kernels take slices and sizes")]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "kernels take slices and sizes")]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    $body::<true>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "kernels take slices and sizes")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    $body::<true>($($arg),*)
                }
                use $crate::nn::kernels::simd::Level;
                #[expect(unsafe_code, reason = "calls a function compiled for features that were just detected")]
                match $crate::nn::kernels::simd::level() {
                    // SAFETY: `level` has found every feature that `avx512` is compiled for.
                    Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: `level` has found every feature that `avx2` is compiled for.
                    Level::Avx2 => return unsafe { avx2($($arg),*) },
                    Level::Portable => {}
                }
            }
            $body::<{ $crate::nn::kernels::simd::BASELINE_FUSES }>($($arg),*)
        }
    };
}
pub(crate) use dispatch;

/// The sum of the lanes, pairwise.
#[inline(always)]
pub(crate) fn sum_lanes(lanes: Lanes) -> f32 {
    let mut lanes = lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// The sum of a slice, in lanes.
#[inline(always)]
pub(crate) fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] += chunk[lane];
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += value;
    }
    sum_lanes(lanes)
}

/// The sum of products of two slices of one length, in lanes.
#[inline(always)]
pub(crate) fn dot<const FUSED: bool>(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] = fma::<FUSED>(a[lane], b[lane], lanes[lane]);
        }
    }
    for (lane, (a, b)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *lane = fma::<FUSED>(*a, *b, *lane);
    }
    sum_lanes(lanes)
}

/// `y += x`, elementwise.
#[inline(always)]
pub(crate) fn add_assign(y: &mut [f32], x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += x;
    }
}

/// `e^x` to about 1.5e-7 relative, for `x` clamped to `[-87, 88]`.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`; `e^r` by a polynomial of degree six (a minimax fit on
/// that interval, relative error 1.9e-9 before rounding), `2^n` by building the exponent.
#[inline(always)]
pub(crate) fn exp<const FUSED: bool>(x: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer, which then stands in the
    // low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts; the first has so few bits that its product with n is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let shifted = fma::<FUSED>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma::<FUSED>(n, -LN_2_LOW, fma::<FUSED>(n, -LN_2_HIGH, x));
    let mut p = 1.383_679_7e-3;
    p = fma::<FUSED>(p, r, 8.374_857e-3);
    p = fma::<FUSED>(p, r, 4.166_823e-2);
    p = fma::<FUSED>(p, r, 0.166_664_2);
    p = fma::<FUSED>(p, r, 0.499_999_93);
    p = fma::<FUSED>(p, r, 1.0);
    p = fma::<FUSED>(p, r, 1.0);
    let two_to_n = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    p * two_to_n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_of_the_last_place() {
        let mut worst = 0.0_f64;
        let mut seen = 0;
        let mut x = -86.9_f32;
        while x < 87.9 {
            let expected = f64::from(x).exp();
            worst = worst.max((f64::from(exp::<false>(x)) / expected - 1.0).abs());
            worst = worst.max((f64::from(exp::<true>(x)) / expected - 1.0).abs());
            x += 0.001_7;
            seen += 1;
        }
        assert!(seen > 100_000);
        assert!(worst < 2.5e-7, "{worst:e}");
        assert_eq!(exp::<false>(0.0), 1.0);
    }

    #[test]
    fn sums_take_every_element() {
        for len in [0, 1, 15, 16, 17, 100] {
            let values: Vec<f32> = (0..len).map(|value| value as f32).collect();
            assert_eq!(sum(&values), values.iter().sum::<f32>());
            assert_eq!(dot::<false>(&values, &values), values.iter().map(|value| value * value).sum::<f32>());
        }
    }
}
