//! The network against Hugging Face transformers: states, logits, losses, gradients by name, ten
//! steps of training; on a tiny random model of every family and on the real `MiniLM`, for both
//! poolings.

use limbic::model::{ModelConfig, SequenceClassifier};
use limbic::nn::{Eager, Gradients, Missing, Mode, Rows, Weights};
use limbic::spec::Pooling;
use serde::Deserialize;

use crate::nn_support::{
    DECODERS, Found, Lesson, POOLINGS, RELATIVE, Settings, Tiny, cases, close, close_number, formula_head, norm, with_values,
};
use crate::support::{base_model, fixture};

/// The bias of a key moves every score of a row alike, so its true gradient is zero and what both
/// sides compute is rounding; a floor relative to the whole gradient lets it pass.
const FLOOR: f64 = 1e-6;

fn states(classifier: &SequenceClassifier, weights: &Weights, settings: &Settings) -> Vec<Rows> {
    let (ids, offsets) = settings.ragged();
    classifier.backbone().hidden_states(&mut Eager::new(weights, Mode::Eval, &ids, &offsets).unwrap()).unwrap()
}

fn logits(classifier: &SequenceClassifier, weights: &Weights, settings: &Settings) -> Vec<f32> {
    let (ids, offsets) = settings.ragged();
    let mut ops = Eager::new(weights, Mode::Eval, &ids, &offsets).unwrap();
    classifier.forward(&mut ops).unwrap().to_vec().unwrap()
}

/// One family's tiny model with one pooling, against everything that transformers found.
fn check_tiny(family: &str, pooling: Pooling) {
    let tiny = Tiny::of(family);
    let name = pooling.name();
    let (classifier, weights) = (tiny.classifier(pooling), tiny.weights(pooling));
    let found = states(&classifier, &weights, &tiny.settings);
    assert_eq!(found.len(), if family == "modernbert" { 4 } else { 3 });
    for (index, rows) in found.iter().enumerate() {
        close(&format!("{family}: state {index}"), &rows.to_vec().unwrap(), tiny.tensor(&format!("state.{index}")), RELATIVE, 0.0);
    }
    let close_logits = |what: &str, weights: &Weights| {
        let found = logits(&classifier, weights, &tiny.settings);
        close(&format!("{family}: {what}"), &found, tiny.tensor(&format!("{name}.{what}")), RELATIVE, 0.0);
    };
    close_logits("logits", &weights);

    let settings = &tiny.settings;
    let lesson = Lesson::new(|ops| classifier.forward(ops), settings.loss(), settings.examples());
    let (loss, stepper) = lesson.gradients(&weights);
    close_number("loss", loss, tiny.found(pooling).loss, RELATIVE);
    let whole = stepper.sum().norm();
    let mut seen = 0;
    for parameter in classifier.params() {
        let gradient = stepper.sum().get(&weights, &parameter.name).unwrap_or_else(|| panic!("{} got no gradient", parameter.name));
        close(&parameter.name, &gradient, tiny.tensor(&format!("{name}.gradient.{}", parameter.name)), RELATIVE, FLOOR * whole);
        seen += 1;
    }
    assert_eq!(seen, weights.names().len());

    lesson.check_steps(&format!("{family}, {name}"), &weights, settings, tiny.found(pooling));
    close_logits("logits_after", &weights);
}

#[test]
fn tiny_models_are_those_of_transformers() {
    assert_eq!(cases().map(|(family, pooling)| check_tiny(family, pooling)).count(), 9);
}

#[test]
fn tiny_decoders_are_those_of_transformers() {
    let mut seen = 0;
    for (family, poolings) in DECODERS {
        for &pooling in poolings {
            check_tiny(family, pooling);
            seen += 1;
        }
    }
    assert_eq!(seen, 10);
}

#[derive(Deserialize)]
struct Real {
    #[serde(flatten)]
    settings: Settings,
    cls_tanh: RealFound,
    mean: RealFound,
    states: Vec<Vec<SampledRow>>,
}

