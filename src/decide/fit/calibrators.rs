//! Fitting one label's calibrator.
//!
//! Temperature, sigmoid and beta maximise the likelihood of Platt's smoothed targets: with `p` rows
//! that hold the label and `n` that do not, `(p + 1) / (p + 2)` for yes and `1 / (n + 2)` for no
//! (Platt 1999, section 2.2). So a label that separates perfectly, as rare ones do, gets a finite
//! slope. A fit that would turn the order of scores round is not kept: the label stays at
//! [`Calibrator::Identity`], and [`Doubt`] says why.

use super::logistic::minimise;
use super::{CalibratorKind, Doubt, softplus};
use crate::decide::{Calibrator, DecideError};

/// Candidates of [`CalibratorKind::Auto`], the plainest first: it wins ties and near-ties.
const CANDIDATES: [CalibratorKind; 5] =
    [CalibratorKind::Identity, CalibratorKind::Temperature, CalibratorKind::Sigmoid, CalibratorKind::Beta, CalibratorKind::Isotonic];
/// Folds of [`CalibratorKind::Auto`] where the caller has none.
const OWN_FOLDS: usize = 5;
/// Keeps one confident mistake from deciding by itself: the clip of the reported log-loss.
const CLIP: f64 = f32::EPSILON as f64;

/// Fits `kind` on one label's `logits` and truth.
///
/// A label of which all rows hold or none does, whose logits are all the same, or whose logits
/// fall as it becomes more frequent, gets [`Calibrator::Identity`].
///
/// # Errors
/// [`DecideError::Shape`] when the lengths differ or are zero, [`DecideError::Parameter`] for a
/// logit that is not finite.
pub fn calibrator(kind: CalibratorKind, logits: &[f64], targets: &[bool]) -> Result<Calibrator, DecideError> {
    if logits.len() != targets.len() || logits.is_empty() {
        return Err(DecideError::Shape {
            what: "targets, one a logit and at least one",
            expected: logits.len().max(1),
            found: targets.len(),
        });
    }
    if let Some(value) = logits.iter().find(|logit| !logit.is_finite()) {
        return Err(DecideError::Parameter { what: "logit", value: *value, expected: "a finite number" });
    }
    Ok(fit(kind, &Sample { logits, targets, folds: &[] }).0)
}

/// One label's rows; `folds` may be empty.
#[derive(Clone, Copy)]
pub(super) struct Sample<'a> {
    pub(super) logits: &'a [f64],
    pub(super) targets: &'a [bool],
    pub(super) folds: &'a [usize],
}

impl Sample<'_> {
    fn positives(&self) -> usize {
        self.targets.iter().filter(|held| **held).count()
    }

    fn constant(&self) -> bool {
        self.logits.iter().all(|logit| *logit == self.logits[0])
    }

    fn smoothed(&self) -> Vec<f64> {
        let (yes, all) = (self.positives() as f64, self.targets.len() as f64);
        let (high, low) = ((yes + 1.0) / (yes + 2.0), 1.0 / (all - yes + 2.0));
        self.targets.iter().map(|held| if *held { high } else { low }).collect()
    }

    /// The caller's folds where there are two or more, else five, each with its share of the rows
    /// that hold the label.
    fn folds(&self) -> Vec<usize> {
        if self.folds.iter().any(|fold| *fold != self.folds[0]) {
            return self.folds.to_vec();
        }
        let mut dealt = [0; 2];
        let deal = |held: &bool| {
            let turn = &mut dealt[usize::from(*held)];
            *turn += 1;
            *turn % OWN_FOLDS
        };
        self.targets.iter().map(deal).collect()
    }
}

/// The calibrator, and what speaks against it.
pub(super) fn fit(kind: CalibratorKind, sample: &Sample<'_>) -> (Calibrator, Option<Doubt>) {
    let positives = sample.positives();
    let doubt = if positives == 0 {
        Some(Doubt::NoPositives)
    } else if positives == sample.targets.len() {
        Some(Doubt::NoNegatives)
    } else if sample.constant() {
        Some(Doubt::Constant)
    } else {
        None
    };
    if kind == CalibratorKind::Identity || doubt.is_some() {
        return (Calibrator::Identity, doubt);
    }
    let fitted = match kind {
        CalibratorKind::Identity => Some(Calibrator::Identity),
        CalibratorKind::Temperature => temperature(sample),
        CalibratorKind::Sigmoid => platt(sample),
        CalibratorKind::Beta => beta(sample),
        CalibratorKind::Isotonic => Some(super::isotonic::fit(sample.logits, sample.targets)),
        CalibratorKind::Auto => Some(auto(sample)),
    };
    match fitted.and_then(|calibrator| calibrator.checked().ok()) {
        Some(calibrator) => (calibrator, None),
        None => (Calibrator::Identity, Some(Doubt::Falling)),
    }
}

