//! What the metrics say of live scores: how they are distributed, and how far they moved from those that a bundle
//! was calibrated on.

use std::collections::BTreeMap;

use limbic::bundle::{ScoreBin, ScoreReference};
use limbic::serve::model::ServedModel;
use limbic::serve::telemetry::{LEAST_TEXTS, Telemetry};
use serde_json::json;

use super::harness::{LABELS, Plan, Running, asking, model};

/// Four bins of equal width and mass for every label.
pub fn judged() -> ServedModel {
    let bins = [0.0, 0.25, 0.5, 0.75].map(|from| ScoreBin { from, rows: 100, score: from + 0.125, held: 0.5 }).to_vec();
    let reference = ScoreReference { set: "out_of_fold".to_owned(), labels: vec![bins; LABELS.len()] };
    let expected = BTreeMap::from([("joy".to_owned(), 0.25)]);
    ServedModel { reference: Some(reference), expected, ..model() }
}

fn has(server: &Running, series: &str) -> bool {
    server.get("/metrics").body.lines().any(|line| line.starts_with(series))
}

#[test]
fn scores_are_told_beside_those_that_were_judged() {
    let server = Plan::default().start_telling(judged, Telemetry::new());
    let window = "limbic_drift_window_texts{model=\"scripted\",version=\"7\"}";
    assert!(has(&server, window) && !has(&server, "limbic_label_score_drift"), "too few texts give no index");
    let mut live = [[0_u64; 4]; LABELS.len()];
    let mut holding = [0_u64; LABELS.len()];
    let mut sums = [0.0; LABELS.len()];
    let mut texts = 0;
    while texts < LEAST_TEXTS {
        let input: Vec<String> = (0..50).map(|at| format!("text number {}", texts + at)).collect();
        // Thresholds of the client's own change nothing of what is counted.
        let answer = server.post("/v1/emotions", &json!({"input": input, "thresholds": 0.0})).expect(200).json();
        for result in answer["results"].as_array().unwrap() {
            for (label, threshold) in [0.5, 0.4, 0.3, 0.75].into_iter().enumerate() {
                let score = result["scores"][LABELS[label]].as_f64().unwrap();
                live[label][((score * 4.0) as usize).min(3)] += 1;
                holding[label] += u64::from(score >= threshold);
                sums[label] += score;
            }
            texts += 1;
        }
    }
    assert_eq!(server.metric(window), texts as f64);
    for (at, label) in LABELS.iter().enumerate() {
        let of = format!("{{label=\"{label}\",model=\"scripted\"}}");
        assert_eq!(server.metric(&format!("limbic_label_positive_total{of}")), holding[at] as f64, "{label}");
        assert_eq!(server.metric(&format!("limbic_label_score_count{of}")), texts as f64, "{label}");
        let sum = server.metric(&format!("limbic_label_score_sum{of}"));
        assert!((sum - sums[at]).abs() < 1e-3, "{label}: {sum} is not {}", sums[at]);
        // Half a row is added to each of four bins.
        let share = |count: u64| (count as f64 + 0.5) / (texts as f64 + 2.0);
        let expected: f64 = live[at].iter().map(|&count| (share(count) - 0.25) * (share(count) / 0.25).ln()).sum();
        let found = server.metric(&format!("limbic_label_score_drift{{label=\"{label}\",model=\"scripted\",version=\"7\"}}"));
        assert!((found - expected).abs() < 1e-9 && found > 0.0, "{label}: {found}, expected {expected}");
    }
    assert_eq!(server.metric("limbic_label_expected_ratio{label=\"joy\",model=\"scripted\",version=\"7\"}"), 0.25);
    assert!(!has(&server, "limbic_label_expected_ratio{label=\"anger\""), "what was not measured is not told");
}

#[test]
fn every_route_counts_the_same() {
    let server = Plan::default().start_telling(judged, Telemetry::new());
    let scores: f64 = server.classify("so happy").expect(200).json()["results"][0]["scores"]["joy"].as_f64().unwrap();
    let (mut asked, joy) = (1, "{label=\"joy\",model=\"scripted\"}");
    for (_, path, body) in asking("so happy") {
        server.post(path, &body).expect(200);
        asked += 1;
    }
    server.send("POST", "/v1/emotions/bulk", &[], json!({"input": "so happy"}).to_string().as_bytes()).expect(200);
    asked += 1;
    assert_eq!(asked, 10);
    assert_eq!(server.metric(&format!("limbic_label_score_count{joy}")), f64::from(asked));
    assert!((server.metric(&format!("limbic_label_score_sum{joy}")) - f64::from(asked) * scores).abs() < 1e-5);
    assert_eq!(server.metric(&format!("limbic_label_positive_total{joy}")), if scores >= 0.4 { f64::from(asked) } else { 0.0 });
}

#[test]
fn a_bundle_without_a_reference_has_no_drift() {
    let server = Plan::default().start();
    server.classify("so happy").expect(200);
    assert!(has(&server, "limbic_label_score_count"));
    for absent in ["limbic_label_score_drift", "limbic_drift_window_texts", "limbic_label_expected_ratio"] {
        assert!(!has(&server, absent), "{absent}");
    }
}
