//! Threshold policies against brute force over every cut there is.

use limbic::decide::fit::{Candidates, DEFAULT_THRESHOLD, Doubt, Objective, fit_thresholds};
use limbic::decide::{Probabilities, ThresholdPolicy, Thresholds};
use limbic::spec::Targets;
use proptest::prelude::*;

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

/// Precision and recall of one label at a threshold; precision is none where nothing is predicted.
fn precision_and_recall(scores: &[f32], held: &[bool], threshold: f64) -> (Option<f64>, f64) {
    let given: Vec<bool> = scores.iter().map(|score| f64::from(*score) >= threshold).collect();
    let count = |wanted: &dyn Fn(usize) -> bool| (0..held.len()).filter(|row| wanted(*row)).count() as f64;
    let both = count(&|row| given[row] && held[row]);
    let predicted = count(&|row| given[row]);
    ((predicted > 0.0).then(|| both / predicted), both / count(&|row| held[row]))
}

/// F1 as the scores expect it.
fn expected_f1(scores: &[f32], threshold: f64) -> f64 {
    let given = || scores.iter().map(|score| f64::from(*score)).filter(|score| *score >= threshold);
    2.0 * given().sum::<f64>() / (given().count() as f64 + scores.iter().map(|score| f64::from(*score)).sum::<f64>())
}

/// Every score, and the ends.
fn tried(scores: &[f32]) -> impl Iterator<Item = f64> {
    scores.iter().map(|score| f64::from(*score)).chain([0.0, 0.5, 1.0])
}

fn doubts(policy: ThresholdPolicy, scores: &[f32], held: &[bool]) -> Vec<Doubt> {
    let probabilities = Probabilities::new(1, scores.to_vec()).expect("in range");
    let targets = Targets::new(scores.len(), 1, held.to_vec()).expect("a matrix");
    fit_thresholds(policy, &probabilities, &targets).expect("rows").1.iter().map(|warning| warning.doubt).collect()
}

#[test]
fn the_expected_f1_of_a_known_column() {
    // Cut below 0.6: 2 (0.9 + 0.6) / (2 + 2) = 0.75, and half of it lies between 0.6 and 0.3.
    let (scores, held) = ([0.9, 0.6, 0.3, 0.2], [false, false, false, true]);
    let threshold = fitted(ThresholdPolicy::ExpectedF1 { shrink: 0.0 }, 1, &scores, &held).values()[0];
    assert!((threshold - 0.375).abs() < 1e-7, "{threshold}");
}

#[test]
fn a_target_is_reached_exactly_where_the_quotient_is_the_number() {
    // Of the ten highest seven hold; 0.7 as typed is that quotient, whatever its last bit.
    let scores: Vec<f32> = (0..20).map(|row| 1.0 - 0.05 * row as f32).collect();
    let held: Vec<bool> = (0..20).map(|row| (3..10).contains(&row)).collect();
    let at = |policy| fitted(policy, 1, &scores, &held).values()[0];
    let given = |threshold: f64| scores.iter().filter(|score| f64::from(**score) >= threshold).count();
    assert_eq!(given(at(ThresholdPolicy::TargetPrecision(0.7))), 10);
    assert_eq!(given(at(ThresholdPolicy::TargetRecall(1.0))), 10);
    assert_eq!(given(at(ThresholdPolicy::TargetRecall(0.1))), 4);
}

#[test]
fn labels_out_of_reach_get_the_default_and_are_named() {
    let (scores, held, none) = ([0.9, 0.6, 0.3], [false, true, false], [false; 3]);
    let precise = ThresholdPolicy::TargetPrecision(0.51);
    assert_eq!(fitted(precise, 1, &scores, &held).values(), [DEFAULT_THRESHOLD]);
    assert_eq!(doubts(precise, &scores, &held), [Doubt::OutOfReach]);
    assert_eq!(doubts(ThresholdPolicy::TargetPrecision(0.5), &scores, &held), []);
    let per_label = [
        precise,
        ThresholdPolicy::TargetRecall(0.5),
        ThresholdPolicy::PerLabelF1 { shrink: 1.0 },
        ThresholdPolicy::ExpectedF1 { shrink: 1.0 },
    ];
    for policy in per_label {
        assert_eq!(fitted(policy, 1, &scores, &none).values(), [DEFAULT_THRESHOLD], "{policy}");
        assert_eq!(doubts(policy, &scores, &none), [Doubt::NoPositives], "{policy}");
    }
}

