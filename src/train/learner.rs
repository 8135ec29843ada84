//! A network with its weights, optimiser and threads: everything that a step changes.

use std::path::Path;

use super::checkpoint::Part;
use super::masking::Masked;
use super::network::{Network, Writer};
use super::rates::Rates;
use super::recipe::{Averaging, DecayScope, OptimizerRecipe, Recipe};
use super::rows::Rows;
use super::shards::Shards;
use super::{TrainError, files, predict};
use crate::decide::Logits;
use crate::nn::{
    AdamW, AdamWConfig, AdamWState, Decay, Eager, Example, Loss, NnError, Snapshot, StepOptions, StepReport, Stepper, TokenCrossEntropy,
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
    network: Network<'a>,
    weights: Weights,
    optimizer: AdamW,
    stepper: Stepper,
    average: Option<Average>,
    clip: Option<f64>,
    seed: u64,
    threads: usize,
}

/// The running mean of the weights.
struct Average {
    kind: Averaging,
    weights: Snapshot,
}

/// Where in a fit a step stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// From zero.
    pub(super) step: u64,
    /// Steps of the whole fit.
    pub(super) end: u64,
    /// The learning rate.
    pub(super) rate: f64,
}

/// What share of the mean the weights after this step become.
fn share(kind: Averaging, moment: Moment) -> f64 {
    let step = moment.step;
    match kind {
        Averaging::None => 1.0,
        // Early steps count for more, else the mean would drag the base model along.
        Averaging::Exponential(decay) => 1.0 - decay.min((1 + step) as f64 / (10 + step) as f64),
        Averaging::Tail(share) => {
            let steps = ((share * moment.end as f64).ceil() as u64).clamp(1, moment.end);
            1.0 / (step.saturating_sub(moment.end - steps) + 1) as f64
        }
    }
}

impl<'a> Learner<'a> {
    /// Begins from the base model's safetensors.
    pub(super) fn new(network: Network<'a>, base: &Shards, recipe: &Recipe) -> Result<Self, TrainError> {
        Self::of(network, network.begin(base, recipe)?, recipe).map_err(self::network("base model"))
    }

    fn of(network: Network<'a>, weights: Weights, recipe: &Recipe) -> Result<Self, NnError> {
        let optimizer = optimizer(network, &weights, &recipe.optimizer)?;
        let stepper = Stepper::new(&weights, recipe.train.shards, PASS_TOKENS)?.with_checkpointing(recipe.train.checkpointing);
        let average = match recipe.train.averaging {
            Averaging::None => None,
            kind => Some(Average { kind, weights: weights.snapshot()? }),
        };
        let clip = recipe.optimizer.clip.is_finite().then_some(recipe.optimizer.clip);
        Ok(Self { network, weights, optimizer, stepper, average, clip, seed: recipe.train.seed, threads: recipe.train.shards })
    }

    /// Begins anew from the given weights: a fresh optimiser, a fresh average.
    pub(super) fn restart(&mut self, from: &Snapshot, recipe: &Recipe) -> Result<(), NnError> {
        self.weights.restore(from)?;
        self.optimizer = optimizer(self.network, &self.weights, &recipe.optimizer)?;
        if let Some(average) = &mut self.average {
            average.weights = from.clone();
        }
        Ok(())
    }

    /// One optimiser step on the given rows.
    pub(super) fn step(&mut self, rows: &Rows<'_>, loss: &impl Loss, moment: Moment) -> Result<StepReport, NnError> {
        let examples = rows.encodings.iter().enumerate();
        let batch: Vec<Example<'_>> =
            examples.map(|(row, encoding)| Example { ids: encoding.ids(), targets: rows.answers.row(row) }).collect();
        self.take(&batch, loss, moment)
    }

    /// One optimiser step on texts of which some words are asked about.
    pub(super) fn step_words(&mut self, texts: &[Masked], moment: Moment) -> Result<StepReport, NnError> {
        let vocabulary = match self.network {
            Network::Words(network) => network.vocabulary(),
            Network::Lists(writer) => writer.network.vocabulary(),
            Network::Labels(network) => network.labels(),
        };
        let batch: Vec<Example<'_>> = texts.iter().map(|(ids, targets)| Example { ids, targets }).collect();
        self.take(&batch, &TokenCrossEntropy::new(vocabulary), moment)
    }

    /// The writer that learns, where one does.
    pub(super) fn writer(&self) -> Option<&'a Writer> {
        if let Network::Lists(writer) = self.network { Some(writer) } else { None }
    }

    fn take(&mut self, batch: &[Example<'_>], loss: &impl Loss, moment: Moment) -> Result<StepReport, NnError> {
        let network = |ops: &mut Eager<'_>| self.network.forward(ops);
        let seed = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(moment.step);
        let options = StepOptions { learning_rate: moment.rate, clip: self.clip, seed };
        let report = self.stepper.step(&self.weights, &mut self.optimizer, &network, loss, batch, options)?;
        if let Some(average) = &mut self.average {
            let share = share(average.kind, moment);
            average.weights.mix(&self.weights.snapshot()?, share as f32)?;
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

    /// Logits of those weights, dropout off; only of a network that tells labels.
    pub(super) fn logits(&self, encodings: &[&Encoding]) -> Result<Logits, TrainError> {
        self.with_kept(|weights| predict::logits(self.network, weights, encodings, self.threads))
    }

    /// The mean loss of a token of the right answers to the rows, where a writer learns.
    pub(super) fn completion_loss(&self, writer: &Writer, rows: &Rows<'_>) -> Result<f64, TrainError> {
        self.with_kept(|weights| predict::completion_loss(writer, weights, (&rows.encodings, &rows.answers), self.threads))
    }

    fn with_kept<T>(&self, what: impl FnOnce(&Weights) -> Result<T, TrainError>) -> Result<T, TrainError> {
        let Some(average) = &self.average else { return what(&self.weights) };
        let current = self.weights.snapshot().map_err(network("weights"))?;
        self.weights.restore(&average.weights).map_err(network("average"))?;
        let found = what(&self.weights);
        self.weights.restore(&current).map_err(network("weights"))?;
        found
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

fn optimizer(network: Network<'_>, weights: &Weights, recipe: &OptimizerRecipe) -> Result<AdamW, NnError> {
    let config = AdamWConfig {
        beta1: recipe.betas[0],
        beta2: recipe.betas[1],
        epsilon: recipe.eps,
        weight_decay: recipe.weight_decay,
        decay: match recipe.decay {
            DecayScope::Matrices => Decay::Matrices,
            DecayScope::All => Decay::All,
        },
    };
    let rates = Rates::new(&network.params(), &network.head_params(), recipe.layer_decay, recipe.head_lr / recipe.lr);
    AdamW::new(weights, config)?.with_rates(weights, |name| rates.factor(name))
}

/// For `map_err`.
pub(super) fn network(what: &str) -> impl FnOnce(NnError) -> TrainError {
    let what = what.to_owned();
    move |source| TrainError::Network { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_of_the_steps_they_say() {
        let share = |kind, step| share(kind, Moment { step, end: 10, rate: 0.0 });
        // The last three of ten; before them the weights themselves.
        let shares: Vec<f64> = (0..10).map(|step| share(Averaging::Tail(0.3), step)).collect();
        assert_eq!(shares[..8], [1.0; 8]);
        assert_eq!(shares[8..], [0.5, 1.0 / 3.0]);
        assert!((share(Averaging::Exponential(0.9), 0) - 0.9).abs() < 1e-12);
    }
}
