//! Symmetric signed bytes, one scale a row: `w ~ scale * q` with `q` in `-127..=127`.
//!
//! The scale is searched for, not taken from the largest weight: shrinking it clips a few large
//! weights and rounds all others more finely, and the least squared error wins.

/// Scales tried, as fractions of the one that clips nothing.
const FRACTIONS: [f32; 12] = [1.0, 0.98, 0.96, 0.94, 0.92, 0.9, 0.86, 0.82, 0.78, 0.74, 0.7, 0.66];
const LARGEST: f32 = 127.0;

/// Writes the bytes of `row` to `out` (of the same length) and returns the scale.
pub(super) fn quantize_row(row: &[f32], out: &mut [u8]) -> f32 {
    let largest = row.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    // A scale below the normal range has no finite inverse.
    if largest / LARGEST < f32::MIN_POSITIVE {
        out.fill(0);
        return 0.0;
    }
    let mut best = (f32::INFINITY, 0.0);
    for fraction in FRACTIONS {
        let scale = largest * fraction / LARGEST;
        let error = squared_error(row, scale);
        if error < best.0 {
            best = (error, scale);
        }
    }
    let inverse = 1.0 / best.1;
    for (value, byte) in row.iter().zip(out) {
        *byte = (round(*value, inverse) as i8).cast_unsigned();
    }
    best.1
}

/// Writes `scale * q` for every byte of `row` as little-endian `f32` to `out`, four times as long.
pub(super) fn widen_row(row: &[u8], scale: f32, out: &mut [u8]) {
    for (byte, four) in row.iter().zip(out.chunks_exact_mut(4)) {
        four.copy_from_slice(&(f32::from(byte.cast_signed()) * scale).to_le_bytes());
    }
}

fn round(value: f32, inverse: f32) -> f32 {
    (value * inverse).round_ties_even().clamp(-LARGEST, LARGEST)
}

fn squared_error(row: &[f32], scale: f32) -> f32 {
    let inverse = 1.0 / scale;
    row.iter().map(|&value| (round(value, inverse) * scale - value).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantises, widens, and returns the scale and the largest absolute error.
    fn check(row: &[f32]) -> (f32, f32) {
        let mut bytes = vec![0; row.len()];
        let scale = quantize_row(row, &mut bytes);
        let mut wide = vec![0; row.len() * 4];
        widen_row(&bytes, scale, &mut wide);
        let back = wide.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]));
        (scale, row.iter().zip(back).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max))
    }

    #[test]
    fn a_row_without_outliers_is_off_by_at_most_half_a_step() {
        let row: Vec<f32> = (0..384).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect();
        let (scale, error) = check(&row);
        assert!(scale > 0.0 && error <= 0.5 / 127.0 + 1e-6, "scale {scale}, error {error}");
    }

    #[test]
    fn zero_and_tiny_rows_become_zero() {
        assert_eq!(check(&[0.0; 8]), (0.0, 0.0));
        let (scale, error) = check(&[f32::MIN_POSITIVE; 8]);
        assert!(scale == 0.0 && error <= f32::MIN_POSITIVE);
    }

    #[test]
    fn clipping_an_outlier_lowers_the_squared_error() {
        let mut row: Vec<f32> = (0..4096).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect();
        row[7] = 1.3;
        let (scale, _) = check(&row);
        assert!(scale < 1.3 / 127.0, "scale {scale} does not clip");
    }
}
