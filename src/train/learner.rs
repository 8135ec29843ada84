//! A network with its weights, optimiser and threads: everything that a step changes.

use std::path::Path;
use std::sync::Mutex;

use super::checkpoint::Part;
use super::recipe::{DecayScope, Recipe};
use super::rows::Rows;
use super::weights::LossWeights;
use super::{TrainError, files, predict};
use crate::decide::Logits;
use crate::model::SequenceClassifier;
use crate::nn::{
    AdamW, AdamWConfig, AdamWState, BinaryCrossEntropy, Decay, Example, Loss, Missing, NnError, Snapshot, StepOptions, StepReport, Stepper,
    Weights,
};
use crate::text::Encoding;

/// Tokens that one thread goes forward and backward with at a time; bounds memory.
const PASS_TOKENS: usize = 2048;
const WEIGHTS: &str = "weights.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const AVERAGE: &str = "average.safetensors";
const BEST: &str = "best.safetensors";

pub(super) struct Learner<'a> {
    network: &'a SequenceClassifier,
    weights: Weights,
    optimizer: AdamW,
    stepper: Stepper,
    average: Option<Average>,
    clip: Option<f64>,
    seed: u64,
    threads: usize,
}

/// The running mean of the weights, and its decay.
struct Average {
    decay: f64,
    weights: Snapshot,
}

impl<'a> Learner<'a> {
    /// Begins from the base model's safetensors, with a fresh head.
    pub(super) fn new(network: &'a SequenceClassifier, base: &[u8], recipe: &Recipe) -> Result<Self, NnError> {
        let head = network.head_params();
        let missing = Missing::Replace { seed: recipe.train.seed, fresh: &head };
        let weights = Weights::from_safetensors(base, &network.params(), missing)?;
        let optimizer = optimizer(&weights, recipe)?;
        let stepper = Stepper::new(&weights, recipe.train.shards, PASS_TOKENS)?;
        let average = match recipe.train.ema {
            Some(decay) => Some(Average { decay, weights: weights.snapshot()? }),
            None => None,
        };
        let clip = recipe.optimizer.clip.is_finite().then_some(recipe.optimizer.clip);
        Ok(Self { network, weights, optimizer, stepper, average, clip, seed: recipe.train.seed, threads: recipe.train.shards })
    }

    /// Begins anew from the given weights: a fresh optimiser, a fresh average.
    pub(super) fn restart(&mut self, from: &Snapshot, recipe: &Recipe) -> Result<(), NnError> {
        self.weights.restore(from)?;
        self.optimizer = optimizer(&self.weights, recipe)?;
        if let Some(average) = &mut self.average {
            average.weights = from.clone();
        }
        Ok(())
    }

    /// One optimiser step on the given rows.
    pub(super) fn step(&mut self, rows: &Rows<'_>, loss: &impl Loss, rate: f64, step: u64) -> Result<StepReport, NnError> {
        let targets: Vec<f32> = (0..rows.len()).flat_map(|row| rows.targets.row(row)).map(|&held| if held { 1.0 } else { 0.0 }).collect();
        let labels = rows.targets.labels();
        let batch: Vec<Example<'_>> = rows
            .encodings
            .iter()
            .zip(targets.chunks_exact(labels))
            .map(|(encoding, targets)| Example { ids: encoding.ids(), targets })
            .collect();
        let network = |ops: &mut crate::nn::Eager<'_>| self.network.forward(ops);
        let seed = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(step);
        let options = StepOptions { learning_rate: rate, clip: self.clip, seed };
        let report = self.stepper.step(&self.weights, &mut self.optimizer, &network, loss, &batch, options)?;
        if let Some(average) = &mut self.average {
            // Early steps count for more, else the mean would drag the base model along.
            let decay = average.decay.min((1 + step) as f64 / (10 + step) as f64);
            average.weights.mix(&self.weights.snapshot()?, (1.0 - decay) as f32)?;
        }
        Ok(report)
    }

    /// The weights that evaluation looks at and a fit ends with: the average where there is one.
    pub(super) fn kept(&self) -> Result<Snapshot, TrainError> {
        match &self.average {
            Some(average) => Ok(average.weights.clone()),
            None => self.weights.snapshot().map_err(network("weights")),
        }
    }

    /// Logits of those weights, dropout off.
    pub(super) fn logits(&self, encodings: &[&Encoding]) -> Result<Logits, TrainError> {
        let Some(average) = &self.average else { return predict::logits(self.network, &self.weights, encodings, self.threads) };
        let current = self.weights.snapshot().map_err(network("weights"))?;
        self.weights.restore(&average.weights).map_err(network("average"))?;
        let logits = predict::logits(self.network, &self.weights, encodings, self.threads);
        self.weights.restore(&current).map_err(network("weights"))?;
        logits
    }

