//! One step of learning: a mini-batch split over threads, gradients summed, clipped and applied.

use rayon::prelude::*;

use super::eager::{Eager, Mode, Rows};
use super::loss::Asked;
use super::{AdamW, Gradients, Loss, NnError, Weights};

/// One text and what is to be learnt from it.
#[derive(Debug, Clone, Copy)]
pub struct Example<'a> {
    /// Token ids; at least one.
    pub ids: &'a [u32],
    /// A target in `[0, 1]` for every label, NaN where absent; or one for every token, when the loss
    /// asks about tokens.
    pub targets: &'a [f32],
}

/// A network as training sees it: rows of logits from an interpreter.
///
/// Any `Fn(&mut Eager) -> Result<Rows, NnError>` is one: `|ops| classifier.forward(ops)`.
pub trait Network: Sync {
    /// Logits, `[texts, labels]`.
    ///
    /// # Errors
    /// The interpreter's.
    fn logits(&self, ops: &mut Eager<'_>) -> Result<Rows, NnError>;
}

impl<F: Fn(&mut Eager<'_>) -> Result<Rows, NnError> + Sync> Network for F {
    fn logits(&self, ops: &mut Eager<'_>) -> Result<Rows, NnError> {
        self(ops)
    }
}

/// How a step is laid out and applied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepOptions {
    /// Learning rate, at least 0.
    pub learning_rate: f64,
    /// Gradients whose norm is above this are scaled down to it; `None` leaves them.
    pub clip: Option<f64>,
    /// Dropout masks grow from this seed; give every step another.
    pub seed: u64,
}

/// What a step found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// The loss before the step: the mean over the mini-batch's rows.
    pub loss: f64,
    /// The gradient's norm before clipping.
    pub gradient_norm: f64,
}

/// Takes steps, and keeps the threads and buffers for them.
///
/// For one number of shards a step is deterministic; for another it differs only in the order of
/// summation, since dropout masks belong to texts.
#[derive(Debug)]
pub struct Stepper {
    pool: rayon::ThreadPool,
    shards: Vec<Gradients>,
    pass_tokens: usize,
    checkpointing: bool,
}

