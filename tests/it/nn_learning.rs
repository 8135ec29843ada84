//! Losses, rates and accumulation against torch's own numbers.

use limbic::nn::{AdamW, AdamWConfig, BinaryCrossEntropy, Eager, Example, Focus, Loss, StepOptions, Stepper, Weights};
use limbic::spec::{Pooling, Targets};
use limbic::train::answers::Answers;
use limbic::train::objective::{LossKind, LossRecipe, Objective};
use limbic::train::rates::Rates;
use limbic::train::weights::{LossWeights, Weighting};
use serde::Deserialize;

use crate::nn_support::{Tiny, close, close_number};
use crate::support::fixture;

#[derive(Deserialize)]
struct Fixture {
    made_by: String,
    losses: Losses,
    steps: Steps,
}

#[derive(Deserialize)]
struct Losses {
    logits: Vec<Vec<f32>>,
    targets: Vec<Vec<Option<f32>>>,
    weight: Vec<f32>,
    pos_weight: Vec<f32>,
    cases: std::collections::BTreeMap<String, Case>,
    consistency: Consistency,
}

/// Two passes over the same rows.
#[derive(Deserialize)]
struct Consistency {
    weight: f64,
    smoothing: f64,
    second: Vec<Vec<f32>>,
    loss: f64,
    gradients: [Vec<Vec<f64>>; 2],
}

#[derive(Deserialize)]
struct Kind {
    positive: f64,
    negative: f64,
    margin: f64,
    smoothing: f64,
}

