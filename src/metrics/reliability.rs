//! Whether a probability means what it says: bins of equal mass, and the distance of each bin's
//! mean score from the share that is true.

use super::MetricsError;
use super::column::{Group, groups_of, totals};

/// Bins of the reported calibration errors.
pub const BINS: usize = 15;

/// One bin of a reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// The lowest score in the bin.
    pub from: f64,
    /// Rows in the bin, at least one.
    pub rows: u64,
    /// Mean score.
    pub score: f64,
    /// Share of rows that hold the label.
    pub held: f64,
}

/// Bins of equal mass, from the lowest scores up. Equal scores are never parted, so bins may be
/// uneven, and fewer than asked for.
pub(super) fn bins_of(groups: &[Group], bins: usize) -> Vec<Bin> {
    let (weight, _) = totals(groups);
    let mut found = Vec::with_capacity(bins);
    let (mut rows, mut held, mut score, mut seen) = (0, 0, 0.0, 0);
    let (mut closed, mut from) = (0, None);
    for group in groups {
        let lowest = *from.get_or_insert(group.score);
        rows += group.weight;
        held += group.held;
        score += group.score * group.weight as f64;
        seen += group.weight;
        // The bins whose mass is reached, in whole numbers: no boundary moves by a rounding.
        let reached = seen * bins as u64 / weight;
        if reached > closed {
            found.push(Bin { from: lowest, rows, score: score / rows as f64, held: held as f64 / rows as f64 });
            (rows, held, score, closed, from) = (0, 0, 0.0, reached, None);
        }
    }
    found
}

/// Expected calibration error: the mean over rows of `|score - held|` of their bin.
pub(super) fn error_of(bins: &[Bin]) -> f64 {
    mean(bins, |bin| (bin.score - bin.held).abs())
}

/// The same without the part that chance alone puts there: a bin of `n` rows whose true share is
/// `held` shows a distance of `|d + e|`, `e` normal with variance `held (1 - held) / n`; its
/// expected excess over `|d|` is subtracted (Kumar, Liang and Ma 2019, "Verified uncertainty
/// calibration", in closed form by the folded normal's mean). Never below 0.
pub(super) fn debiased_error_of(bins: &[Bin]) -> f64 {
    let corrected = mean(bins, |bin| {
        let distance = (bin.score - bin.held).abs();
        let deviation = (bin.held * (1.0 - bin.held) / bin.rows as f64).sqrt();
        2.0 * distance - folded_normal_mean(distance, deviation)
    });
    corrected.max(0.0)
}

fn folded_normal_mean(mean: f64, deviation: f64) -> f64 {
    if deviation == 0.0 {
        return mean.abs();
    }
    let ratio = mean / deviation;
    let spread = deviation * (2.0 / std::f64::consts::PI).sqrt() * (-ratio * ratio / 2.0).exp();
    spread + mean * libm::erf(ratio / std::f64::consts::SQRT_2)
}

fn mean(bins: &[Bin], value: impl Fn(&Bin) -> f64) -> f64 {
    let rows: u64 = bins.iter().map(|bin| bin.rows).sum();
    bins.iter().map(|bin| bin.rows as f64 * value(bin)).sum::<f64>() / rows as f64
}

/// The reliability diagram of one label: at most `bins` bins of equal mass.
///
/// # Errors
/// [`MetricsError::Shape`] when the lengths differ, or for no bins; [`MetricsError::Empty`].
pub fn reliability(scores: &[f32], held: &[bool], bins: usize) -> Result<Vec<Bin>, MetricsError> {
    if bins == 0 {
        return Err(MetricsError::Shape { what: "bin or more", expected: 1, found: 0 });
    }
    groups_of(scores, held).map(|groups| bins_of(&groups, bins))
}

/// Expected calibration error of one label over [`BINS`] bins of equal mass (Naeini et al. 2015;
/// equal mass as Nguyen and O'Connor 2015).
///
/// # Errors
/// As [`reliability`].
pub fn calibration_error(scores: &[f32], held: &[bool]) -> Result<f64, MetricsError> {
    reliability(scores, held, BINS).map(|bins| error_of(&bins))
}

/// As [`calibration_error`], less what chance alone puts there (Kumar, Liang and Ma 2019).
///
/// # Errors
/// As [`reliability`].
pub fn debiased_calibration_error(scores: &[f32], held: &[bool]) -> Result<f64, MetricsError> {
    reliability(scores, held, BINS).map(|bins| debiased_error_of(&bins))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_hold_equal_mass_and_never_part_equal_scores() {
        let scores: Vec<f32> = (0..20u8).map(|row| f32::from(row) / 20.0).collect();
        let held = vec![true; 20];
        let rows = |scores: &[f32]| reliability(scores, &held, 5).unwrap().iter().map(|bin| bin.rows).collect::<Vec<_>>();
        let from = |scores: &[f32]| reliability(scores, &held, 5).unwrap().iter().map(|bin| bin.from as f32).collect::<Vec<_>>();
        assert_eq!(rows(&scores), [4; 5]);
        let mut tied = scores.clone();
        tied[2..7].fill(0.2);
        assert_eq!(rows(&tied), [7, 1, 4, 4, 4]);
        assert_eq!((from(&scores), from(&tied)), (vec![0.0, 0.2, 0.4, 0.6, 0.8], vec![0.0, 0.35, 0.4, 0.6, 0.8]));
        assert_eq!(rows(&[0.5; 20]), [20]);
    }

    #[test]
    fn a_perfectly_calibrated_sample_shows_chance_and_the_correction_takes_it_off() {
        // Scores of 0.3 in each bin, held by exactly as many as chance would give, one deviation off.
        let bins = [0.3 + 0.0458, 0.3 - 0.0458].map(|held| Bin { from: 0.2, rows: 100, score: 0.3, held });
        assert!((error_of(&bins) - 0.0458).abs() < 1e-12);
        let debiased = debiased_error_of(&bins);
        assert!(debiased < 0.04, "found {debiased}");
        let far = [Bin { from: 0.2, rows: 1_000_000, score: 0.3, held: 0.8 }];
        assert!((debiased_error_of(&far) - 0.5).abs() < 1e-6, "chance is nothing beside a real distance");
    }

    #[test]
    fn what_is_empty_or_uneven_is_refused() {
        assert_eq!(calibration_error(&[], &[]), Err(MetricsError::Empty));
        assert!(matches!(calibration_error(&[0.5], &[]), Err(MetricsError::Shape { .. })));
        assert!(matches!(reliability(&[0.5], &[true], 0), Err(MetricsError::Shape { .. })));
    }
}
