//! `AdamW`: one pass over weights, gradients and moments.

use rayon::prelude::*;

use super::gradients::Gradient;
use super::kernels::simd::{LANES, dispatch, fma};
use super::{Gradients, NnError, Snapshot, Weights, snapshot};

/// Numbers a thread works on at a time.
const CHUNK: usize = 1 << 14;

/// Which parameters decay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decay {
    /// All, as `torch.optim.AdamW` does unless told otherwise.
    All,
    /// Matrices and tables; not biases, nor the scale and shift of a normalisation.
    Matrices,
}

/// The constants of [`AdamW`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the first moment, in `[0, 1)`.
    pub beta1: f64,
    /// Decay of the second moment, in `[0, 1)`.
    pub beta2: f64,
    /// Added to the root of the second moment, above 0.
    pub epsilon: f64,
    /// Share of a weight that goes, times the learning rate, every step; at least 0.
    pub weight_decay: f64,
    /// Which parameters decay.
    pub decay: Decay,
}

impl Default for AdamWConfig {
    /// The defaults of `torch.optim.AdamW`.
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, decay: Decay::All }
    }
}

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101), step for step
/// `torch.optim.AdamW` on dense gradients.
///
/// Moments lie in the processor's memory wherever the weights lie.
#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    steps: u64,
    /// One a parameter, in the weights' order.
    moments: Vec<Moments>,
    /// What each parameter's learning rate is multiplied by.
    rates: Vec<f64>,
}

/// First and second moment of one parameter. Empty until its first gradient: a parameter without
/// a gradient is left alone, as torch leaves one whose `grad` is `None`.
#[derive(Debug, Default)]
struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
    /// For a table, whether a row ever had a gradient. One that never had has zero moments, so
    /// only decay moves it.
    seen: Vec<bool>,
}

/// What a step multiplies and divides by.
#[derive(Debug, Clone, Copy)]
struct Factors {
    gradient: f32,
    keep: f32,
    beta1: f32,
    beta2: f32,
    rate: f32,
    root: f32,
    epsilon: f32,
}

/// An optimiser's state, to be written beside a checkpoint and taken up again bit for bit.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamWState {
    steps: u64,
    first: Snapshot,
    second: Snapshot,
}

impl AdamW {
    /// An optimiser for `weights` that has taken no step.
    ///
    /// # Errors
    /// [`NnError::Setting`] for a constant outside its range.
    pub fn new(weights: &Weights, config: AdamWConfig) -> Result<Self, NnError> {
        let checks = [
            ("beta1", config.beta1, (0.0..1.0).contains(&config.beta1), "at least 0 and below 1"),
            ("beta2", config.beta2, (0.0..1.0).contains(&config.beta2), "at least 0 and below 1"),
            ("epsilon", config.epsilon, config.epsilon > 0.0 && config.epsilon.is_finite(), "above 0"),
            ("weight decay", config.weight_decay, config.weight_decay >= 0.0 && config.weight_decay.is_finite(), "at least 0"),
        ];
        for (what, found, right, expected) in checks {
            if !right {
                return Err(NnError::Setting { what, expected, found: found.to_string() });
            }
        }
        let moments = weights.entries().iter().map(|_| Moments::default()).collect();
        Ok(Self { config, steps: 0, moments, rates: vec![1.0; weights.entries().len()] })
    }

    /// Multiplies the learning rate of every parameter of `weights`, decay included, by a factor of
    /// its own, as torch's parameter groups do. A factor of zero freezes the parameter.
    ///
    /// # Errors
    /// [`NnError::Setting`] for a factor that is negative or not finite.
    pub fn with_rates(self, weights: &Weights, factor: impl Fn(&str) -> f64) -> Result<Self, NnError> {
        let rates: Vec<f64> = weights.names().map(factor).collect();
        match rates.iter().find(|rate| !(**rate >= 0.0 && rate.is_finite())) {
            None => Ok(Self { rates, ..self }),
            Some(rate) => Err(NnError::Setting { what: "a parameter's learning rate", expected: "at least 0", found: rate.to_string() }),
        }
    }

