//! Calibrators against scikit-learn, thresholds against brute force, and cross-fitting against what
//! it must not see.

use std::fs;

use limbic::decide::fit::{
    Candidates, DEFAULT_THRESHOLD, Doubt, Objective, calibrator, choose_policy, cross_fit, cross_fit_choosing, fit_all,
};
use limbic::decide::{Calibrator, CalibratorKind, Decider, Logits, Probabilities, ThresholdPolicy};
use limbic::spec::{Activation, LabelSet, Targets};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Deserialize;

use super::support::fixture;

#[derive(Deserialize)]
struct Fixture {
    probes: Vec<f64>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    logits: Vec<f64>,
    held: Vec<u8>,
    sigmoid: Vec<f64>,
    isotonic: Vec<f64>,
    temperature: Vec<f64>,
    beta: Vec<f64>,
    auto: String,
}

fn samples() -> Fixture {
    let found: Fixture = serde_json::from_slice(&fs::read(fixture("calibration.json")).expect("a fixture")).expect("samples");
    assert_eq!(found.cases.len(), 9);
    found
}

#[test]
fn calibrators_are_those_of_scikit_learn() {
    let Fixture { probes, cases } = samples();
    for Case { name, logits, held, sigmoid, isotonic, temperature, beta, .. } in cases {
        let held: Vec<bool> = held.iter().map(|held| *held == 1).collect();
        let kinds = [
            (CalibratorKind::Sigmoid, sigmoid),
            (CalibratorKind::Isotonic, isotonic),
            (CalibratorKind::Temperature, temperature),
            (CalibratorKind::Beta, beta),
        ];
        for (kind, expected) in kinds {
            let fitted = calibrator(kind, &logits, &held).expect("a sample");
            for (probe, expected) in probes.iter().zip(expected) {
                let found = fitted.probability(*probe);
                assert!((found - expected).abs() < 1e-6, "{name}, {kind:?} at {probe}: {found}, expected {expected}, {fitted:?}");
            }
        }
    }
}

#[test]
fn the_choice_between_calibrators_is_that_of_the_reference() {
    let mut chosen = Vec::new();
    for Case { name, logits, held, auto, .. } in samples().cases {
        let rows = logits.len();
        let folds: Vec<usize> = (0..rows).map(|row| row % 3).collect();
        let column = Logits::new(1, logits.iter().map(|logit| *logit as f32).collect()).expect("finite");
        let targets = Targets::new(rows, 1, held.iter().map(|held| *held == 1).collect()).expect("a column");
        let fitted = fit_all(&column, &targets, &folds, CalibratorKind::Auto, ThresholdPolicy::Fixed(0.5)).expect("rows");
        assert_eq!(fitted.calibrators[0].kind(), auto, "{name}");
        chosen.push(auto);
    }
    chosen.sort();
    chosen.dedup();
    assert_eq!(chosen, ["beta", "identity", "isotonic", "sigmoid", "temperature"], "each kind is somewhere the right one");
}

#[test]
fn the_identity_changes_nothing() {
    let logits = Logits::new(3, vec![-1e4, 1e4, 0.0, 3.25, -17.5, 88.0]).expect("finite");
    let labels = LabelSet::new(["anger", "fear", "joy"]).expect("three names");
    let found = Decider::plain(labels, Activation::Sigmoid).probabilities(&logits);
    for (found, logit) in found.values().iter().zip(logits.values()) {
        let expected = 1.0 / (1.0 + (-f64::from(*logit)).exp());
        assert!((f64::from(*found) - expected).abs() < 1e-7, "of {logit}");
    }
    assert_eq!(found, Probabilities::of(&logits, Activation::Sigmoid));
}

