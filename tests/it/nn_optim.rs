//! The optimiser against torch's own numbers, its state, and a step split over shards.

use limbic::nn::{
    AdamW, AdamWConfig, AdamWState, Decay, Eager, Example, Gradients, Loss, Missing, Mode, NnError, ParamSpec, Snapshot, StepOptions,
    Stepper, Weights,
};
use limbic::spec::Pooling;

use crate::nn_support::{Tiny, close};

const OPTIONS: StepOptions = StepOptions { learning_rate: 1e-3, clip: Some(1.0), seed: 9 };

/// Steps of the tiny model with dropout on, from `from` to `to`.
fn run(tiny: &Tiny, weights: &Weights, optimizer: &mut AdamW, shards: usize, steps: std::ops::Range<u64>) {
    let classifier = dropping(tiny);
    let mut stepper = Stepper::new(weights, shards, 30).unwrap();
    for step in steps {
        let options = StepOptions { seed: step, ..OPTIONS };
        let network = |ops: &mut Eager<'_>| classifier.forward(ops);
        stepper.step(weights, optimizer, &network, &tiny.settings.loss(), &tiny.settings.examples(), options).unwrap();
    }
}

/// The tiny network with dropout.
fn dropping(tiny: &Tiny) -> limbic::model::SequenceClassifier {
    let limbic::model::ModelConfig::Bert(mut config) = tiny.config.clone() else { panic!("a BERT") };
    (config.hidden_dropout_prob, config.attention_probs_dropout_prob) = (0.1, 0.1);
    limbic::model::SequenceClassifier::new(&limbic::model::ModelConfig::Bert(config), Pooling::Mean, 5).unwrap()
}

fn adamw(weights: &Weights) -> AdamW {
    AdamW::new(weights, AdamWConfig { weight_decay: 0.1, ..AdamWConfig::default() }).unwrap()
}

#[track_caller]
fn check_near(what: &str, found: &Weights, expected: &Weights, relative: f64) {
    let (found, expected) = (found.snapshot().unwrap(), expected.snapshot().unwrap());
    assert_eq!(found.iter().len(), expected.iter().len());
    for ((name, _, found), (_, _, expected)) in found.iter().zip(expected.iter()) {
        if !name.ends_with("key.bias") {
            close(&format!("{what}: {name}"), found, expected, relative, 1e-7);
        }
    }
}

#[test]
fn a_step_is_the_same_on_one_shard_and_on_two() {
    let tiny = Tiny::read();
    let [one, two, again] = [1, 2, 2].map(|shards| {
        let weights = tiny.weights(Pooling::Mean);
        run(&tiny, &weights, &mut adamw(&weights), shards, 0..5);
        weights
    });
    check_near("shards", &two, &one, 1e-4);
    assert_eq!(two.snapshot().unwrap(), again.snapshot().unwrap(), "two shards are deterministic");
    assert_ne!(one.snapshot().unwrap(), tiny.weights(Pooling::Mean).snapshot().unwrap());
}

#[test]
fn a_run_that_is_taken_up_again_ends_bit_for_bit_as_one_that_was_not() {
    let tiny = Tiny::read();
    let whole = tiny.weights(Pooling::Mean);
    run(&tiny, &whole, &mut adamw(&whole), 2, 0..6);

    let first = tiny.weights(Pooling::Mean);
    let mut optimizer = adamw(&first);
    run(&tiny, &first, &mut optimizer, 2, 0..3);
    let (weights, state) = (first.to_safetensors().unwrap(), optimizer.state(&first).to_safetensors().unwrap());

    let second = Weights::from_safetensors(&weights, &dropping(&tiny).params(), Missing::Refuse).unwrap();
    let mut optimizer = adamw(&second);
    optimizer.restore(&second, &AdamWState::from_safetensors(&state).unwrap()).unwrap();
    assert_eq!(optimizer.steps(), 3);
    run(&tiny, &second, &mut optimizer, 2, 3..6);
    assert_eq!(second.snapshot().unwrap(), whole.snapshot().unwrap());
    assert!(matches!(AdamWState::from_safetensors(&weights), Err(NnError::Safetensors { .. })));
}

/// `torch.optim.AdamW` on a dense gradient, in double precision.
struct Reference {
    values: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
    steps: i32,
}

impl Reference {
    fn new(values: &[f32]) -> Self {
        let zero = vec![0.0; values.len()];
        Self { values: values.iter().map(|&value| f64::from(value)).collect(), first: zero.clone(), second: zero, steps: 0 }
    }

    fn step(&mut self, gradient: &[f32], config: AdamWConfig, rate: f64, decay: f64) {
        self.steps += 1;
        for (index, &gradient) in gradient.iter().enumerate() {
            let gradient = f64::from(gradient);
            self.values[index] *= 1.0 - rate * decay;
            self.first[index] = config.beta1 * self.first[index] + (1.0 - config.beta1) * gradient;
            self.second[index] = config.beta2 * self.second[index] + (1.0 - config.beta2) * gradient * gradient;
            let first = self.first[index] / (1.0 - config.beta1.powi(self.steps));
            let second = self.second[index] / (1.0 - config.beta2.powi(self.steps));
            self.values[index] -= rate * first / (second.sqrt() + config.epsilon);
        }
    }
}