    /// Everything a checkpoint needs, with the best weights so far.
    pub(super) fn parts(&self, best: Option<&Snapshot>) -> Result<Vec<Part>, TrainError> {
        let optimizer = self.optimizer.state(&self.weights).to_safetensors();
        let mut parts = vec![
            (WEIGHTS, self.weights.to_safetensors().map_err(network("checkpoint"))?),
            (OPTIMIZER, optimizer.map_err(network("checkpoint"))?),
        ];
        for (name, snapshot) in [(AVERAGE, self.average.as_ref().map(|average| &average.weights)), (BEST, best)] {
            if let Some(snapshot) = snapshot {
                parts.push((name, snapshot.to_safetensors().map_err(network("checkpoint"))?));
            }
        }
        Ok(parts)
    }

    /// Takes up a checkpoint and returns the best weights that it holds.
    pub(super) fn load(&mut self, folder: &Path) -> Result<Option<Snapshot>, TrainError> {
        let read = |name: &str| -> Result<Snapshot, TrainError> {
            let path = folder.join(name);
            Snapshot::from_safetensors(&files::read(&path)?).map_err(network(&path.display().to_string()))
        };
        self.weights.restore(&read(WEIGHTS)?).map_err(network("checkpoint"))?;
        let path = folder.join(OPTIMIZER);
        let state = AdamWState::from_safetensors(&files::read(&path)?).map_err(network(&path.display().to_string()))?;
        self.optimizer.restore(&self.weights, &state).map_err(network("checkpoint"))?;
        if let Some(average) = &mut self.average {
            average.weights = read(AVERAGE)?;
        }
        if folder.join(BEST).exists() { read(BEST).map(Some) } else { Ok(None) }
    }
}

fn optimizer(weights: &Weights, recipe: &Recipe) -> Result<AdamW, NnError> {
    AdamW::new(
        weights,
        AdamWConfig {
            beta1: recipe.optimizer.betas[0],
            beta2: recipe.optimizer.betas[1],
            epsilon: recipe.optimizer.eps,
            weight_decay: recipe.optimizer.weight_decay,
            decay: match recipe.optimizer.decay {
                DecayScope::Matrices => Decay::Matrices,
                DecayScope::All => Decay::All,
            },
        },
    )
}

/// For `map_err`.
pub(super) fn network(what: &str) -> impl FnOnce(NnError) -> TrainError {
    let what = what.to_owned();
    move |source| TrainError::Network { what, source }
}

/// The loss that steps use, with a witness that holds every row of the first batch against the
/// recipe's weighting, computed plainly.
pub(super) struct WitnessedLoss {
    fast: BinaryCrossEntropy,
    plain: LossWeights,
    /// The row furthest off: plain and found.
    worst: Mutex<Option<(f64, f64)>>,
}

impl WitnessedLoss {
    pub(super) fn new(weights: &LossWeights) -> Result<Self, NnError> {
        let fast = BinaryCrossEntropy::new(weights.label.len())
            .with_label_weights(weights.label.clone())?
            .with_positive_weights(weights.positive.clone())?;
        Ok(Self { fast, plain: weights.clone(), worst: Mutex::new(None) })
    }

    /// The loss without its witness, for all batches but the first.
    pub(super) fn fast(&self) -> &BinaryCrossEntropy {
        &self.fast
    }

    /// Plain and found loss of the row furthest off, once a batch was seen.
    pub(super) fn worst(&self) -> Option<(f64, f64)> {
        *self.worst.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Loss for WitnessedLoss {
    fn labels(&self) -> usize {
        self.fast.labels()
    }

    fn row(&self, logits: &[f32], targets: &[f32], gradient: &mut [f32]) -> f64 {
        let found = self.fast.row(logits, targets, gradient);
        let plain = self.plain.row(logits, targets);
        let mut worst = self.worst.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if worst.is_none_or(|(one, other)| (one - other).abs() < (plain - found).abs()) {
            *worst = Some((plain, found));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witness(in_use: &LossWeights, recipe: LossWeights) -> (f64, f64) {
        let mut loss = WitnessedLoss::new(in_use).expect("one weight a label");
        loss.plain = recipe;
        let mut gradient = [0.0; 2];
        assert_eq!(loss.worst(), None);
        for logits in [[0.5, -1.0], [-20.0, 3.0], [0.0, 40.0]] {
            loss.row(&logits, &[1.0, 0.0], &mut gradient);
        }
        loss.worst().expect("rows were seen")
    }

    #[test]
    fn the_witness_tells_the_recipes_loss_from_another() {
        let recipe = || LossWeights { label: vec![0.25, 0.75], positive: vec![3.0, 1.5] };
        let (plain, found) = witness(&recipe(), recipe());
        assert!((plain - found).abs() < 1e-12 * plain, "{plain} against {found}");
        let unweighted = LossWeights { label: vec![1.0; 2], positive: vec![1.0; 2] };
        let (plain, found) = witness(&unweighted, recipe());
        assert!((plain - found).abs() > 0.1, "{plain} against {found}");
    }
}
