//! A network with its weights, optimiser and threads: everything that a step changes.

use std::path::Path;
use std::sync::Mutex;

use super::checkpoint::Part;
use super::objective::Objective;
use super::rates::Rates;
use super::recipe::{Averaging, DecayScope, OptimizerRecipe, Recipe};
use super::rows::Rows;
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
    /// Begins from the base model's safetensors, with a fresh head.
    pub(super) fn new(network: &'a SequenceClassifier, base: &[u8], recipe: &Recipe) -> Result<Self, NnError> {
        let head = network.head_params();
        let missing = Missing::Replace { seed: recipe.train.seed, fresh: &head };
        let weights = Weights::from_safetensors(base, &network.params(), missing)?;
        let optimizer = optimizer(network, &weights, &recipe.optimizer)?;
        let stepper = Stepper::new(&weights, recipe.train.shards, PASS_TOKENS)?;
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
        let network = |ops: &mut crate::nn::Eager<'_>| self.network.forward(ops);
        let seed = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(moment.step);
        let options = StepOptions { learning_rate: moment.rate, clip: self.clip, seed };
        let report = self.stepper.step(&self.weights, &mut self.optimizer, &network, loss, &batch, options)?;
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

fn optimizer(network: &SequenceClassifier, weights: &Weights, recipe: &OptimizerRecipe) -> Result<AdamW, NnError> {
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

/// The loss that steps use, with a witness that holds every row of the first batch against the
/// recipe's, computed plainly.
pub(super) struct WitnessedLoss {
    fast: BinaryCrossEntropy,
    plain: Objective,
    /// The row furthest off: plain and found.
    worst: Mutex<Option<(f64, f64)>>,
}

impl WitnessedLoss {
    pub(super) fn new(objective: &Objective) -> Result<Self, NnError> {
        Ok(Self { fast: objective.fast()?, plain: objective.clone(), worst: Mutex::new(None) })
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

    fn passes(&self) -> usize {
        self.fast.passes()
    }

    fn row(&self, logits: &[f32], targets: &[f32], gradient: &mut [f32]) -> f64 {
        let found = self.fast.row(logits, targets, gradient);
        let plain = self.plain.passes(logits, targets);
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
    use crate::spec::Targets;
    use crate::train::answers::Answers;
    use crate::train::objective::{LossKind, LossRecipe};
    use crate::train::weights::Weighting;

    fn witness(in_use: LossRecipe, recipe: LossRecipe) -> (f64, f64) {
        let targets = Targets::new(4, 2, vec![true, true, false, true, false, false, false, false]).expect("four rows of two");
        let objective = |recipe| Objective::new(recipe, &Answers::of(&targets));
        let mut loss = WitnessedLoss::new(&objective(in_use)).expect("one weight a label");
        loss.plain = objective(recipe);
        let mut gradient = [0.0; 2];
        assert_eq!(loss.worst(), None);
        for (logits, answers) in [([0.5, -1.0], [1.0, 0.0]), ([-20.0, 3.0], [0.75, 0.5]), ([0.0, 40.0], [f32::NAN, 0.0])] {
            loss.row(&logits, &answers, &mut gradient);
        }
        loss.worst().expect("rows were seen")
    }

    #[test]
    fn the_witness_tells_the_recipes_loss_from_another() {
        let kinds = [
            LossKind::CrossEntropy,
            LossKind::Focal { gamma: 2.0 },
            LossKind::Asymmetric { positive: 1.0, negative: 4.0, margin: 0.05 },
            LossKind::Asymmetric { positive: 1.0, negative: 4.0, margin: 0.0 },
        ];
        let weightings = [Weighting::None, Weighting::ClassWeight, Weighting::PosWeight { cap: 9.0, power: 1.0 }];
        let mut recipes = Vec::new();
        for kind in kinds {
            for weighting in weightings {
                recipes.extend([0.0, 0.1].map(|smoothing| LossRecipe { kind, weighting, smoothing, r_drop: 0.0 }));
            }
        }
        assert_eq!(recipes.len(), 24);
        for (index, &in_use) in recipes.iter().enumerate() {
            for (other, &recipe) in recipes.iter().enumerate() {
                let (plain, found) = witness(in_use, recipe);
                let same = (plain - found).abs() <= 1e-6 * (1.0 + plain);
                assert_eq!(same, index == other, "{plain} against {found}: {in_use:?} for {recipe:?}");
            }
        }
    }

    #[test]
    fn the_witness_sees_both_passes() {
        let loss = |r_drop| LossRecipe { kind: LossKind::CrossEntropy, weighting: Weighting::None, smoothing: 0.1, r_drop };
        let objective = |r_drop| {
            let targets = Targets::new(1, 2, vec![true, false]).expect("one row of two");
            Objective::new(loss(r_drop), &Answers::of(&targets))
        };
        for (in_use, recipe) in [(1.0, 1.0), (2.0, 1.0), (1.0, 2.0)] {
            let mut loss = WitnessedLoss::new(&objective(in_use)).expect("one weight a label");
            loss.plain = objective(recipe);
            assert_eq!(loss.passes(), 2);
            for answers in [[1.0, 0.25], [f32::NAN, 1.0]] {
                loss.row(&[0.5, -1.0, 2.0, 0.7], &answers, &mut [0.0; 4]);
            }
            let (plain, found) = loss.worst().expect("rows were seen");
            assert_eq!((plain - found).abs() < 1e-6, in_use == recipe, "{plain} against {found}");
        }
    }

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
