//! Fitting on all rows, to ship; and fold by fold, to report.

use rayon::prelude::*;

use super::calibrators::{Sample, fit};
use super::thresholds::{Tuner, fit_thresholds};
use super::{CalibratorKind, Candidates, ThresholdPolicy, Warning};
use crate::decide::{Calibrator, DecideError, Logits, Probabilities, Thresholds};
use crate::spec::{Matrix, Targets};

/// Calibrators and thresholds, one a label.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// In label order.
    pub calibrators: Vec<Calibrator>,
    /// In label order, for the calibrated probabilities.
    pub thresholds: Thresholds,
    /// What could not be fitted.
    pub warnings: Vec<Warning>,
}

/// Every row as seen by what was fitted on the other folds.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossFitted {
    /// Calibrated probabilities.
    pub probabilities: Probabilities,
    /// Decisions.
    pub decisions: Targets,
    /// The policy of each fold, folds in ascending order.
    pub policies: Vec<ThresholdPolicy>,
    /// What could not be fitted.
    pub warnings: Vec<Warning>,
}

/// A chosen policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The winner.
    pub policy: ThresholdPolicy,
    /// The objective of every candidate's cross-fitted decisions, in the order given. The winner's
    /// is the best of several, so it flatters: report [`cross_fit_choosing`].
    pub values: Vec<f64>,
}

/// Fits calibrators and thresholds on all rows: what ships.
///
/// `folds` names each row's fold; only [`CalibratorKind::Auto`] looks at it.
///
/// # Errors
/// [`DecideError::Shape`] when rows or labels differ or there is no row;
/// [`DecideError::Parameter`] for a policy's number outside `[0, 1]`.
pub fn fit_all(
    logits: &Logits,
    targets: &Targets,
    folds: &[usize],
    kind: CalibratorKind,
    policy: ThresholdPolicy,
) -> Result<Fitted, DecideError> {
    check(logits, targets, folds)?;
    let (calibrators, mut warnings) = calibrate(logits, targets, folds, kind);
    let (thresholds, more) = fit_thresholds(policy, &Calibrator::apply(&calibrators, logits), targets)?;
    warnings.extend(more.into_iter().filter(|warning| !warnings.contains(warning)).collect::<Vec<_>>());
    Ok(Fitted { calibrators, thresholds, warnings })
}

/// Probabilities and decisions of every row, by calibrators and thresholds fitted on the rows of the
/// other folds alone.
///
/// # Errors
/// As [`fit_all`]; [`DecideError::Shape`] also for fewer than two folds.
pub fn cross_fit(
    logits: &Logits,
    targets: &Targets,
    folds: &[usize],
    kind: CalibratorKind,
    policy: ThresholdPolicy,
) -> Result<CrossFitted, DecideError> {
    check(logits, targets, folds)?;
    by_fold(logits, targets, folds, kind, |_| Ok(policy))
}

/// As [`cross_fit`], each fold with the policy that [`choose_policy`] picks on the other folds: the
/// honest figures of a choice.
///
/// # Errors
/// As [`choose_policy`]; at least three folds are needed.
pub fn cross_fit_choosing(
    logits: &Logits,
    targets: &Targets,
    folds: &[usize],
    kind: CalibratorKind,
    candidates: &Candidates,
) -> Result<CrossFitted, DecideError> {
    check(logits, targets, folds)?;
    by_fold(logits, targets, folds, kind, |rows| {
        let folds: Vec<usize> = rows.iter().map(|row| folds[*row]).collect();
        choose_policy(&logits.select(rows), &targets.select(rows), &folds, kind, candidates).map(|choice| choice.policy)
    })
}