#[test]
fn the_grid_holds_each_policy_once() {
    let Candidates { policies, objective } = Candidates::grid(Objective::Jaccard);
    assert_eq!((policies.len(), objective), (10, Objective::Jaccard));
    let mut names: Vec<String> = policies.iter().map(ThresholdPolicy::to_string).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 10, "{names:?}");
}

proptest! {
    #[test]
    fn no_threshold_is_expected_to_beat_the_expected_one((scores, held) in scored(1)) {
        let found = fitted(ThresholdPolicy::ExpectedF1 { shrink: 0.0 }, 1, &scores, &held).values()[0];
        if held.contains(&true) && scores.iter().any(|score| *score > 0.0) {
            for threshold in tried(&scores) {
                prop_assert!(expected_f1(&scores, found) >= expected_f1(&scores, threshold) - 1e-12, "{found} loses to {threshold}");
            }
            // The truth matters only in that there is some.
            let turned: Vec<bool> = held.iter().map(|held| !held).collect();
            if turned.contains(&true) {
                prop_assert_eq!(found, fitted(ThresholdPolicy::ExpectedF1 { shrink: 0.0 }, 1, &scores, &turned).values()[0]);
            }
        } else {
            prop_assert_eq!(found, DEFAULT_THRESHOLD);
        }
    }

    #[test]
    fn targets_are_reached_by_the_lowest_and_the_highest((scores, held) in scored(1), twentieth in 1..=20u8) {
        let target = f64::from(twentieth) / 20.0;
        let precise = fitted(ThresholdPolicy::TargetPrecision(target), 1, &scores, &held).values()[0];
        let recalling = fitted(ThresholdPolicy::TargetRecall(target), 1, &scores, &held).values()[0];
        let precision = |threshold| precision_and_recall(&scores, &held, threshold).0.is_some_and(|found| found >= target);
        let recall = |threshold| precision_and_recall(&scores, &held, threshold).1 >= target;
        if held.contains(&true) {
            let attained = tried(&scores).any(precision);
            prop_assert_eq!(precision(precise), attained || precision(DEFAULT_THRESHOLD));
            prop_assert_eq!(doubts(ThresholdPolicy::TargetPrecision(target), &scores, &held).is_empty(), attained);
            prop_assert!(recall(recalling));
            let apart = |one: f64, other: f64| scores.iter().any(|score| (f64::from(*score) >= one) != (f64::from(*score) >= other));
            for threshold in tried(&scores) {
                let lower = threshold < precise && apart(threshold, precise);
                prop_assert!(!(attained && lower && precision(threshold)), "{threshold} is lower than {precise}");
                let higher = threshold > recalling && apart(threshold, recalling);
                prop_assert!(!(higher && recall(threshold)), "{threshold} is higher than {recalling}");
            }
        } else {
            prop_assert_eq!([precise, recalling], [DEFAULT_THRESHOLD; 2]);
        }
    }

    #[test]
    fn no_threshold_beats_the_tuned_one((scores, held) in scored(1)) {
        let tuned = fitted(ThresholdPolicy::PerLabelF1 { shrink: 0.0 }, 1, &scores, &held).values()[0];
        if held.contains(&true) {
            let found = f1(&scores, &held, tuned);
            for threshold in tried(&scores) {
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
        let policies: [fn(f64) -> ThresholdPolicy; 2] =
            [|shrink| ThresholdPolicy::PerLabelF1 { shrink }, |shrink| ThresholdPolicy::ExpectedF1 { shrink }];
        for policy in policies {
            let at = |shrink| fitted(policy(shrink), 2, &scores, &held).values().to_vec();
            let (tuned, pulled, prior) = (at(0.0), at(0.3), at(1.0));
            for label in 0..2 {
                let any = |wanted: &dyn Fn(usize) -> bool| (label..scores.len()).step_by(2).any(wanted);
                if any(&|cell| held[cell]) && any(&|cell| scores[cell] > 0.0) {
                    prop_assert!(scores.iter().all(|score| jaccard(prior[label]) >= jaccard(f64::from(*score)) - 1e-9));
                    prop_assert!((pulled[label] - (0.3 * prior[label] + 0.7 * tuned[label])).abs() < 1e-12);
                } else if !any(&|cell| held[cell]) {
                    prop_assert_eq!([tuned[label], pulled[label], prior[label]], [DEFAULT_THRESHOLD; 3]);
                }
            }
        }
    }
}