#[derive(Deserialize)]
struct RealFound {
    #[serde(flatten)]
    found: Found,
    logits: Vec<Vec<f32>>,
    logits_after: Vec<Vec<f32>>,
    gradients: std::collections::BTreeMap<String, Sampled>,
}

#[derive(Deserialize)]
struct SampledRow {
    norm: f64,
    first: Vec<f32>,
}

#[derive(Deserialize)]
struct Sampled {
    norm: f64,
    places: Vec<usize>,
    values: Vec<f32>,
}

fn check_sampled(name: &str, weights: &Weights, sum: &Gradients, expected: &Sampled) {
    let gradient = sum.get(weights, name).unwrap_or_else(|| panic!("{name} got no gradient"));
    let floor = FLOOR * sum.norm();
    assert!(
        (norm(&gradient) - expected.norm).abs() <= RELATIVE * expected.norm + floor,
        "{name}: {} != {}",
        norm(&gradient),
        expected.norm
    );
    let values: Vec<f32> = expected.places.iter().map(|&place| gradient[place]).collect();
    close(name, &values, &expected.values, RELATIVE, floor);
}

#[test]
fn real_minilm_is_that_of_transformers() {
    let folder = base_model();
    let real: Real = serde_json::from_slice(&std::fs::read(fixture("bert_minilm.json")).unwrap()).unwrap();
    assert_eq!(real.settings.made_by, "scripts/fixtures/bert.py");
    let config = ModelConfig::from_json(&std::fs::read_to_string(folder.join("config.json")).unwrap()).unwrap();
    // The comparison is without dropout, as the script runs it.
    let ModelConfig::Bert(mut bert) = config else { panic!("MiniLM is a BERT") };
    (bert.hidden_dropout_prob, bert.attention_probs_dropout_prob, bert.classifier_dropout) = (0.0, 0.0, None);
    let config = ModelConfig::Bert(bert);
    let checkpoint = std::fs::read(folder.join("model.safetensors")).unwrap();
    let labels = real.settings.labels();
    for (name, pooling) in POOLINGS {
        let expected = if name == "mean" { &real.mean } else { &real.cls_tanh };
        let classifier = SequenceClassifier::new(&config, pooling, labels).unwrap();
        let (specs, head) = (classifier.params(), classifier.head_params());
        let weights = Weights::from_safetensors(&checkpoint, &specs, Missing::Init { seed: 1, allowed: &head }).unwrap();
        let weights = with_values(&weights, &specs, &[("classifier.weight", formula_head(labels, 384, 0.5))]);

        let found = states(&classifier, &weights, &real.settings);
        assert_eq!(found.len(), 7);
        for (index, (rows, expected)) in found.iter().zip(&real.states).enumerate() {
            let rows = rows.to_vec().unwrap();
            assert_eq!(rows.len(), expected.len() * 384);
            for (row, expected) in rows.chunks_exact(384).zip(expected) {
                close_number(&format!("norm in state {index}"), norm(row), expected.norm, RELATIVE);
                close(&format!("row of state {index}"), &row[..8], &expected.first, RELATIVE, 0.0);
            }
        }
        close("logits", &logits(&classifier, &weights, &real.settings), &expected.logits.concat(), RELATIVE, 0.0);

        let settings = &real.settings;
        let lesson = Lesson::new(|ops| classifier.forward(ops), settings.loss(), settings.examples());
        let (loss, stepper) = lesson.gradients(&weights);
        close_number("loss", loss, expected.found.loss, RELATIVE);
        assert_eq!(expected.gradients.len(), weights.names().len());
        for (name, sampled) in &expected.gradients {
            check_sampled(name, &weights, stepper.sum(), sampled);
        }

        lesson.check_steps(name, &weights, settings, &expected.found);
        close("logits after", &logits(&classifier, &weights, &real.settings), &expected.logits_after.concat(), 10.0 * RELATIVE, 0.0);
    }
}