    /// Steps taken so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Moves `weights` against `scale` times the gradients, at this learning rate.
    ///
    /// # Errors
    /// [`NnError::Setting`] for a learning rate that is negative or not finite;
    /// [`NnError::Tensor`] when a device refuses.
    pub fn step(&mut self, weights: &Weights, gradients: &Gradients, learning_rate: f64, scale: f64) -> Result<(), NnError> {
        if !(learning_rate >= 0.0 && learning_rate.is_finite()) {
            return Err(NnError::Setting { what: "learning rate", expected: "at least 0", found: learning_rate.to_string() });
        }
        self.steps += 1;
        let taken = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let (first_bias, second_bias) = (1.0 - self.config.beta1.powi(taken), 1.0 - self.config.beta2.powi(taken));
        for (place, moments) in self.moments.iter_mut().enumerate() {
            let decays = self.config.decay == Decay::All || weights.entries()[place].shape.len() > 1;
            let weight_decay = if decays { self.config.weight_decay } else { 0.0 };
            let learning_rate = learning_rate * self.rates[place];
            let factors = Factors {
                gradient: scale as f32,
                keep: (1.0 - learning_rate * weight_decay) as f32,
                beta1: self.config.beta1 as f32,
                beta2: self.config.beta2 as f32,
                rate: (learning_rate / first_bias) as f32,
                root: (1.0 / second_bias.sqrt()) as f32,
                epsilon: self.config.epsilon as f32,
            };
            match gradients.gradient(place) {
                Gradient::None => {}
                Gradient::Dense(gradient) => weights.update(place, |values| moments.dense(values, gradient, factors))?,
                Gradient::Rows(rows) => weights.update(place, |values| moments.rows(values, rows, factors))?,
            }
        }
        Ok(())
    }

    /// A copy of the state.
    #[must_use]
    pub fn state(&self, weights: &Weights) -> AdamWState {
        let copy = |of: fn(&Moments) -> &Vec<f32>| {
            let entries = weights.entries().iter().zip(&self.moments).filter(|(_, moments)| !moments.first.is_empty());
            Snapshot::from_sorted(entries.map(|(entry, moments)| (entry.name.clone(), entry.shape.clone(), of(moments).clone())).collect())
        };
        AdamWState { steps: self.steps, first: copy(|moments| &moments.first), second: copy(|moments| &moments.second) }
    }

    /// Takes up a state: the next step is the one that would have followed.
    ///
    /// # Errors
    /// [`NnError::Unknown`] or [`NnError::Shape`] when it is the state of other weights.
    pub fn restore(&mut self, weights: &Weights, state: &AdamWState) -> Result<(), NnError> {
        let mut moments: Vec<Moments> = weights.entries().iter().map(|_| Moments::default()).collect();
        for ((name, shape, first), (_, _, second)) in state.first.iter().zip(state.second.iter()) {
            let place = weights.names().position(|known| known == name).ok_or_else(|| NnError::Unknown { name: name.to_owned() })?;
            let expected = &weights.entries()[place].shape;
            if shape != expected {
                return Err(NnError::Shape { name: name.to_owned(), expected: expected.to_vec(), found: shape.to_vec() });
            }
            // A row whose moments are zero is as good as one that was never seen.
            let width = shape.last().copied().unwrap_or(1).max(1);
            let seen = first.chunks(width).zip(second.chunks(width)).map(|(m, v)| m.iter().chain(v).any(|&x| x != 0.0)).collect();
            moments[place] = Moments { first: first.to_vec(), second: second.to_vec(), seen };
        }
        self.moments = moments;
        self.steps = state.steps;
        Ok(())
    }
}