impl Stepper {
    /// A stepper for `weights` over this many shards, each a thread. A shard goes through its
    /// texts in passes of about `pass_tokens` tokens, one forward and backward each, so that
    /// memory does not grow with the mini-batch: large mini-batches need no other accumulation.
    ///
    /// # Errors
    /// [`NnError::Setting`] for no shard or no token, or when the threads cannot be started.
    pub fn new(weights: &Weights, shards: usize, pass_tokens: usize) -> Result<Self, NnError> {
        if shards == 0 || pass_tokens == 0 {
            let found = format!("{shards} shards of {pass_tokens} tokens");
            return Err(NnError::Setting { what: "a step's layout", expected: "at least 1 shard and 1 token", found });
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(shards).thread_name(|index| format!("shard-{index}")).build();
        let pool = pool.map_err(|error| NnError::Setting { what: "threads", expected: "to start", found: error.to_string() })?;
        Ok(Self { pool, shards: (0..shards).map(|_| Gradients::new(weights)).collect(), pass_tokens, checkpointing: false })
    }

    /// Saves memory, for the time of a second forward pass: see [`Eager::with_checkpointing`].
    #[must_use]
    pub fn with_checkpointing(mut self, checkpointing: bool) -> Self {
        self.checkpointing = checkpointing;
        self
    }

    /// Forward, backward, sum, clip, apply: `optimizer` moves `weights` once.
    ///
    /// # Errors
    /// [`NnError::Loss`] or [`NnError::GradientNorm`] when a number is not finite, and whatever
    /// the network refuses; in each case weights and optimiser are as before.
    #[expect(clippy::too_many_arguments, reason = "weights, optimiser, network, loss and data meet here alone")]
    pub fn step(
        &mut self,
        weights: &Weights,
        optimizer: &mut AdamW,
        network: &impl Network,
        loss: &impl Loss,
        batch: &[Example<'_>],
        options: StepOptions,
    ) -> Result<StepReport, NnError> {
        let loss = self.gradients(weights, network, loss, batch, options.seed)?;
        let Self { pool, shards, .. } = self;
        let sum = &shards[0];
        pool.install(|| {
            let gradient_norm = sum.norm();
            if !gradient_norm.is_finite() {
                return Err(NnError::GradientNorm { norm: gradient_norm });
            }
            // The small addend and the bound of one are torch.nn.utils.clip_grad_norm_'s.
            let scale = options.clip.map_or(1.0, |clip| (clip / (gradient_norm + 1e-6)).min(1.0));
            optimizer.step(weights, sum, options.learning_rate, scale)?;
            Ok(StepReport { loss, gradient_norm })
        })
    }

    /// The mean loss over the batch, and its gradient, which [`Stepper::sum`] then holds.
    ///
    /// # Errors
    /// [`NnError::Loss`] when the loss is not finite, and whatever the network refuses.
    #[expect(clippy::too_many_arguments, reason = "weights, network, loss and data meet here alone")]
    pub fn gradients(
        &mut self,
        weights: &Weights,
        network: &impl Network,
        loss: &impl Loss,
        batch: &[Example<'_>],
        seed: u64,
    ) -> Result<f64, NnError> {
        if batch.is_empty() {
            return Err(NnError::rows("step", "at least one text", "none"));
        }
        let plan = balance(batch, self.shards.len());
        let rows = batch.iter().map(|example| asked(loss, example).count()).sum();
        if rows == 0 {
            return Err(NnError::rows("step", "at least one token that is asked about", "none"));
        }
        let (pass_tokens, checkpointing) = (self.pass_tokens, self.checkpointing);
        let shard = Shard { weights, network, loss, batch, rows, seed, pass_tokens, checkpointing };
        let losses: Vec<Result<f64, NnError>> =
            self.pool.install(|| self.shards.par_iter_mut().zip(plan).map(|(gradients, texts)| shard.run(gradients, &texts)).collect());
        let mut sum = 0.0;
        for loss in losses {
            sum += loss?;
        }
        let mean = sum / rows as f64;
        if !mean.is_finite() {
            return Err(NnError::Loss { loss: mean });
        }
        let (first, others) = self.shards.split_at_mut(1);
        self.pool.install(|| others.iter().for_each(|other| first[0].add(other)));
        Ok(mean)
    }

    /// The gradients of the last step or call of [`Stepper::gradients`].
    #[must_use]
    pub fn sum(&self) -> &Gradients {
        &self.shards[0]
    }
}

/// What every shard knows of a step.
struct Shard<'a, N, L> {
    weights: &'a Weights,
    network: &'a N,
    loss: &'a L,
    batch: &'a [Example<'a>],
    /// Rows of logits over the whole mini-batch.
    rows: usize,
    seed: u64,
    pass_tokens: usize,
    checkpointing: bool,
}

/// The targets of each row of logits that an example asks for.
fn asked<'a>(loss: &impl Loss, example: &Example<'a>) -> impl Iterator<Item = (usize, &'a [f32])> {
    let targets = example.targets;
    let (whole, each) = match loss.asked() {
        Asked::Texts => (Some((0, targets)), &targets[..0]),
        Asked::Tokens => (None, targets),
    };
    let tokens = each.iter().enumerate().filter(|(_, target)| !target.is_nan()).map(move |(token, _)| (token, &targets[token..=token]));
    whole.into_iter().chain(tokens)
}