#[derive(Deserialize)]
struct Case {
    #[serde(flatten)]
    kind: Kind,
    loss: f64,
    gradient: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Steps {
    #[serde(flatten)]
    kind: Kind,
    targets: Vec<Vec<Option<f32>>>,
    rate: f64,
    head_rate: f64,
    layer_decay: f64,
    weight_decay: f64,
    clip: f64,
    losses: Vec<f64>,
    norms: Vec<f64>,
    logits_after: Vec<Vec<f32>>,
}

fn read() -> Fixture {
    let fixture: Fixture = serde_json::from_slice(&std::fs::read(fixture("learning.json")).unwrap()).unwrap();
    assert_eq!(fixture.made_by, "scripts/fixtures/learning.py");
    fixture
}

fn loss(kind: &Kind, weight: &[f32], pos_weight: &[f32]) -> BinaryCrossEntropy {
    let focus = Focus { positive: kind.positive, negative: kind.negative, margin: kind.margin };
    let loss = BinaryCrossEntropy::new(weight.len()).with_label_weights(weight.to_vec()).unwrap();
    let loss = loss.with_positive_weights(pos_weight.to_vec()).unwrap();
    loss.with_focus(focus).unwrap().with_smoothing(kind.smoothing).unwrap()
}

/// An absent answer is NaN.
fn answers(rows: &[Vec<Option<f32>>]) -> Vec<Vec<f32>> {
    rows.iter().map(|row| row.iter().map(|target| target.unwrap_or(f32::NAN)).collect()).collect()
}

#[test]
fn losses_and_gradients_are_those_of_torch() {
    let Losses { logits, targets, weight, pos_weight, cases, .. } = read().losses;
    assert_eq!((cases.len(), logits.len()), (6, 5));
    let targets = answers(&targets);
    for (name, case) in &cases {
        let loss = loss(&case.kind, &weight, &pos_weight);
        let share = 1.0 / logits.len() as f64;
        let mut sum = 0.0;
        for ((logits, targets), expected) in logits.iter().zip(&targets).zip(&case.gradient) {
            let mut gradient = [f32::NAN; 4];
            sum += loss.row(logits, targets, &mut gradient);
            for (label, (&found, &expected)) in gradient.iter().zip(expected).enumerate() {
                let found = f64::from(found) * share;
                assert!((found - expected).abs() < 1e-6 * expected.abs() + 1e-9, "{name}, label {label}: {found}, expected {expected}");
                let at = |distance: f32| {
                    let mut moved = logits.clone();
                    moved[label] += distance;
                    loss.row(&moved, targets, &mut [0.0; 4])
                };
                let slope = (at(1e-2) - at(-1e-2)) / 2e-2 * share;
                assert!((slope - found).abs() < 1e-4, "{name}, label {label}: {found}, but the loss rises by {slope}");
            }
        }
        close_number(name, sum * share, case.loss, 1e-7);
    }
}

#[test]
fn two_passes_are_those_of_torch() {
    let Losses { logits, targets, weight, pos_weight, consistency, .. } = read().losses;
    let kind = Kind { positive: 0.0, negative: 0.0, margin: 0.0, smoothing: consistency.smoothing };
    let loss = loss(&kind, &weight, &pos_weight).with_consistency(consistency.weight).unwrap();
    assert_eq!((loss.passes(), logits.len()), (2, 5));
    let share = 1.0 / logits.len() as f64;
    let mut sum = 0.0;
    for (row, targets) in answers(&targets).iter().enumerate() {
        let mut gradient = [f32::NAN; 8];
        sum += loss.row(&[&logits[row][..], &consistency.second[row]].concat(), targets, &mut gradient);
        let expected = [&consistency.gradients[0][row][..], &consistency.gradients[1][row]].concat();
        for (&found, expected) in gradient.iter().zip(expected) {
            let found = f64::from(found) * share;
            assert!((found - expected).abs() < 1e-6 * expected.abs() + 1e-8, "row {row}: {found}, expected {expected}");
        }
    }
    close_number("loss", sum * share, consistency.loss, 1e-7);
    assert!(BinaryCrossEntropy::new(1).with_consistency(-1.0).is_err());
}

#[test]
fn both_passes_have_masks_of_their_own() {
    let tiny = Tiny::read();
    let limbic::model::ModelConfig::Bert(mut config) = tiny.config.clone() else { panic!("a BERT") };
    config.hidden_dropout_prob = 0.3;
    let config = limbic::model::ModelConfig::Bert(config);
    let classifier = limbic::model::SequenceClassifier::new(&config, Pooling::Mean, 5).unwrap();
    let weights = tiny.weights(Pooling::Mean);
    let of = |consistency, shards, pass_tokens| {
        let loss = tiny.settings.loss().with_consistency(consistency).unwrap();
        let mut stepper = Stepper::new(&weights, shards, pass_tokens).unwrap();
        let network = |ops: &mut Eager<'_>| classifier.forward(ops);
        stepper.gradients(&weights, &network, &loss, &tiny.settings.examples(), 5).unwrap()
    };
    // With one mask the divergence would be zero, whatever it weighs.
    assert!(of(10.0, 1, 64) > of(1e-9, 1, 64) + 1e-2);
    close_number("shards and passes", of(1.0, 2, 16), of(1.0, 1, 1 << 20), 1e-6);
}

#[test]
fn the_plain_loss_is_the_fast_one() {
    let Losses { logits, targets, weight, pos_weight, cases, .. } = read().losses;
    let targets = answers(&targets);
    let trained = Answers::of(&Targets::new(1, 4, vec![true; 4]).unwrap());
    for (name, case) in &cases {
        let Kind { positive, negative, margin, smoothing } = case.kind;
        let kind = match (positive, negative, margin) {
            (0.0, 0.0, 0.0) => LossKind::CrossEntropy,
            (a, b, 0.0) if a == b => LossKind::Focal { gamma: a },
            _ => LossKind::Asymmetric { positive, negative, margin },
        };
        let mut objective = Objective::new(LossRecipe { kind, weighting: Weighting::None, smoothing, r_drop: 0.0 }, &trained);
        objective.weights = LossWeights { label: weight.clone(), positive: pos_weight.clone() };
        assert_eq!(objective.fast().unwrap(), loss(&case.kind, &weight, &pos_weight));
        let sum: f64 = logits.iter().zip(&targets).map(|(logits, targets)| objective.row(logits, targets)).sum();
        close_number(name, sum / logits.len() as f64, case.loss, 1e-7);
    }
}

#[test]
fn steps_with_a_rate_a_layer_are_those_of_torch() {
    let (tiny, steps) = (Tiny::read(), read().steps);
    let classifier = tiny.classifier(Pooling::ClsTanh);
    let weights = tiny.weights(Pooling::ClsTanh);
    let rates = Rates::new(&classifier.params(), &classifier.head_params(), steps.layer_decay, steps.head_rate / steps.rate);
    let config = AdamWConfig { weight_decay: steps.weight_decay, ..AdamWConfig::default() };
    let mut optimizer = AdamW::new(&weights, config).unwrap().with_rates(&weights, |name| rates.factor(name)).unwrap();
    let loss = loss(&steps.kind, tiny.settings.label_weights.as_ref().unwrap(), &tiny.settings.positive_weights);
    let targets = answers(&steps.targets);
    let examples: Vec<_> = tiny.settings.texts.iter().zip(&targets).map(|(ids, targets)| Example { ids, targets }).collect();
    let mut stepper = Stepper::new(&weights, 2, 32).unwrap();
    assert_eq!(steps.losses.len(), 10);
    for (step, (&loss_of_step, &norm)) in steps.losses.iter().zip(&steps.norms).enumerate() {
        let options = StepOptions { learning_rate: steps.rate, clip: Some(steps.clip), seed: 1 };
        let network = |ops: &mut Eager<'_>| classifier.forward(ops);
        let report = stepper.step(&weights, &mut optimizer, &network, &loss, &examples, options).unwrap();
        close_number(&format!("loss of step {step}"), report.loss, loss_of_step, 1e-4);
        close_number(&format!("norm of step {step}"), report.gradient_norm, norm, 1e-3);
    }
    let (ids, offsets) = tiny.settings.ragged();
    let mut ops = Eager::new(&weights, limbic::nn::Mode::Eval, &ids, &offsets).unwrap();
    let found = classifier.forward(&mut ops).unwrap().to_vec().unwrap();
    close("logits after", &found, &steps.logits_after.concat(), 2e-4, 0.0);
}

#[test]
fn rates_fall_from_the_head_to_the_embeddings() {
    let tiny = Tiny::read();
    for pooling in [Pooling::ClsTanh, Pooling::Mean] {
        let classifier = tiny.classifier(pooling);
        let rates = Rates::new(&classifier.params(), &classifier.head_params(), 0.5, 3.0);
        let cases = [
            ("classifier.bias", 3.0),
            ("bert.pooler.dense.weight", 1.0),
            ("bert.encoder.layer.1.output.dense.weight", 1.0),
            ("bert.encoder.layer.0.attention.self.key.bias", 0.5),
            ("bert.embeddings.LayerNorm.bias", 0.25),
            ("bert.embeddings.word_embeddings.weight", 0.25),
        ];
        for (name, factor) in cases {
            assert_eq!(rates.factor(name), factor, "{name}");
        }
    }
    let weights = tiny.weights(Pooling::Mean);
    for wrong in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(AdamW::new(&weights, AdamWConfig::default()).unwrap().with_rates(&weights, |_| wrong).is_err());
    }
}