/// Rows whose labels follow their logits, some labels rarer than others.
fn made(seed: u64, rows: usize, labels: usize) -> (Logits, Targets, Vec<usize>) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut values = Vec::new();
    let mut held = Vec::new();
    for _ in 0..rows {
        for label in 0..labels {
            let logit: f64 = random.random_range(-4.0..4.0);
            values.push(logit as f32);
            held.push(random.random::<f64>() < 1.0 / (1.0 + (0.5 * label as f64 - 0.8 * logit).exp()));
        }
    }
    let folds = (0..rows).map(|row| row % 5).collect();
    (Logits::new(labels, values).expect("finite"), Targets::new(rows, labels, held).expect("a matrix"), folds)
}

const PER_LABEL: ThresholdPolicy = ThresholdPolicy::PerLabelF1 { shrink: 0.25 };

#[test]
fn cross_fitting_never_looks_at_the_fold_it_judges() {
    let (logits, targets, folds) = made(1, 300, 4);
    let candidates = Candidates { policies: vec![ThresholdPolicy::Fixed(0.5), PER_LABEL], objective: Objective::MacroF1 };
    let run = |targets: &Targets| {
        let plain = cross_fit(&logits, targets, &folds, CalibratorKind::Auto, PER_LABEL).expect("five folds");
        (plain, cross_fit_choosing(&logits, targets, &folds, CalibratorKind::Sigmoid, &candidates).expect("five folds"))
    };
    let as_it_is = run(&targets);
    // The truth of fold 2 turned round: its own rows must be judged as before, others not all.
    let turned = (0..300).flat_map(|row| targets.row(row).iter().map(move |held| *held != (row % 5 == 2)).collect::<Vec<_>>()).collect();
    let turned = run(&Targets::new(300, 4, turned).expect("a matrix"));
    for (before, after) in [(&as_it_is.0, &turned.0), (&as_it_is.1, &turned.1)] {
        let mut moved = 0;
        for (row, fold) in folds.iter().enumerate() {
            let same =
                before.probabilities.row(row) == after.probabilities.row(row) && before.decisions.row(row) == after.decisions.row(row);
            assert!(same || *fold != 2, "row {row} of fold 2 moved");
            moved += usize::from(!same);
        }
        assert!(moved > 200, "only {moved} rows moved");
    }
}

#[test]
fn a_cross_fitted_row_is_what_the_other_folds_give() {
    let (logits, targets, folds) = made(2, 200, 3);
    let found = cross_fit(&logits, &targets, &folds, CalibratorKind::Beta, ThresholdPolicy::GlobalF1).expect("five folds");
    for fold in 0..5 {
        let others: Vec<usize> = (0..200).filter(|row| folds[*row] != fold).collect();
        let own: Vec<usize> = (0..200).filter(|row| folds[*row] == fold).collect();
        let fitted = fit_all(
            &logits.select(&others),
            &targets.select(&others),
            &vec![0; others.len()],
            CalibratorKind::Beta,
            ThresholdPolicy::GlobalF1,
        )
        .expect("rows");
        let labels = LabelSet::new(["a", "b", "c"]).expect("three names");
        let decider = Decider::new(labels, Activation::Sigmoid, fitted.calibrators, fitted.thresholds).expect("three of each");
        let expected = decider.probabilities(&logits.select(&own));
        assert_eq!(found.probabilities.select(&own), expected);
        assert_eq!(found.decisions.select(&own), decider.thresholds().decide(&expected).expect("three labels"));
    }
    assert!(found.warnings.is_empty());
}

#[test]
fn the_choice_is_the_candidate_that_cross_fits_best() {
    let (logits, targets, folds) = made(3, 400, 5);
    let policies = vec![ThresholdPolicy::Fixed(0.9), ThresholdPolicy::PerLabelF1 { shrink: 0.0 }, ThresholdPolicy::Fixed(0.99)];
    let candidates = Candidates { policies: policies.clone(), objective: Objective::MacroF1AndJaccard };
    let choice = choose_policy(&logits, &targets, &folds, CalibratorKind::Sigmoid, &candidates).expect("five folds");
    assert_eq!(choice.policy, policies[1], "values {:?}", choice.values);
    assert!(choice.values[1] > choice.values[0] && choice.values[0] > choice.values[2]);
    let honest = cross_fit_choosing(&logits, &targets, &folds, CalibratorKind::Sigmoid, &candidates).expect("five folds");
    assert_eq!(honest.policies, vec![policies[1]; 5]);
    let plain = cross_fit(&logits, &targets, &folds, CalibratorKind::Sigmoid, policies[1]).expect("five folds");
    assert_eq!(honest.decisions, plain.decisions);
}

