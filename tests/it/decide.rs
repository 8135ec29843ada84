//! Calibrators against scikit-learn, thresholds against brute force, and cross-fitting against what
//! it must not see.

use std::fs;

use limbic::decide::fit::{
    Candidates, DEFAULT_THRESHOLD, Doubt, Objective, calibrator, choose_policy, cross_fit, cross_fit_choosing, fit_all, fit_thresholds,
};
use limbic::decide::{Calibrator, CalibratorKind, Decider, Logits, Probabilities, ThresholdPolicy, Thresholds};
use limbic::spec::{Activation, LabelSet, Targets};
use proptest::prelude::*;
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
}

#[test]
fn calibrators_are_those_of_scikit_learn() {
    let Fixture { probes, cases } = serde_json::from_slice(&fs::read(fixture("calibration.json")).expect("a fixture")).expect("samples");
    assert_eq!(cases.len(), 7);
    for Case { name, logits, held, sigmoid, isotonic, temperature, beta } in cases {
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
        let plain = cross_fit(&logits, targets, &folds, CalibratorKind::Best, PER_LABEL).expect("five folds");
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
    let none = Candidates { policies: vec![], objective: Objective::Jaccard };
    assert!(choose_policy(&logits, &targets, &folds, kind, &none).is_err(), "no candidate");
}

#[test]
fn names_in_recipes_are_stable() {
    let kinds =
        [CalibratorKind::Identity, CalibratorKind::Sigmoid, CalibratorKind::Best].map(|kind| serde_json::to_string(&kind).expect("a name"));
    assert_eq!(kinds, ["\"identity\"", "\"sigmoid\"", "\"best\""]);
    assert_eq!(serde_json::to_string(&PER_LABEL).expect("a policy"), "{\"per_label_f1\":{\"shrink\":0.25}}");
}

/// F1 of one label at a threshold.
fn f1(scores: &[f32], held: &[bool], threshold: f64) -> f64 {
    let given = scores.iter().map(|score| f64::from(*score) >= threshold);
    let (mut both, mut sizes) = (0.0, 0.0);
    for (given, held) in given.zip(held) {
        both += f64::from(u8::from(given && *held));
        sizes += f64::from(u8::from(given) + u8::from(*held));
    }
    if sizes == 0.0 { 0.0 } else { 2.0 * both / sizes }
}

/// Scores with many ties, the ends 0 and 1 among them.
fn scored(labels: usize) -> impl Strategy<Value = (Vec<f32>, Vec<bool>)> {
    prop::collection::vec(
        (prop_oneof![(0..=10u8).prop_map(|tenth| f32::from(tenth) / 10.0), 0.0..1.0f32], any::<bool>()),
        labels..40 * labels,
    )
    .prop_map(move |mut cells| {
        cells.truncate(cells.len() / labels * labels);
        cells.into_iter().unzip()
    })
}

fn fitted(policy: ThresholdPolicy, labels: usize, scores: &[f32], held: &[bool]) -> Thresholds {
    let probabilities = Probabilities::new(labels, scores.to_vec()).expect("in range");
    let targets = Targets::new(scores.len() / labels, labels, held.to_vec()).expect("a matrix");
    fit_thresholds(policy, &probabilities, &targets).expect("rows").0
}

proptest! {
    #[test]
    fn no_threshold_beats_the_tuned_one((scores, held) in scored(1)) {
        let tuned = fitted(ThresholdPolicy::PerLabelF1 { shrink: 0.0 }, 1, &scores, &held).values()[0];
        if held.contains(&true) {
            let found = f1(&scores, &held, tuned);
            let tried = scores.iter().map(|score| f64::from(*score)).chain([0.0, 1.0, 0.5]);
            for threshold in tried {
                prop_assert!(found >= f1(&scores, &held, threshold), "{tuned} loses to {threshold}");
            }
            // Scores apart from 0 lie clear of the cut, so the last digit of a score cannot decide.
            prop_assert!(scores.iter().all(|score| *score == 0.0 || f64::from(*score) != tuned));
        } else {
            prop_assert_eq!(tuned, DEFAULT_THRESHOLD);
        }
    }

    #[test]
    fn no_common_threshold_beats_the_global_one((scores, held) in scored(3)) {
        let macro_f1 = |threshold: f64| {
            let column = |label: usize| scores.iter().zip(&held).skip(label).step_by(3).map(|(score, held)| (*score, *held)).unzip();
            let of_label = |label| { let (scores, held): (Vec<f32>, Vec<bool>) = column(label); f1(&scores, &held, threshold) };
            (0..3).map(of_label).sum::<f64>() / 3.0
        };
        let found = fitted(ThresholdPolicy::GlobalF1, 3, &scores, &held);
        prop_assert!(found.values().iter().all(|value| *value == found.values()[0]));
        for score in &scores {
            prop_assert!(macro_f1(found.values()[0]) >= macro_f1(f64::from(*score)) - 1e-9);
        }
    }

    #[test]
    fn the_prior_of_the_pull_is_best_for_jaccard((scores, held) in scored(2)) {
        let jaccard = |threshold: f64| {
            let of_row = |(scores, held): (&[f32], &[bool])| {
                let given = |label: usize| f64::from(scores[label]) >= threshold;
                let both = (0..2).filter(|&label| given(label) && held[label]).count();
                let either = (0..2).filter(|&label| given(label) || held[label]).count();
                if either == 0 { 1.0 } else { both as f64 / either as f64 }
            };
            scores.chunks(2).zip(held.chunks(2)).map(of_row).sum::<f64>()
        };
        let at = |shrink| fitted(ThresholdPolicy::PerLabelF1 { shrink }, 2, &scores, &held).values().to_vec();
        let (tuned, pulled, prior) = (at(0.0), at(0.3), at(1.0));
        for label in 0..2 {
            if held.iter().skip(label).step_by(2).any(|held| *held) {
                prop_assert!(scores.iter().all(|score| jaccard(prior[label]) >= jaccard(f64::from(*score)) - 1e-9));
                prop_assert!((pulled[label] - (0.3 * prior[label] + 0.7 * tuned[label])).abs() < 1e-12);
            } else {
                prop_assert_eq!([tuned[label], pulled[label], prior[label]], [DEFAULT_THRESHOLD; 3]);
            }
        }
    }
}