#[test]
fn passes_that_are_gathered_are_the_whole_batch() {
    let tiny = Tiny::read();
    let limbic::model::ModelConfig::Bert(mut config) = tiny.config.clone() else { panic!("a BERT") };
    (config.hidden_dropout_prob, config.attention_probs_dropout_prob) = (0.1, 0.1);
    let config = limbic::model::ModelConfig::Bert(config);
    let classifier = limbic::model::SequenceClassifier::new(&config, Pooling::Mean, 5).unwrap();
    let gradients = |weights: &Weights, pass_tokens| {
        let mut stepper = Stepper::new(weights, 1, pass_tokens).unwrap();
        let network = |ops: &mut Eager<'_>| classifier.forward(ops);
        let loss = stepper.gradients(weights, &network, &tiny.settings.loss(), &tiny.settings.examples(), 5).unwrap();
        (loss, stepper.sum().snapshot(weights))
    };
    let weights = tiny.weights(Pooling::Mean);
    // Every text alone, some together, all at once.
    let ((whole, expected), longest) = (gradients(&weights, 1 << 20), 20);
    for pass_tokens in [1, longest, 30] {
        let (loss, found) = gradients(&weights, pass_tokens);
        close_number("loss", loss, whole, 1e-6);
        for ((name, _, found), (_, _, expected)) in found.iter().zip(expected.iter()) {
            close(name, found, expected, 1e-5, 1e-6);
        }
    }
}