#[test]
fn labels_that_cannot_be_fitted_are_named() {
    let (logits, targets, folds) = made(4, 100, 3);
    let values = (0..100).flat_map(|row| [targets.row(row)[0], false, true]).collect();
    let targets = Targets::new(100, 3, values).expect("a matrix");
    let fitted = fit_all(&logits, &targets, &folds, CalibratorKind::Sigmoid, PER_LABEL).expect("rows");
    assert_eq!(fitted.calibrators[1..], [Calibrator::Identity, Calibrator::Identity]);
    assert_eq!(fitted.thresholds.values()[1], DEFAULT_THRESHOLD);
    let doubts: Vec<(usize, Doubt)> = fitted.warnings.iter().map(|warning| (warning.label, warning.doubt)).collect();
    assert_eq!(doubts, [(1, Doubt::NoPositives), (2, Doubt::NoNegatives)]);
    let labels = LabelSet::new(["anger", "trust", "joy"]).expect("three names");
    assert!(fitted.warnings[0].told(&labels).starts_with("label \"trust\": no row holds it"));
    let crossed = cross_fit(&logits, &targets, &folds, CalibratorKind::Sigmoid, PER_LABEL).expect("five folds");
    assert!(crossed.warnings[0].told(&labels).starts_with("label \"trust\", fitted without fold 0: "));
    assert_eq!(crossed.warnings.len(), 10);
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let (logits, targets, folds) = made(5, 20, 2);
    let kind = CalibratorKind::Sigmoid;
    assert!(cross_fit(&logits, &targets, &[0; 20], kind, PER_LABEL).is_err(), "one fold");
    assert!(cross_fit(&logits, &targets, &folds[1..], kind, PER_LABEL).is_err(), "fewer fold names than rows");
    assert!(fit_all(&logits, &targets.select(&[0, 1]), &folds, kind, PER_LABEL).is_err(), "fewer rows of targets");
    assert!(fit_all(&logits.select(&[]), &targets.select(&[]), &[], kind, PER_LABEL).is_err(), "no row");
    for shrink in [-0.1, 1.1, f64::NAN] {
        assert!(fit_all(&logits, &targets, &folds, kind, ThresholdPolicy::PerLabelF1 { shrink }).is_err(), "shrink {shrink}");
    }
    assert!(fit_all(&logits, &targets, &folds, kind, ThresholdPolicy::Fixed(f64::NAN)).is_err());
    for target in [0.0, -0.1, 1.1, f64::NAN] {
        assert!(fit_all(&logits, &targets, &folds, kind, ThresholdPolicy::TargetPrecision(target)).is_err(), "precision {target}");
        assert!(fit_all(&logits, &targets, &folds, kind, ThresholdPolicy::TargetRecall(target)).is_err(), "recall {target}");
    }
    let none = Candidates { policies: vec![], objective: Objective::Jaccard };
    assert!(choose_policy(&logits, &targets, &folds, kind, &none).is_err(), "no candidate");
}

#[test]
fn names_in_recipes_are_stable() {
    let kinds =
        [CalibratorKind::Identity, CalibratorKind::Sigmoid, CalibratorKind::Auto].map(|kind| serde_json::to_string(&kind).expect("a name"));
    assert_eq!(kinds, ["\"identity\"", "\"sigmoid\"", "\"auto\""]);
    assert_eq!(serde_json::to_string(&PER_LABEL).expect("a policy"), "{\"per_label_f1\":{\"shrink\":0.25}}");
}
