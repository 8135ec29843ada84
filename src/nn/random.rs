//! Randomness that is a function of its counters: the same on every machine, thread and batch.

/// The finaliser of `SplitMix64` (Steele, Lea and Flood 2014): a bijection that mixes every bit.
#[must_use]
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A key made of a key and one more counter.
#[must_use]
pub(crate) fn fold(key: u64, counter: u64) -> u64 {
    mix(key ^ mix(counter))
}

/// A key made of a key and a name (FNV-1a, 64 bits).
#[must_use]
pub(crate) fn fold_name(key: u64, name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    fold(key, hash)
}

/// Standard normal number (Box and Muller 1958) of this index from a key.
pub(crate) fn normal(key: u64, index: u64) -> f64 {
    // The logarithm needs a number above zero.
    let radius = (-2.0 * unit(fold(key, 2 * index)).ln()).sqrt();
    radius * (std::f64::consts::TAU * unit(fold(key, 2 * index + 1))).cos()
}

/// Uniform numbers in `(-bound, bound]` from a key.
pub(crate) fn uniforms(key: u64, count: usize, bound: f64) -> impl Iterator<Item = f32> {
    (0..count as u64).map(move |index| (unit(fold(key, index)).mul_add(2.0, -1.0) * bound) as f32)
}

/// 53 bits as a number in `(0, 1]`.
fn unit(bits: u64) -> f64 {
    ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

/// Which of a row's numbers dropout keeps.
///
/// The row's key is folded from the step's seed, the place in the network, the text and the
/// position; the column is the counter. So a mask depends neither on the batch a text stands in
/// nor on the shard that computes it, and backward computes it again instead of storing it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    threshold: u32,
    /// What a kept number is multiplied by.
    pub(crate) scale: f32,
}

impl Keep {
    /// Drops with probability `p` in `[0, 1)`, to within 2^-24.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a probability times 2^24 fits")]
    pub(crate) fn new(p: f64) -> Self {
        Self { threshold: (p * f64::from(1_u32 << 24)).round() as u32, scale: (1.0 / (1.0 - p)) as f32 }
    }

    /// What to multiply the number in `column` by: zero or the scale.
    #[inline(always)]
    pub(crate) fn factor(self, key: u64, column: u32) -> f32 {
        // Two rounds of a 32-bit multiply-and-shift mixer, which vectorises where 64-bit
        // multiplication does not.
        let mut x = (key as u32).wrapping_add(column.wrapping_mul(0x9e37_79b9));
        x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
        x ^= (key >> 32) as u32;
        x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
        x ^= x >> 16;
        if x >> 8 >= self.threshold { self.scale } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_drops_the_stated_share_and_no_column_or_key_more_than_another() {
        for p in [0.1, 0.5] {
            let keep = Keep::new(p);
            let (rows, columns) = (2_000_u32, 384_u32);
            let mut by_column = vec![0_u32; columns as usize];
            let mut widest_row = 0.0_f64;
            for row in 0..rows {
                let key = fold(7, u64::from(row));
                let mut dropped = 0;
                for column in 0..columns {
                    if keep.factor(key, column) == 0.0 {
                        dropped += 1;
                        by_column[column as usize] += 1;
                    }
                }
                widest_row = widest_row.max((f64::from(dropped) / f64::from(columns) - p).abs());
            }
            let share = |count: u32, of: u32| f64::from(count) / f64::from(of);
            let total = share(by_column.iter().sum(), rows * columns);
            assert!((total - p).abs() < 0.003, "{total}");
            let deviation = (p * (1.0 - p)).sqrt();
            assert!(widest_row < 5.0 * deviation / f64::from(columns).sqrt(), "{widest_row}");
            let widest = by_column.iter().map(|&count| (share(count, rows) - p).abs()).fold(0.0, f64::max);
            assert!(widest < 5.0 * deviation / f64::from(rows).sqrt(), "{widest}");
        }
    }

    #[test]
    fn neighbouring_masks_are_independent() {
        let keep = Keep::new(0.5);
        let held = |row: u64, column: u32| keep.factor(fold(1, row), column) == 0.0;
        let (mut right, mut below, mut seen) = (0, 0, 0);
        for row in 0..500 {
            for column in 0..500 {
                right += u32::from(held(row, column) == held(row, column + 1));
                below += u32::from(held(row, column) == held(row + 1, column));
                seen += 1;
            }
        }
        for same in [right, below] {
            assert!((f64::from(same) / f64::from(seen) - 0.5).abs() < 0.005, "{same} of {seen}");
        }
    }

    #[test]
    fn normals_have_mean_zero_and_variance_one() {
        let values: Vec<f64> = (0..100_000).map(|index| normal(3, index)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }
}
