//! Every figure against scikit-learn, and the intervals against what is known of them.

use std::collections::BTreeMap;
use std::fs;

use limbic::decide::{Probabilities, Thresholds};
use limbic::metrics::{
    Counts, Judged, LabelFigures, MetricsError, Report, Resampling, Summary, auroc, average_precision, bootstrap, brier, calibration_error,
    debiased_calibration_error, log_loss, paired_differences,
};
use limbic::spec::Targets;
use serde::Deserialize;

use super::support::fixture;

type Figures = BTreeMap<String, Option<f64>>;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    thresholds: Vec<f64>,
    scores: Vec<Vec<f32>>,
    held: Vec<Vec<u8>>,
    summary: Figures,
    labels: Vec<Figures>,
}

impl Case {
    fn parts(&self) -> (Probabilities, Targets, Thresholds) {
        let labels = self.thresholds.len();
        let held = self.held.concat().iter().map(|held| *held == 1).collect();
        (
            Probabilities::new(labels, self.scores.concat()).expect("in range"),
            Targets::new(self.held.len(), labels, held).expect("a matrix"),
            Thresholds::new(self.thresholds.clone()).expect("in range"),
        )
    }
}

fn cases() -> Vec<Case> {
    let Fixture { cases } = serde_json::from_slice(&fs::read(fixture("metrics.json")).expect("a fixture")).expect("figures");
    assert_eq!(cases.len(), 5);
    cases
}

fn check(what: &str, names: &[&str], found: &[Option<f64>], expected: &Figures) {
    for (name, found) in names.iter().zip(found) {
        let expected = expected.get(*name).unwrap_or_else(|| panic!("{what}: the fixture has no {name}"));
        let same = match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() < 1e-9,
            (None, None) => true,
            _ => false,
        };
        assert!(same, "{what}: {name} is {found:?}, expected {expected:?}");
    }
}

#[test]
fn figures_are_those_of_scikit_learn() {
    let mut labels = 0;
    for case in cases() {
        let (probabilities, targets, thresholds) = case.parts();
        let report = Report::measure(&probabilities, &targets, &thresholds).expect("same sizes");
        assert_eq!(report.rows, targets.rows());
        check(&case.name, Summary::<f64>::NAMES, &report.summary.cells(), &case.summary);
        for (label, (found, expected)) in report.labels.iter().zip(&case.labels).enumerate() {
            let mut expected = expected.clone();
            expected.insert("threshold".into(), Some(case.thresholds[label]));
            check(&format!("{}, label {label}", case.name), LabelFigures::<f64>::NAMES, &found.cells(), &expected);
            labels += 1;
        }
    }
    assert_eq!(labels, 14);
}

#[test]
fn what_is_called_free_of_thresholds_is() {
    let (probabilities, targets) = calibrated(200);
    let report = |threshold| {
        let thresholds = Thresholds::uniform(3, threshold).expect("in range");
        Report::measure(&probabilities, &targets, &thresholds).expect("same sizes")
    };
    let (low, high) = (report(0.3), report(0.7));
    let moved = |names: &[&str], low: Vec<Option<f64>>, high: Vec<Option<f64>>, free: &[&str]| {
        for ((name, low), high) in names.iter().zip(low).zip(high) {
            assert_eq!(low == high, free.contains(name), "{name}: {low:?} at 0.3, {high:?} at 0.7");
        }
        assert!(free.iter().all(|name| names.contains(name)));
    };
    moved(Summary::<f64>::NAMES, low.summary.cells(), high.summary.cells(), Summary::<f64>::THRESHOLD_FREE);
    moved(LabelFigures::<f64>::NAMES, low.labels[0].cells(), high.labels[0].cells(), LabelFigures::<f64>::THRESHOLD_FREE);
    for names in [Summary::<f64>::LOWER_IS_BETTER, Summary::<f64>::DESCRIPTIVE] {
        assert!(names.iter().all(|name| Summary::<f64>::NAMES.contains(name)));
    }
}

#[test]
fn the_functions_of_one_label_give_the_reports_figures() {
    let case = &cases()[1];
    let (probabilities, targets, thresholds) = case.parts();
    let report = Report::measure(&probabilities, &targets, &thresholds).expect("same sizes");
    for (label, figures) in report.labels.iter().enumerate() {
        let scores: Vec<f32> = probabilities.column(label).collect();
        let held: Vec<bool> = targets.column(label).collect();
        assert_eq!(average_precision(&scores, &held), Ok(figures.average_precision));
        assert_eq!(auroc(&scores, &held), Ok(figures.auroc));
        assert_eq!(log_loss(&scores, &held), Ok(figures.log_loss));
        assert_eq!(brier(&scores, &held), Ok(figures.brier));
        assert_eq!(calibration_error(&scores, &held), Ok(figures.ece));
        assert_eq!(debiased_calibration_error(&scores, &held), Ok(figures.ece_debiased));
    }
}

#[test]
fn a_confident_mistake_has_a_finite_cost() {
    let cost = log_loss(&[1.0, 0.0], &[false, true]).expect("two rows");
    assert!((cost - -f64::from(f32::EPSILON).ln()).abs() < 1e-6, "found {cost}");
    assert!(log_loss(&[1.0, 0.0], &[true, false]).expect("two rows") < 1e-6);
}

/// Scores that are what they say, of `rows` rows and three labels.
fn calibrated(rows: usize) -> (Probabilities, Targets) {
    let scores: Vec<f32> = (0..rows * 3).map(|cell| (cell * 37 % 101) as f32 / 101.0).collect();
    let held = scores.iter().enumerate().map(|(cell, score)| (cell * 61 % 89) as f32 / 89.0 < *score).collect();
    (Probabilities::new(3, scores).expect("in range"), Targets::new(rows, 3, held).expect("a matrix"))
}

