//! The percentile bootstrap (Efron 1979): how much a figure would move on other rows of the same
//! kind.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;
use serde::Serialize;

/// Keeps the streams of neighbouring resamples apart: 2^64 over the golden ratio, odd.
const STRIDE: u64 = 0x9E37_79B9_7F4A_7C15;

/// How to resample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resampling {
    /// How many resamples; a thousand or more for a 95 % interval. None is taken for one.
    pub resamples: usize,
    /// The seed: the same seed gives the same intervals, on any number of threads.
    pub seed: u64,
    /// The share of resamples inside the interval, such as 0.95.
    pub level: f64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { resamples: 1000, seed: 42, level: 0.95 }
    }
}

/// The two ends of a percentile interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Percentile intervals of figures that `measure` computes from how often each of `rows` counts.
///
/// A resample draws `rows` rows with replacement; `measure` gets the number of times each row was
/// drawn and gives the figures, always as many and in the same order, none where one is undefined
/// on that resample. The interval of each is between the quantiles `(1 - level) / 2` and
/// `(1 + level) / 2` of its defined values, interpolated; none without any. Runs on the current
/// rayon pool.
pub fn bootstrap<F>(rows: usize, resampling: Resampling, measure: F) -> Vec<Option<Interval>>
where
    F: Fn(&[u32]) -> Vec<Option<f64>> + Sync,
{
    let one = |resample: usize| {
        let mut random = StdRng::seed_from_u64(resampling.seed.wrapping_add((resample as u64).wrapping_mul(STRIDE)));
        let mut weights = vec![0; rows];
        for _ in 0..rows {
            weights[random.random_range(0..rows)] += 1;
        }
        measure(&weights)
    };
    let samples: Vec<Vec<Option<f64>>> = (0..resampling.resamples.max(1)).into_par_iter().map(one).collect();
    let figures = samples.first().map_or(0, Vec::len);
    (0..figures).map(|figure| interval(samples.iter().filter_map(|sample| sample[figure]).collect(), resampling.level)).collect()
}

fn interval(mut values: Vec<f64>, level: f64) -> Option<Interval> {
    values.sort_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    Some(Interval { low: quantile(&values, tail)?, high: quantile(&values, 1.0 - tail)? })
}

/// The quantile of sorted values, interpolated between the neighbours (type 7 of Hyndman and Fan
/// 1996, numpy's default).
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_of(values: &[f64]) -> impl Fn(&[u32]) -> Vec<Option<f64>> + Sync {
        let values = values.to_vec();
        move |weights| {
            let sum: f64 = values.iter().zip(weights).map(|(value, weight)| value * f64::from(*weight)).sum();
            vec![Some(sum / values.len() as f64), None]
        }
    }

    #[test]
    fn quantiles_are_those_of_numpy() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        for (share, expected) in [(0.0, 1.0), (0.25, 1.75), (0.5, 3.0), (0.9, 6.8), (1.0, 8.0)] {
            assert!((quantile(&sorted, share).unwrap() - expected).abs() < 1e-12, "at {share}");
        }
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn the_interval_of_a_mean_is_two_standard_errors_wide_each_way() {
        let values: Vec<f64> = (0..400u32).map(|row| f64::from(row % 2)).collect();
        let found = bootstrap(400, Resampling { resamples: 2000, ..Resampling::default() }, mean_of(&values));
        let interval = found[0].unwrap();
        assert!((interval.low - 0.451).abs() < 0.006 && (interval.high - 0.549).abs() < 0.006, "found {interval:?}");
        assert_eq!(found[1], None);
    }

    #[test]
    fn the_seed_decides_and_the_threads_do_not() {
        let values = [0.0, 1.0, 5.0, 2.0, 9.0];
        let run = |seed, threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| bootstrap(5, Resampling { resamples: 50, seed, level: 0.9 }, mean_of(&values)))
        };
        assert_eq!(run(1, 1), run(1, 3));
        assert_ne!(run(1, 1), run(2, 1));
        assert_eq!(bootstrap(5, Resampling { resamples: 0, ..Resampling::default() }, mean_of(&values)).len(), 2);
    }
}