fn temperature(sample: &Sample<'_>) -> Option<Calibrator> {
    let scale = largest(sample.logits);
    let rows: Vec<[f64; 1]> = sample.logits.iter().map(|logit| [logit / scale]).collect();
    let [slope] = minimise(&rows, &sample.smoothed(), [1.0]);
    (slope > 0.0).then(|| Calibrator::Temperature { t: scale / slope })
}

fn platt(sample: &Sample<'_>) -> Option<Calibrator> {
    let scale = largest(sample.logits);
    let rows: Vec<[f64; 2]> = sample.logits.iter().map(|logit| [logit / scale, 1.0]).collect();
    let [slope, offset] = minimise(&rows, &sample.smoothed(), [0.0, prior(sample)]);
    (slope > 0.0).then(|| Calibrator::Sigmoid { a: slope / scale, b: offset })
}

/// Where either slope comes out negative it is set to zero and the rest fitted anew, as the
/// authors' own code does.
fn beta(sample: &Sample<'_>) -> Option<Calibrator> {
    let scale = largest(sample.logits).max(1.0);
    let pairs: Vec<[f64; 2]> = sample.logits.iter().map(|logit| [-softplus(-logit) / scale, softplus(*logit) / scale]).collect();
    let (targets, start) = (sample.smoothed(), prior(sample));
    let both: Vec<[f64; 3]> = pairs.iter().map(|[left, right]| [*left, *right, 1.0]).collect();
    let [a, b, c] = minimise(&both, &targets, [0.0, 0.0, start]);
    if a >= 0.0 && b >= 0.0 {
        return (a + b > 0.0).then(|| Calibrator::Beta { a: a / scale, b: b / scale, c });
    }
    let side = usize::from(a < 0.0);
    let one: Vec<[f64; 2]> = pairs.iter().map(|pair| [pair[side], 1.0]).collect();
    let [slope, c] = minimise(&one, &targets, [0.0, start]);
    let slopes = if side == 0 { [slope / scale, 0.0] } else { [0.0, slope / scale] };
    (slope > 0.0).then(|| Calibrator::Beta { a: slopes[0], b: slopes[1], c })
}

fn largest(logits: &[f64]) -> f64 {
    logits.iter().fold(f64::MIN_POSITIVE, |most, logit| most.max(logit.abs()))
}

/// The log-odds of the label, smoothed: where a search begins.
fn prior(sample: &Sample<'_>) -> f64 {
    let yes = sample.positives() as f64;
    ((yes + 1.0) / (sample.targets.len() as f64 - yes + 1.0)).ln()
}

/// The plainest candidate whose log-loss on rows it was not fitted on is within one standard error of
/// the lowest, fitted on all rows. The error is that of the mean difference between the two over rows.
fn auto(sample: &Sample<'_>) -> Calibrator {
    let folds = sample.folds();
    let losses = CANDIDATES.map(|kind| held_out_losses(kind, sample, &folds));
    let sums = losses.each_ref().map(|losses| losses.iter().sum::<f64>());
    let least = (1..CANDIDATES.len()).fold(0, |least, next| if sums[next] < sums[least] { next } else { least });
    let winner = (0..least).find(|plain| near(&losses[*plain], &losses[least])).unwrap_or(least);
    fit(CANDIDATES[winner], sample).0
}

/// Whether the mean of `losses` is within one standard error of that of `least`.
fn near(losses: &[f64], least: &[f64]) -> bool {
    let rows = losses.len() as f64;
    let gaps = || losses.iter().zip(least).map(|(loss, least)| loss - least);
    let mean = gaps().sum::<f64>() / rows;
    let variance = gaps().map(|gap| (gap - mean) * (gap - mean)).sum::<f64>() / (rows - 1.0);
    mean * mean <= variance / rows
}