#[test]
fn intervals_hold_the_figures_and_narrow_with_rows() {
    let width = |rows| {
        let (probabilities, targets) = calibrated(rows);
        let half = Thresholds::uniform(3, 0.5).expect("in range");
        let judged = Judged::new(&probabilities, &targets, &half).expect("same sizes");
        let (report, intervals) = (judged.report(), judged.intervals(Resampling { resamples: 200, ..Resampling::default() }));
        assert_eq!(intervals, judged.intervals(Resampling { resamples: 200, ..Resampling::default() }), "the seed decides");
        for figure in ["macro_f1", "micro_f1", "jaccard", "brier", "log_loss", "mean_auroc", "cardinality"] {
            let at = Summary::<f64>::NAMES.iter().position(|name| *name == figure).expect("a figure");
            let (point, interval) = (report.summary.cells()[at].expect("defined"), intervals.summary.cells()[at].expect("defined"));
            assert!(interval.low < point && point < interval.high, "{figure}: {point} outside {interval:?}");
        }
        assert_eq!(intervals.labels.len(), 3);
        intervals.summary.macro_f1.high - intervals.summary.macro_f1.low
    };
    let (few, many) = (width(100), width(1600));
    assert!((3.0..5.5).contains(&(few / many)), "16 times the rows narrowed {few} to {many}");
}

#[test]
fn a_resample_is_the_rows_it_repeats() {
    let (probabilities, targets) = calibrated(50);
    let half = Thresholds::uniform(3, 0.5).expect("in range");
    // What the weights say, by rows written out that often, and by the report of those rows.
    let written_out = bootstrap(50, Resampling { resamples: 1, seed: 7, level: 0.95 }, |weights| {
        let rows: Vec<usize> = (0..50).flat_map(|row| vec![row; weights[row] as usize]).collect();
        let report = Report::measure(&probabilities.select(&rows), &targets.select(&rows), &half).expect("same sizes");
        report.summary.cells()
    });
    let judged = Judged::new(&probabilities, &targets, &half).expect("same sizes");
    let weighed = judged.intervals(Resampling { resamples: 1, seed: 7, level: 0.95 }).summary.cells();
    for ((name, expected), found) in Summary::<f64>::NAMES.iter().zip(written_out).zip(weighed) {
        let (expected, found) = (expected.expect("defined").low, found.expect("defined").low);
        assert!((expected - found).abs() < 1e-12, "{name}: {found}, expected {expected}");
    }
}

#[test]
fn differences_are_paired() {
    let (probabilities, targets) = calibrated(300);
    let judge =
        |threshold| Judged::new(&probabilities, &targets, &Thresholds::uniform(3, threshold).expect("in range")).expect("same sizes");
    let (left, right) = (judge(0.5), judge(0.52));
    let resampling = Resampling { resamples: 300, ..Resampling::default() };
    let differences = paired_differences(&left, &right, resampling).expect("the same rows");
    let macro_f1 = differences.iter().find(|difference| difference.figure == "macro_f1").expect("a figure");
    let expected = left.report().summary.macro_f1 - right.report().summary.macro_f1;
    assert!((macro_f1.difference.expect("defined") - expected).abs() < 1e-12);
    let (paired, alone) = (macro_f1.interval.expect("defined"), left.intervals(resampling).summary.macro_f1);
    assert!(paired.high - paired.low < (alone.high - alone.low) / 2.0, "{paired:?} is not narrow beside {alone:?}");
    assert!(paired_differences(&left, &left, resampling).expect("the same").iter().all(|difference| difference.difference == Some(0.0)));
    let (_, others) = calibrated(299);
    let fewer: Vec<usize> = (0..299).collect();
    let other = Judged::decided(&probabilities.select(&fewer), &others, others.clone()).expect("same sizes");
    assert!(paired_differences(&left, &other, resampling).is_err(), "another number of rows");
    let turned = Targets::new(300, 3, (0..900).map(|cell| cell % 2 == 0).collect()).expect("a matrix");
    let turned = Judged::decided(&probabilities, &turned, targets.clone()).expect("same sizes");
    assert!(matches!(paired_differences(&left, &turned, resampling), Err(MetricsError::Shape { what: "rows whose truth differs", .. })));
}

#[test]
fn decisions_made_elsewhere_have_no_threshold() {
    let (probabilities, targets) = calibrated(20);
    let report = Judged::decided(&probabilities, &targets, targets.clone()).expect("same sizes").report();
    assert_eq!((report.summary.macro_f1, report.summary.exact_match, report.labels[0].threshold), (1.0, 1.0, None));
}

#[test]
fn sizes_are_checked() {
    let (probabilities, targets) = calibrated(4);
    let half = |labels| Thresholds::uniform(labels, 0.5).expect("in range");
    assert!(matches!(Report::measure(&probabilities, &targets.select(&[0]), &half(3)), Err(MetricsError::Shape { .. })));
    assert!(matches!(Report::measure(&probabilities, &targets, &half(2)), Err(MetricsError::Decide(_))));
    assert_eq!(Report::measure(&probabilities.select(&[]), &targets.select(&[]), &half(3)), Err(MetricsError::Empty));
    let counts = Counts { true_positives: 2, false_positives: 1, false_negatives: 1, true_negatives: 0 };
    assert_eq!((counts.support(), counts.predicted(), counts.merge(counts).support()), (3, 3, 6));
}