impl AdamWState {
    /// Steps taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// A safetensors file of the state.
    ///
    /// # Errors
    /// [`NnError::Safetensors`] when the writer refuses.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, NnError> {
        // Sixteen bits a number: every `f32` holds them exactly.
        let parts = (0..4).map(|part| ((self.steps >> (16 * part)) & 0xffff) as f32).collect();
        let steps = Snapshot::from_sorted(vec![("steps".to_owned(), vec![4], parts)]);
        snapshot::serialise(&[("first.", &self.first), ("second.", &self.second), ("", &steps)])
    }

    /// The state in a file that [`AdamWState::to_safetensors`] wrote.
    ///
    /// # Errors
    /// [`NnError::Safetensors`] for other bytes.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, NnError> {
        let wrong = |reason: &str| NnError::Safetensors { reason: reason.to_owned() };
        let steps = Snapshot::parse(bytes, "steps")?;
        let (_, parts) = steps.get("").ok_or_else(|| wrong("no tensor named steps: this is no optimiser's state"))?;
        let steps = parts.iter().rev().fold(0, |steps, &part| (steps << 16) | u64::from(part as u16));
        let (first, second) = (Snapshot::parse(bytes, "first.")?, Snapshot::parse(bytes, "second.")?);
        if !first.iter().map(|(name, shape, _)| (name, shape)).eq(second.iter().map(|(name, shape, _)| (name, shape))) {
            return Err(wrong("first and second moments of different parameters"));
        }
        Ok(Self { steps, first, second })
    }
}

impl Moments {
    fn dense(&mut self, values: &mut [f32], gradient: &[f32], factors: Factors) {
        self.begin(values.len());
        let moments = self.first.par_chunks_mut(CHUNK).zip(self.second.par_chunks_mut(CHUNK));
        let numbers = values.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK));
        numbers.zip(moments).for_each(|((values, gradient), (first, second))| update(values, gradient, first, second, factors));
        self.seen.clear();
    }

    fn rows(&mut self, values: &mut [f32], rows: &super::gradients::RowSums, factors: Factors) {
        let width = rows.width();
        self.begin(values.len());
        if self.seen.is_empty() {
            // Either fresh, or dense so far: then every row counts as seen.
            let fresh = self.first.iter().all(|&first| first == 0.0);
            self.seen = vec![!fresh; values.len() / width];
        }
        let zero = vec![0.0; width];
        let per_task = (CHUNK / width).max(1);
        let moments = self.first.par_chunks_mut(per_task * width).zip(self.second.par_chunks_mut(per_task * width));
        let numbers = values.par_chunks_mut(per_task * width).zip(self.seen.par_chunks_mut(per_task));
        numbers.zip(moments).enumerate().for_each(|(task, ((values, seen), (first, second)))| {
            let moments = first.chunks_exact_mut(width).zip(second.chunks_exact_mut(width));
            for (index, ((values, seen), (first, second))) in values.chunks_exact_mut(width).zip(seen).zip(moments).enumerate() {
                match rows.row(task * per_task + index) {
                    Some(gradient) => {
                        *seen = true;
                        update(values, gradient, first, second, factors);
                    }
                    None if *seen => update(values, &zero, first, second, factors),
                    None => shrink(values, factors.keep),
                }
            }
        });
    }

    fn begin(&mut self, len: usize) {
        if self.first.is_empty() {
            self.first = vec![0.0; len];
            self.second = vec![0.0; len];
        }
    }
}

dispatch! {
    /// One step of `AdamW` on some numbers.
    fn update(values: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], factors: Factors) = update_body
}

#[inline(always)]
fn update_body<const FUSED: bool>(values: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], factors: Factors) {
    for (((value, gradient), first), second) in values.iter_mut().zip(gradient).zip(first).zip(second) {
        let gradient = gradient * factors.gradient;
        *first = fma::<FUSED>(1.0 - factors.beta1, gradient - *first, *first);
        *second = fma::<FUSED>((1.0 - factors.beta2) * gradient, gradient, factors.beta2 * *second);
        let root = fma::<FUSED>(second.sqrt(), factors.root, factors.epsilon);
        *value = fma::<FUSED>(-factors.rate, *first / root, *value * factors.keep);
    }
}

/// Decay alone.
fn shrink(values: &mut [f32], keep: f32) {
    if keep != 1.0 {
        values.iter_mut().for_each(|value| *value *= keep);
    }
}

dispatch! {
    /// The sum of squares, in lanes of single precision over a chunk.
    pub(crate) fn squares(values: &[f32]) -> f64 = squares_body
}

#[inline(always)]
fn squares_body<const FUSED: bool>(values: &[f32]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = fma::<FUSED>(chunk[lane], chunk[lane], lanes[lane]);
        }
    }
    lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>() + rest.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>()
}