/// The log-loss of every row by the calibrator that the other folds give.
fn held_out_losses(kind: CalibratorKind, sample: &Sample<'_>, folds: &[usize]) -> Vec<f64> {
    let mut names = folds.to_vec();
    names.sort_unstable();
    names.dedup();
    let mut losses = vec![0.0; folds.len()];
    for fold in names {
        let others = |row: &usize| folds[*row] != fold;
        let logits: Vec<f64> = (0..folds.len()).filter(others).map(|row| sample.logits[row]).collect();
        let targets: Vec<bool> = (0..folds.len()).filter(others).map(|row| sample.targets[row]).collect();
        let calibrator = fit(kind, &Sample { logits: &logits, targets: &targets, folds: &[] }).0;
        for row in (0..folds.len()).filter(|row| !others(row)) {
            let chance = calibrator.probability(sample.logits[row]).clamp(CLIP, 1.0 - CLIP);
            losses[row] = -(if sample.targets[row] { chance } else { 1.0 - chance }).ln();
        }
    }
    losses
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sigmoid;
    use super::*;

    const KINDS: [CalibratorKind; 5] =
        [CalibratorKind::Temperature, CalibratorKind::Sigmoid, CalibratorKind::Beta, CalibratorKind::Isotonic, CalibratorKind::Auto];

    fn sample() -> impl Strategy<Value = (Vec<f64>, Vec<bool>)> {
        prop::collection::vec((prop_oneof![-6.0..6.0f64, -1e4..1e4f64, Just(0.5)], any::<bool>()), 1..60)
            .prop_map(|rows| rows.into_iter().unzip())
    }

    proptest! {
        #[test]
        fn every_fit_is_a_calibrator_that_does_not_fall((logits, targets) in sample()) {
            for kind in KINDS {
                let fitted = calibrator(kind, &logits, &targets).unwrap();
                prop_assert!(fitted.check().is_ok(), "{fitted:?}");
                let mut sorted = logits.clone();
                sorted.sort_by(f64::total_cmp);
                for pair in sorted.windows(2) {
                    prop_assert!(fitted.probability(pair[0]) <= fitted.probability(pair[1]) + 1e-15, "{fitted:?} falls");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_fitted_stays_and_says_why() {
        let cases: [(&[f64], &[bool], Doubt); 4] = [
            (&[0.1, 0.2], &[false, false], Doubt::NoPositives),
            (&[0.1, 0.2], &[true, true], Doubt::NoNegatives),
            (&[0.1, 0.1], &[true, false], Doubt::Constant),
            (&[2.0, 1.0, -1.0, -2.0], &[false, false, true, true], Doubt::Falling),
        ];
        for (logits, targets, expected) in cases {
            for kind in [CalibratorKind::Temperature, CalibratorKind::Sigmoid, CalibratorKind::Beta] {
                assert_eq!(fit(kind, &Sample { logits, targets, folds: &[] }), (Calibrator::Identity, Some(expected)), "{kind:?}");
            }
        }
    }

    #[test]
    fn a_label_that_separates_gets_a_finite_slope() {
        let logits: Vec<f64> = (-20..20).map(|row| f64::from(row) + 0.5).collect();
        let targets: Vec<bool> = logits.iter().map(|logit| *logit > 0.0).collect();
        for kind in [CalibratorKind::Temperature, CalibratorKind::Sigmoid, CalibratorKind::Beta] {
            let chance = calibrator(kind, &logits, &targets).unwrap().probability(1e4);
            assert!(chance > 0.95, "{kind:?} gives {chance}");
        }
    }

    #[test]
    fn the_plainest_that_is_as_good_is_chosen() {
        let logits: Vec<f64> = (0..300).map(|row| f64::from(row * 37 % 101) / 10.0 - 5.0).collect();
        let kind = |slope: f64, offset: f64| {
            let held = |row: usize| sigmoid(logits[row] * slope + offset) > f64::from(row as u32 * 53 % 97) / 97.0;
            let targets: Vec<bool> = (0..300).map(held).collect();
            auto(&Sample { logits: &logits, targets: &targets, folds: &[] }).kind()
        };
        assert_eq!([kind(0.3, 0.0), kind(0.4, -1.5)], ["temperature", "sigmoid"]);
    }

    #[test]
    fn near_is_within_one_standard_error() {
        let least = [0.5, 0.5, 0.5, 0.5];
        assert!(near(&least, &least), "equal");
        assert!(!near(&[0.6, 0.6, 0.6, 0.6], &least), "worse on every row alike");
        // Mean difference and standard error are 0.25; then the one is 0.31 and the other 0.24.
        assert!(near(&[1.5, 0.5, 0.5, 0.5], &least) && !near(&[1.5, 0.75, 0.5, 0.5], &least));
    }

    #[test]
    fn lengths_and_values_are_checked() {
        for (logits, targets) in [(&[][..], &[][..]), (&[0.0], &[]), (&[f64::NAN], &[true])] {
            assert!(calibrator(CalibratorKind::Sigmoid, logits, targets).is_err());
        }
    }
}