/// The candidate whose cross-fitted decisions are best.
///
/// # Errors
/// As [`cross_fit`]; [`DecideError::Shape`] also without candidates.
pub fn choose_policy(
    logits: &Logits,
    targets: &Targets,
    folds: &[usize],
    kind: CalibratorKind,
    candidates: &Candidates,
) -> Result<Choice, DecideError> {
    check(logits, targets, folds)?;
    let mut decisions = vec![Targets::filled(logits.rows(), logits.labels(), false); candidates.policies.len()];
    for fold in Fold::all(folds)? {
        let (train, truth) = (logits.select(&fold.others), targets.select(&fold.others));
        let (calibrators, _) = calibrate(&train, &truth, &fold.folds_of_others(folds), kind);
        let fitted_on = Calibrator::apply(&calibrators, &train);
        let held_out = Calibrator::apply(&calibrators, &logits.select(&fold.rows));
        let tuner = Tuner::new(&fitted_on, &truth)?;
        for (policy, decisions) in candidates.policies.iter().zip(&mut decisions) {
            let (thresholds, _) = tuner.fit(*policy)?;
            decisions.place(&fold.rows, &thresholds.decide(&held_out)?);
        }
    }
    let values: Vec<f64> = decisions.iter().map(|decisions| candidates.objective.of(decisions, targets)).collect();
    let best = (1..values.len()).fold(0, |best, next| if values[next] > values[best] { next } else { best });
    let policy = candidates.policies.get(best).ok_or(DecideError::Shape { what: "candidate or more", expected: 1, found: 0 })?;
    Ok(Choice { policy: *policy, values })
}

fn by_fold(
    logits: &Logits,
    targets: &Targets,
    folds: &[usize],
    kind: CalibratorKind,
    policy: impl Fn(&[usize]) -> Result<ThresholdPolicy, DecideError>,
) -> Result<CrossFitted, DecideError> {
    let (rows, labels) = (logits.rows(), logits.labels());
    let (mut scores, mut decisions) = (Matrix::filled(rows, labels, 0.0), Targets::filled(rows, labels, false));
    let (mut policies, mut warnings) = (Vec::new(), Vec::new());
    for fold in Fold::all(folds)? {
        let policy = policy(&fold.others)?;
        let fitted = fit_all(&logits.select(&fold.others), &targets.select(&fold.others), &fold.folds_of_others(folds), kind, policy)?;
        let held_out = Calibrator::apply(&fitted.calibrators, &logits.select(&fold.rows));
        scores.place(&fold.rows, &held_out);
        decisions.place(&fold.rows, &fitted.thresholds.decide(&held_out)?);
        policies.push(policy);
        warnings.extend(fitted.warnings.into_iter().map(|warning| Warning { fold: Some(fold.name), ..warning }));
    }
    Ok(CrossFitted { probabilities: Probabilities::new(labels, scores.into_values())?, decisions, policies, warnings })
}

/// One calibrator a label.
fn calibrate(logits: &Logits, targets: &Targets, folds: &[usize], kind: CalibratorKind) -> (Vec<Calibrator>, Vec<Warning>) {
    let of_label = |label: usize| {
        let column: Vec<f64> = logits.column(label).map(f64::from).collect();
        let held: Vec<bool> = targets.column(label).collect();
        let (calibrator, doubt) = fit(kind, &Sample { logits: &column, targets: &held, folds });
        (calibrator, doubt.map(|doubt| Warning { label, fold: None, doubt }))
    };
    let (calibrators, warnings): (Vec<_>, Vec<_>) = (0..logits.labels()).into_par_iter().map(of_label).unzip();
    (calibrators, warnings.into_iter().flatten().collect())
}

/// One fold: its rows, and all the others.
struct Fold {
    name: usize,
    rows: Vec<usize>,
    others: Vec<usize>,
}

impl Fold {
    fn all(folds: &[usize]) -> Result<Vec<Self>, DecideError> {
        let mut names = folds.to_vec();
        names.sort_unstable();
        names.dedup();
        if names.len() < 2 {
            return Err(DecideError::Shape { what: "folds or more", expected: 2, found: names.len() });
        }
        let split = |name| {
            let (rows, others) = (0..folds.len()).partition(|row| folds[*row] == name);
            Self { name, rows, others }
        };
        Ok(names.into_iter().map(split).collect())
    }

    fn folds_of_others(&self, folds: &[usize]) -> Vec<usize> {
        self.others.iter().map(|row| folds[*row]).collect()
    }
}

fn check(logits: &Logits, targets: &Targets, folds: &[usize]) -> Result<(), DecideError> {
    let same = |what, expected, found| if expected == found { Ok(()) } else { Err(DecideError::Shape { what, expected, found }) };
    same("labels in the targets", logits.labels(), targets.labels())?;
    same("rows of targets", logits.rows(), targets.rows())?;
    same("fold names", logits.rows(), folds.len())?;
    if logits.rows() == 0 {
        return Err(DecideError::Shape { what: "row or more", expected: 1, found: 0 });
    }
    Ok(())
}
