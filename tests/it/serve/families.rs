//! Every family of networks over HTTP: a bundle's golden texts are answered as its golden answers
//! say, whatever the engine.

use std::path::Path;

use limbic::backend::EngineKind;
use limbic::bundle::GoldenSet;
use limbic::decide::Prediction;
use limbic::serve::Service;
use limbic::spec::Precision;
use serde_json::{Value, json};

use super::harness::{Running, config};
use crate::tiny;

/// Golden texts that are asked about: an empty one is refused.
const ASKED: usize = 15;

#[test]
fn every_family_answers_as_its_golden_answers_say() {
    let (dir, mut seen) = (tempfile::tempdir().unwrap(), 0);
    for (family, pooling) in tiny::cases() {
        let parts = tiny::parts_of(family, pooling, Precision::Fp32);
        let bundle = dir.path().join(format!("{family}-{}", pooling.name()));
        tiny::write(&bundle, &parts);
        let expected = parts.decider.decide(&parts.golden.logits);
        for kind in EngineKind::ALL {
            let server = serving(&bundle, kind);
            let texts: Vec<&String> = parts.golden.texts.iter().filter(|text| !text.is_empty()).collect();
            let answer = server.post("/v1/emotions", &json!({"input": texts, "logits": true})).expect(200).json();
            seen += check(&answer, &parts.golden, &expected, &format!("{family}, {pooling:?}, {kind}"));
        }
    }
    assert_eq!(seen, tiny::CASES * EngineKind::ALL.len() * ASKED);
}

/// A server of one bundle.
pub fn serving(bundle: &Path, kind: EngineKind) -> Running {
    Running::start(Service::open(&config(bundle, kind)).unwrap())
}

/// Holds each text's answer against the golden one; how many there were.
fn check(answer: &Value, golden: &GoldenSet, expected: &[Prediction], case: &str) -> usize {
    let rows: Vec<usize> = (0..golden.texts.len()).filter(|&row| !golden.texts[row].is_empty()).collect();
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), rows.len(), "{case}");
    for (result, &row) in results.iter().zip(&rows) {
        let case = format!("{case}: {:?}", golden.texts[row]);
        for (at, label) in tiny::LABELS.into_iter().enumerate() {
            let near = |member: &str, golden: f32| {
                let found = result[member][label].as_f64().unwrap();
                assert!((found - f64::from(golden)).abs() <= 1e-4, "{case}: {member} of {label}: {found}, golden {golden}");
            };
            near("logits", golden.logits.row(row)[at]);
            near("scores", golden.probabilities.row(row)[at]);
        }
        let labels: Vec<&str> = expected[row].labels.iter().map(|&label| tiny::LABELS[label]).collect();
        assert_eq!(result["labels"], json!(labels), "{case}");
        assert_eq!(result["tokens"], json!(golden.ids[row].len()), "{case}");
    }
    results.len()
}
