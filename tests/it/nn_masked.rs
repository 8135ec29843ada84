//! The masked language model against transformers' `BertForMaskedLM`: loss, gradients by name, steps.

use limbic::model::{MaskedLm, ModelConfig};
use limbic::nn::{
    AdamW, AdamWConfig, Eager, Example, Loss, Missing, Mode, NnError, Path, StepOptions, Stepper, TokenCrossEntropy, Weights,
};
use safetensors::SafeTensors;
use serde::Deserialize;

use crate::nn_support::{close, close_number};
use crate::support::fixture;

#[derive(Deserialize)]
struct Header {
    made_by: String,
    config: serde_json::Value,
    texts: Vec<Vec<u32>>,
    targets: Vec<Vec<Option<u32>>>,
    loss: f64,
    losses: Vec<f64>,
    rate: f64,
    weight_decay: f64,
}

struct Fixture {
    header: Header,
    bytes: Vec<u8>,
    model: MaskedLm,
    /// A target a token, NaN where it is not asked about.
    targets: Vec<Vec<f32>>,
}

impl Fixture {
    fn read() -> Self {
        let bytes = std::fs::read(fixture("masked_lm.safetensors")).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let header: Header = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["fixture"]).unwrap();
        assert_eq!(header.made_by, "scripts/fixtures/masked_lm.py");
        let model = MaskedLm::new(&ModelConfig::from_json(&header.config.to_string()).unwrap()).unwrap();
        let number = |target: &Option<u32>| target.map_or(f32::NAN, |id| id as f32);
        let targets = header.targets.iter().map(|row| row.iter().map(number).collect()).collect();
        Self { header, bytes, model, targets }
    }

    fn tensor(&self, name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap_or_else(|_| panic!("the fixture has no {name}"));
        view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    fn weights(&self) -> Weights {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let views = file.iter().filter_map(|(name, view)| Some((name.strip_prefix("weights.")?.to_owned(), view)));
        Weights::from_safetensors(&safetensors::serialize(views, None).unwrap(), &self.model.params(), Missing::Refuse).unwrap()
    }

    fn examples(&self) -> Vec<Example<'_>> {
        self.header.texts.iter().zip(&self.targets).map(|(ids, targets)| Example { ids, targets }).collect()
    }

    fn loss(&self) -> TokenCrossEntropy {
        TokenCrossEntropy::new(self.model.vocabulary())
    }
}

#[test]
fn loss_and_gradients_are_those_of_transformers() {
    let fixture = Fixture::read();
    let weights = fixture.weights();
    let network = |ops: &mut Eager<'_>| fixture.model.forward(ops);
    // One pass; and every text alone on two shards, one of the passes without a token asked about.
    for (shards, pass_tokens) in [(1, 1 << 20), (2, 1)] {
        let mut stepper = Stepper::new(&weights, shards, pass_tokens).unwrap();
        // Buffers of an earlier step are no part of the next.
        for _ in 0..2 {
            let loss = stepper.gradients(&weights, &network, &fixture.loss(), &fixture.examples(), 1).unwrap();
            close_number("loss", loss, fixture.header.loss, 1e-5);
        }
        let whole = stepper.sum().norm();
        let mut seen = 0;
        for parameter in fixture.model.params() {
            let gradient = stepper.sum().get(&weights, &parameter.name).unwrap_or_else(|| panic!("{} got no gradient", parameter.name));
            close(&parameter.name, &gradient, &fixture.tensor(&format!("gradient.{}", parameter.name)), 1e-4, 1e-6 * whole);
            seen += 1;
        }
        assert_eq!(seen, 2 * 16 + 5 + 5);
    }
}

#[test]
fn steps_are_those_of_transformers() {
    let fixture = Fixture::read();
    let weights = fixture.weights();
    let config = AdamWConfig { weight_decay: fixture.header.weight_decay, ..AdamWConfig::default() };
    let mut optimizer = AdamW::new(&weights, config).unwrap();
    let mut stepper = Stepper::new(&weights, 2, 16).unwrap();
    let network = |ops: &mut Eager<'_>| fixture.model.forward(ops);
    let options = StepOptions { learning_rate: fixture.header.rate, clip: None, seed: 1 };
    for (step, &expected) in fixture.header.losses.iter().enumerate() {
        let report = stepper.step(&weights, &mut optimizer, &network, &fixture.loss(), &fixture.examples(), options).unwrap();
        close_number(&format!("loss of step {step}"), report.loss, expected, 1e-4);
    }
    for (name, _, found) in weights.snapshot().unwrap().iter().filter(|(name, ..)| !name.ends_with("key.bias")) {
        close(name, found, &fixture.tensor(&format!("after.{name}")), 1e-3, 1e-6);
    }
}

#[test]
fn kernels_and_candles_operations_agree() {
    let fixture = Fixture::read();
    let weights = fixture.weights();
    let ids = fixture.header.texts.concat();
    let mut offsets = vec![0];
    for text in &fixture.header.texts {
        offsets.push(offsets[offsets.len() - 1] + text.len() as u32);
    }
    let marked: Vec<usize> = (0..ids.len()).filter(|token| !fixture.targets.concat()[*token].is_nan()).collect();
    let [kernels, composite] = [Path::Kernels, Path::Composite].map(|path| {
        let ops = Eager::with_path(&weights, Mode::Train { seed: 1 }, &ids, &offsets, path).unwrap();
        let mut ops = ops.with_marked(marked.clone()).unwrap();
        let output = fixture.model.forward(&mut ops).unwrap();
        let logits = output.to_vec().unwrap();
        let slope = logits.iter().map(|logit| logit.sin()).collect();
        (logits, ops.backward(&output, slope).unwrap().snapshot(&weights))
    });
    assert_eq!(kernels.0.len(), marked.len() * fixture.model.vocabulary());
    close("logits", &kernels.0, &composite.0, 1e-5, 1e-6);
    for ((name, _, found), (_, _, expected)) in kernels.1.iter().zip(composite.1.iter()) {
        close(name, found, expected, 1e-4, 1e-5);
    }
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let fixture = Fixture::read();
    let weights = fixture.weights();
    let network = |ops: &mut Eager<'_>| fixture.model.forward(ops);
    let mut stepper = Stepper::new(&weights, 1, 64).unwrap();
    let mut gradients = |ids: &[u32], targets: &[f32]| -> Result<f64, NnError> {
        stepper.gradients(&weights, &network, &fixture.loss(), &[Example { ids, targets }], 1)
    };
    let none = gradients(&[1, 2], &[f32::NAN, f32::NAN]).unwrap_err().to_string();
    assert_eq!(none, "step: expected at least one token that is asked about, found none");
    let short = gradients(&[1, 2], &[3.0]).unwrap_err().to_string();
    assert_eq!(short, "step: expected 2 targets, found 1");
    assert!(matches!(gradients(&[1, 2], &[3.0, 40.0]), Err(NnError::Loss { .. })));
    gradients(&[1, 2], &[3.0, 39.0]).unwrap();
    for marked in [vec![1, 1], vec![1, 0], vec![2]] {
        assert!(Eager::new(&weights, Mode::Eval, &[1, 2], &[0, 2]).unwrap().with_marked(marked).is_err());
    }
    let mut gradient = [f32::NAN; 3];
    let loss = TokenCrossEntropy::new(3).row(&[0.5, -1.0, 2.0], &[2.0], &mut gradient);
    // torch.nn.functional.cross_entropy.
    close_number("loss", loss, 0.241_311_297, 1e-6);
}