impl<N: Network, L: Loss> Shard<'_, N, L> {
    /// Gradients of the shard's texts into `gradients`; returns the sum of its rows' losses.
    fn run(&self, gradients: &mut Gradients, texts: &[usize]) -> Result<f64, NnError> {
        gradients.clear();
        let mut loss = 0.0;
        for pass in passes(texts, |text| self.loss.passes() * self.batch[text].ids.len(), self.pass_tokens) {
            loss += self.pass(gradients, pass)?;
        }
        Ok(loss)
    }

    fn pass(&self, gradients: &mut Gradients, texts: &[usize]) -> Result<f64, NnError> {
        let (mut ids, mut offsets, mut keys, mut marked) = (Vec::new(), vec![0], Vec::new(), Vec::new());
        let passes = self.loss.passes();
        for &text in texts {
            let example = &self.batch[text];
            self.check(example)?;
            if self.loss.asked() == Asked::Tokens {
                marked.extend(asked(self.loss, example).map(|(token, _)| ids.len() + token));
            }
            for pass in 0..passes {
                ids.extend_from_slice(example.ids);
                offsets.push(u32::try_from(ids.len()).map_err(|_| NnError::rows("step", "fewer than 2^32 tokens", "more"))?);
                keys.push((text * passes + pass) as u64);
            }
        }
        if self.loss.asked() == Asked::Tokens && marked.is_empty() {
            return Ok(0.0);
        }
        // A pass that fails loses the sums so far, and with them the step.
        let sums = std::mem::replace(gradients, Gradients::new(self.weights));
        let mut ops = Eager::new(self.weights, Mode::Train { seed: self.seed }, &ids, &offsets)?
            .with_gradients(sums)
            .with_text_keys(keys)?
            .with_marked(marked)?;
        if self.checkpointing {
            ops = ops.with_checkpointing();
        }
        let output = self.network.logits(&mut ops)?;
        let (loss, gradient) = self.rows(&output, texts)?;
        if !loss.is_finite() {
            return Err(NnError::Loss { loss });
        }
        *gradients = ops.backward(&output, gradient)?;
        Ok(loss)
    }

    fn check(&self, example: &Example<'_>) -> Result<(), NnError> {
        let expected = match self.loss.asked() {
            Asked::Texts => self.loss.labels(),
            Asked::Tokens => example.ids.len(),
        };
        if example.targets.len() == expected {
            return Ok(());
        }
        Err(NnError::rows("step", format!("{expected} targets"), example.targets.len().to_string()))
    }

    /// The sum of the rows' losses, and the gradient of the mini-batch's mean on their logits.
    fn rows(&self, output: &Rows, texts: &[usize]) -> Result<(f64, Vec<f32>), NnError> {
        let (labels, passes) = (self.loss.labels(), self.loss.passes());
        let targets: Vec<&[f32]> = texts.iter().flat_map(|&text| asked(self.loss, &self.batch[text])).map(|(_, targets)| targets).collect();
        if (output.rows(), output.width()) != (targets.len() * passes, labels) {
            let expected = format!("logits [{}, {labels}]", targets.len() * passes);
            return Err(NnError::rows("step", expected, format!("[{}, {}]", output.rows(), output.width())));
        }
        let logits = output.to_vec()?;
        let mut gradient = vec![0.0; logits.len()];
        let (share, each) = (1.0 / self.rows as f32, labels * passes);
        let mut sum = 0.0;
        for ((logits, gradient), targets) in logits.chunks_exact(each).zip(gradient.chunks_exact_mut(each)).zip(targets) {
            sum += self.loss.row(logits, targets, gradient);
            gradient.iter_mut().for_each(|gradient| *gradient *= share);
        }
        Ok((sum, gradient))
    }
}

/// Texts of a mini-batch by shard: the longest first to the least loaded. Deterministic.
fn balance(batch: &[Example<'_>], shards: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..batch.len()).collect();
    order.sort_by_key(|&text| (std::cmp::Reverse(batch[text].ids.len()), text));
    let mut plan = vec![(0, Vec::new()); shards];
    for text in order {
        let least = plan.iter_mut().min_by_key(|(load, _)| *load).expect("there is a shard; this is a bug");
        least.0 += batch[text].ids.len();
        least.1.push(text);
    }
    plan.into_iter().map(|(_, texts)| texts).collect()
}

/// Runs of texts of at most about `limit` tokens, each at least one text.
fn passes(texts: &[usize], tokens: impl Fn(usize) -> usize, limit: usize) -> Vec<&[usize]> {
    let mut passes = Vec::new();
    let (mut start, mut held) = (0, 0);
    for (index, &text) in texts.iter().enumerate() {
        if index > start && held + tokens(text) > limit {
            passes.push(&texts[start..index]);
            (start, held) = (index, 0);
        }
        held += tokens(text);
    }
    if start < texts.len() {
        passes.push(&texts[start..]);
    }
    passes
}