#[test]
fn tables_touched_in_part_move_as_dense_adamw_says() {
    let tiny = Tiny::read();
    let classifier = tiny.classifier(Pooling::Mean);
    for decay in [Decay::All, Decay::Matrices] {
        let config = AdamWConfig { weight_decay: 0.5, decay, ..AdamWConfig::default() };
        let weights = tiny.weights(Pooling::Mean);
        let mut optimizer = AdamW::new(&weights, config).unwrap();
        let mut reference: Vec<_> = weights.snapshot().unwrap().iter().map(|(_, _, values)| Reference::new(values)).collect();
        // Words 1, 2 are met first, 3 later, the others never.
        for ids in [[1_u32, 2, 1], [1, 3, 3], [2, 2, 2]] {
            let mut ops = Eager::new(&weights, Mode::Train { seed: 0 }, &ids, &[0, 3]).unwrap();
            let output = classifier.forward(&mut ops).unwrap();
            let gradients: Gradients = ops.backward(&output, vec![1.0; 5]).unwrap();
            optimizer.step(&weights, &gradients, 1e-2, 1.0).unwrap();
            for (reference, (name, shape, gradient)) in reference.iter_mut().zip(gradients.snapshot(&weights).iter()) {
                assert!(name.contains('.'));
                let decays = decay == Decay::All || shape.len() > 1;
                reference.step(gradient, config, 1e-2, if decays { 0.5 } else { 0.0 });
            }
        }
        for (reference, (name, _, found)) in reference.iter().zip(weights.snapshot().unwrap().iter()) {
            let expected: Vec<f32> = reference.values.iter().map(|&value| value as f32).collect();
            close(name, found, &expected, 1e-6, 2e-6);
        }
    }
}

#[test]
fn a_loss_that_is_no_number_stops_the_step_and_changes_nothing() {
    struct Broken;
    impl Loss for Broken {
        fn labels(&self) -> usize {
            5
        }
        fn row(&self, _: &[f32], _: &[f32], _: &mut [f32]) -> f64 {
            f64::NAN
        }
    }
    let tiny = Tiny::read();
    let weights = tiny.weights(Pooling::Mean);
    let before = weights.snapshot().unwrap();
    let mut optimizer = adamw(&weights);
    let mut stepper = Stepper::new(&weights, 2, 64).unwrap();
    let classifier = tiny.classifier(Pooling::Mean);
    let network = |ops: &mut Eager<'_>| classifier.forward(ops);
    let examples = tiny.settings.examples();
    let error = stepper.step(&weights, &mut optimizer, &network, &Broken, &examples, OPTIONS).unwrap_err();
    assert!(matches!(error, NnError::Loss { .. }), "{error}");
    let short = [Example { ids: &[1], targets: &[1.0] }];
    let error = stepper.step(&weights, &mut optimizer, &network, &tiny.settings.loss(), &short, OPTIONS).unwrap_err();
    assert_eq!(error.to_string(), "step: expected 5 targets, found 1");
    let error = stepper.step(&weights, &mut optimizer, &network, &tiny.settings.loss(), &[], OPTIONS).unwrap_err();
    assert_eq!(error.to_string(), "step: expected at least one text, found none");
    assert_eq!((weights.snapshot().unwrap(), optimizer.steps()), (before, 0));
    // The stepper is as good as new.
    stepper.step(&weights, &mut optimizer, &network, &tiny.settings.loss(), &examples, OPTIONS).unwrap();
    assert_eq!(optimizer.steps(), 1);
}

#[test]
fn snapshots_come_back_and_average() {
    let tiny = Tiny::read();
    let weights = tiny.weights(Pooling::Mean);
    let before = weights.snapshot().unwrap();
    run(&tiny, &weights, &mut adamw(&weights), 1, 0..2);
    let after = weights.snapshot().unwrap();
    assert_ne!(before, after);
    let mut mean = before.clone();
    mean.mix(&after, 0.5).unwrap();
    let name = "classifier.weight";
    let values = |snapshot: &Snapshot| snapshot.get(name).unwrap().1.to_vec();
    for ((mean, before), after) in values(&mean).iter().zip(values(&before)).zip(values(&after)) {
        assert!((mean - (before + after) / 2.0).abs() < 1e-7);
    }
    weights.restore(&before).unwrap();
    assert_eq!(weights.snapshot().unwrap(), before);
    assert_eq!(Snapshot::from_safetensors(&weights.to_safetensors().unwrap()).unwrap(), before);

    let other = Weights::init(&[ParamSpec { name: "x".into(), shape: vec![2], init: limbic::nn::Init::Ones }], 1).unwrap();
    assert!(matches!(weights.restore(&other.snapshot().unwrap()), Err(NnError::Unknown { .. })));
    assert!(matches!(mean.mix(&other.snapshot().unwrap(), 0.5), Err(NnError::Unknown { .. })));
}

#[test]
fn fresh_weights_depend_on_seed_and_name_alone() {
    let tiny = Tiny::read();
    let specs = tiny.classifier(Pooling::ClsTanh).params();
    let [all, other] = [1, 2].map(|seed| Weights::init(&specs, seed).unwrap().snapshot().unwrap());
    let fewer = Weights::init(&tiny.classifier(Pooling::Mean).params(), 1).unwrap().snapshot().unwrap();
    for (name, _, values) in fewer.iter() {
        assert_eq!(all.get(name).unwrap().1, values, "{name}");
    }
    let table = "bert.embeddings.word_embeddings.weight";
    assert_ne!(all.get(table), other.get(table));
    assert!(matches!(Weights::init(&[specs[0].clone(), specs[0].clone()], 1), Err(NnError::Duplicate { .. })));
}
