//! One fit: the loop over steps, with its evaluations, checkpoints and guards.
//!
//! Everything that happens at a step is a function of the recipe and the step's number: the order
//! of rows, the learning rate, the dropout. So a fit that was killed goes on from its checkpoint to
//! the same weights, bit for bit, for equal shards. The loop refuses to go on with a loss that is
//! no number, and proves on its first batch that the loss in use is the recipe's.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::TrainError;
use super::answers::Answers;
use super::batches::BatchPlan;
use super::checkpoint::{Best, Checkpoints, Evaluation, Position};
use super::journal::{Journal, StepLine};
use super::learner::{Learner, Moment, network};
use super::masking::{Masked, Masking};
use super::objective::Objective;
use super::phases::{Phase, lay_out};
use super::predict::held;
use super::recipe::{PhaseStart, Recipe, Restore, Selection};
use super::rows::Rows;
use super::schedule::Schedule;
use super::witness::WitnessedLoss;
use crate::decide::{Logits, Probabilities, Thresholds};
use crate::metrics::Report;
use crate::nn::{NnError, Snapshot};
use crate::spec::Activation;
use crate::text::{Encoding, LabelSpelling};

/// A loss in use may differ from the plain one by this much, relative, and by as much absolutely.
const LOSS_TOLERANCE: f64 = 1e-6;
/// Logits of a label that vary less than this over the held-out rows are constant.
const CONSTANT: f32 = 1e-4;

/// What one fit is made of.
pub(super) struct FitPlan<'a> {
    /// `fold-0` and so on, or `refit`.
    pub(super) phase: &'a str,
    /// Where its checkpoints go.
    pub(super) folder: &'a Path,
    pub(super) recipe: &'a Recipe,
    /// Rows trained on, with what people said of them, which the loss is weighted by.
    pub(super) trained: Rows<'a>,
    /// What is learnt of them where it is not what people said.
    pub(super) taught: Option<Answers>,
    /// Where words are learnt, and not labels: which of them.
    pub(super) words: Option<Masking>,
    /// A factor on each label's loss, where they differ beside the recipe's weighting.
    pub(super) factors: Option<Vec<f32>>,
    /// Rows evaluated on as it goes; a refit has none.
    pub(super) held_out: Option<Rows<'a>>,
    /// Share of the schedule's steps after which it ends; one for all of them.
    pub(super) share: f64,
    /// Asked after every step: whether to stop as a kill would.
    pub(super) interrupt: &'a dyn Fn(&str, u64) -> bool,
}

/// What a fit says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitRecord {
    /// `fold-0` and so on, or `refit`.
    pub phase: String,
    /// Rows trained on.
    pub rows: usize,
    /// Steps that the schedule is laid out for.
    pub steps_planned: u64,
    /// Steps done.
    pub steps: u64,
    /// How each phase after the first began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<String>,
    /// Step whose weights were kept.
    pub kept_step: u64,
    /// Factor on each label's answers in the loss in use.
    pub label_weights: Vec<f32>,
    /// Factor on each label's positive answers in the loss in use.
    pub positive_weights: Vec<f32>,
    /// Evaluations on the held-out rows.
    pub evaluations: Vec<Evaluation>,
    /// What was noticed.
    pub warnings: Vec<String>,
}

/// A finished fit.
pub(super) struct Fitted {
    pub(super) weights: Snapshot,
    pub(super) record: FitRecord,
}

/// Runs the fit from its last checkpoint, or from the base model.
pub(super) fn fit(plan: &FitPlan<'_>, learner: Learner<'_>, journal: &mut Journal<'_>) -> Result<Fitted, TrainError> {
    let mut fit = Fit::begin(plan, learner)?;
    fit.resume(journal)?;
    journal.begin(plan.phase, fit.position.step, fit.end)?;
    while !fit.is_over() {
        if fit.phase_is_over() {
            fit.next_phase(journal)?;
        }
        fit.step(journal)?;
        if fit.evaluation_is_due() {
            fit.evaluate(journal)?;
        }
        if fit.position.step.is_multiple_of(plan.recipe.train.checkpoint_every) && fit.position.step < fit.end {
            fit.save()?;
        }
        if (plan.interrupt)(plan.phase, fit.position.step) {
            return Err(TrainError::Interrupted { phase: plan.phase.to_owned(), step: fit.position.step });
        }
    }
    journal.end();
    fit.finish()
}

struct Fit<'a> {
    plan: &'a FitPlan<'a>,
    learner: Learner<'a>,
    lesson: Rows<'a>,
    loss: Objective,
    phases: Vec<Phase>,
    schedule: Schedule,
    batches: BatchPlan,
    lengths: Vec<usize>,
    /// The epoch that `order` belongs to, and its batches.
    epoch: Option<u64>,
    order: Vec<Vec<usize>>,
    steps_an_epoch: u64,
    end: u64,
    position: Position,
    best: Option<Snapshot>,
    witnessed: WitnessedLoss,
    loss_is_proven: bool,
}

impl<'a> Fit<'a> {
    fn begin(plan: &'a FitPlan<'a>, learner: Learner<'a>) -> Result<Self, TrainError> {
        let train = &plan.recipe.train;
        let batches = BatchPlan { texts: train.batch, window: train.length_window, seed: train.seed };
        let steps_an_epoch = batches.count(plan.trained.len()).div_ceil(train.accumulation) as u64;
        let phases = lay_out(plan.recipe, steps_an_epoch)?;
        let planned: u64 = phases.iter().map(|phase| phase.steps).sum();
        let schedule = phases[0].schedule.clone();
        let position = Position {
            step: 0,
            phase: 0,
            begun: 0,
            phases: Vec::new(),
            evaluations: Vec::new(),
            best: None,
            without_gain: 0,
            stopped: false,
            plateau: schedule.state(),
            warnings: missing_positives(plan),
        };
        let loss = Objective::new(plan.recipe.loss, &plan.trained.answers);
        let loss = plan.factors.iter().fold(loss, |loss, factors| loss.scaled(factors));
        let lesson = match &plan.taught {
            Some(answers) => plan.trained.answering(answers.clone()),
            None => plan.trained.clone(),
        };
        Ok(Self {
            plan,
            learner,
            lesson,
            witnessed: WitnessedLoss::new(&loss).map_err(network(plan.phase))?,
            loss,
            phases,
            schedule,
            batches,
            lengths: plan.trained.encodings.iter().map(|encoding| encoding.ids().len()).collect(),
            epoch: None,
            order: Vec::new(),
            steps_an_epoch,
            end: ((plan.share * planned as f64).round() as u64).clamp(1, planned),
            position,
            best: None,
            loss_is_proven: false,
        })
    }

    fn resume(&mut self, journal: &mut Journal<'_>) -> Result<(), TrainError> {
        let Some((position, folder)) = Checkpoints::new(self.plan.folder).load()? else {
            for warning in &self.position.warnings {
                journal.say(&format!("warning: {}: {warning}", self.plan.phase));
            }
            return Ok(());
        };
        self.best = self.learner.load(&folder)?;
        self.schedule = self.phases[position.phase].schedule.clone();
        self.schedule.restore(position.plateau);
        journal.say(&format!("{}: continues after step {}", self.plan.phase, position.step));
        self.position = position;
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.position.step >= self.end || (self.phase_is_over() && self.position.phase + 1 == self.phases.len())
    }

    fn phase(&self) -> &Phase {
        &self.phases[self.position.phase]
    }

    /// Steps done of the phase.
    fn local(&self) -> u64 {
        self.position.step - self.position.begun
    }

    fn phase_is_over(&self) -> bool {
        self.position.stopped || self.local() >= self.phase().steps
    }

    fn next_phase(&mut self, journal: &mut Journal<'_>) -> Result<(), TrainError> {
        let position = &mut self.position;
        (position.phase, position.begun) = (position.phase + 1, position.step);
        (position.stopped, position.without_gain) = (false, 0);
        let phase = &self.phases[position.phase];
        let told = phase.told(position.phase + 1, position.step);
        journal.say(&format!("{}: {told}", self.plan.phase));
        position.phases.push(told);
        let before = std::mem::replace(&mut self.schedule, phase.schedule.clone());
        match phase.start {
            Some(PhaseStart::Resume) => self.schedule.go_on_from(&before),
            Some(PhaseStart::Weights) | None => {
                let from = self.best.clone().map_or_else(|| self.learner.kept(), Ok)?;
                self.learner.restart(&from, self.plan.recipe).map_err(network(self.plan.phase))?;
            }
        }
        self.position.plateau = self.schedule.state();
        Ok(())
    }

    fn step(&mut self, journal: &mut Journal<'_>) -> Result<(), TrainError> {
        let (step, local) = (self.position.step, self.local());
        let epoch = self.phase().epoch + local / self.steps_an_epoch;
        let index = (local % self.steps_an_epoch) as usize;
        if self.epoch != Some(epoch) {
            self.order = self.batches.epoch(&self.lengths, epoch);
            self.epoch = Some(epoch);
        }
        let accumulation = self.plan.recipe.train.accumulation;
        let last = ((index + 1) * accumulation).min(self.order.len());
        let rows = self.order[index * accumulation..last].concat();
        let batch = self.lesson.pick(&rows);
        let moment = Moment { step, end: self.end, rate: self.schedule.rate(self.phase().offset + local) };
        let begun = journal.now();
        let taken = if let Some(masking) = &self.plan.words {
            let texts: Vec<_> = batch.encodings.iter().zip(&rows).map(|(encoding, &row)| masking.apply(encoding, row, epoch)).collect();
            self.learner.step_words(&texts, moment)
        } else if let Some(writer) = self.learner.writer() {
            self.learner.step_words(&completions(&writer.spelling, &batch), moment)
        } else if self.loss_is_proven {
            self.learner.step(&batch, self.witnessed.fast(), moment)
        } else {
            self.learner.step(&batch, &self.witnessed, moment)
        };
        let taken = taken.map_err(|error| self.runaway(error, &batch))?;
        let seconds = (journal.now() - begun).as_secs_f64();
        self.prove_loss()?;
        let tokens: usize = rows.iter().map(|&row| self.lengths[row]).sum();
        self.position.step += 1;
        let line = StepLine {
            phase: self.plan.phase.to_owned(),
            step,
            epoch,
            loss: taken.loss,
            lr: moment.rate,
            grad_norm: taken.gradient_norm,
            tokens,
            tokens_per_second: tokens as f64 / seconds.max(1e-9),
        };
        journal.step(&line, self.end)
    }

    /// Names the rows of a batch that training ran away on.
    fn runaway(&self, error: NnError, batch: &Rows<'_>) -> TrainError {
        let (phase, step) = (self.plan.phase.to_owned(), self.position.step);
        match error {
            NnError::Loss { loss } | NnError::GradientNorm { norm: loss } => {
                TrainError::NotFinite { phase, step, loss, ids: batch.ids.join(", ") }
            }
            source => TrainError::Network { what: format!("{phase}, step {step}"), source },
        }
    }

    /// Once a batch was seen: was its loss the recipe's?
    fn prove_loss(&mut self) -> Result<(), TrainError> {
        let Some((expected, found)) = self.witnessed.worst() else { return Ok(()) };
        if (found - expected).abs() > LOSS_TOLERANCE * (1.0 + expected) {
            return Err(TrainError::Weighting { phase: self.plan.phase.to_owned(), expected, found });
        }
        self.loss_is_proven = true;
        Ok(())
    }

    fn evaluation_is_due(&self) -> bool {
        let every = self.plan.recipe.train.eval_every;
        let every = if every == 0 { self.steps_an_epoch } else { every };
        self.local().is_multiple_of(every) || self.phase_is_over() || self.position.step == self.end
    }

    fn evaluate(&mut self, journal: &mut Journal<'_>) -> Result<(), TrainError> {
        let Some(held_out) = &self.plan.held_out else { return Ok(()) };
        let step = self.position.step;
        let logits = self.learner.logits(&held_out.encodings)?.leading(held_out.answers.labels());
        let loss = match self.learner.writer() {
            Some(writer) => self.learner.completion_loss(writer, held_out)?,
            None => self.loss.mean(logits.values(), &held_out.answers),
        };
        let probabilities = Probabilities::of(&logits, Activation::Sigmoid);
        let half = Thresholds::uniform(logits.labels(), 0.5)?;
        let macro_f1 = Report::measure(&probabilities, &held_out.answers.targets(), &half)?.summary.macro_f1;
        journal.say(&format!("{} after step {step}: held-out loss {loss:.4}, macro-F1 at 0.5 {macro_f1:.4}", self.plan.phase));
        journal.write(&serde_json::json!({
            "phase": self.plan.phase, "step": step - 1, "held_out_loss": loss, "held_out_macro_f1": macro_f1,
        }))?;
        self.position.evaluations.push(Evaluation { step, loss, macro_f1 });
        self.warn_constant(&logits, journal);
        let score = match self.plan.recipe.train.select {
            Selection::MacroF1 => macro_f1,
            Selection::Loss => -loss,
        };
        self.schedule.evaluated(self.phase().offset + self.local(), score);
        self.position.plateau = self.schedule.state();
        self.judge(score)
    }

    /// Keeps the best weights and decides on early stopping.
    fn judge(&mut self, score: f64) -> Result<(), TrainError> {
        let train = &self.plan.recipe.train;
        let previous = self.position.best.map(|best| best.score);
        if previous.is_none_or(|best| score > best) {
            self.position.best = Some(Best { step: self.position.step, score });
            if train.restore == Restore::Best {
                self.best = Some(self.learner.kept()?);
            }
        }
        let Some(early) = train.early_stopping else { return Ok(()) };
        let gained = previous.is_none_or(|best| score > best + early.min_delta);
        self.position.without_gain = if gained { 0 } else { self.position.without_gain + 1 };
        self.position.stopped = self.position.without_gain > early.patience;
        Ok(())
    }

    fn warn_constant(&mut self, logits: &Logits, journal: &mut Journal<'_>) {
        let spread = |label: usize| {
            let (low, high) = logits.column(label).fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), z| (low.min(z), high.max(z)));
            high - low
        };
        if logits.rows() > 1 && (0..logits.labels()).all(|label| spread(label) < CONSTANT) {
            let step = self.position.step;
            let warning =
                format!("after step {step} every held-out row gets the same scores: the network has collapsed; lower optimizer.lr");
            journal.say(&format!("warning: {}: {warning}", self.plan.phase));
            self.position.warnings.push(warning);
        }
    }

    fn save(&self) -> Result<(), TrainError> {
        let parts = self.learner.parts(self.best.as_ref())?;
        Checkpoints::new(self.plan.folder).save(&self.position, &parts)
    }

    fn finish(self) -> Result<Fitted, TrainError> {
        let kept_step = match (self.plan.recipe.train.restore, self.position.best, &self.best) {
            (Restore::Best, Some(best), Some(_)) => best.step,
            _ => self.position.step,
        };
        let weights = match self.best {
            Some(best) => best,
            None => self.learner.kept()?,
        };
        let record = FitRecord {
            phase: self.plan.phase.to_owned(),
            rows: self.plan.trained.len(),
            steps_planned: self.phases.iter().map(|phase| phase.steps).sum(),
            phases: self.position.phases,
            steps: self.position.step,
            kept_step,
            label_weights: self.loss.weights.label,
            positive_weights: self.loss.weights.positive,
            evaluations: self.position.evaluations,
            warnings: self.position.warnings,
        };
        Ok(Fitted { weights, record })
    }
}

/// What a writer learns of the rows: behind each token of a prompt's answer the one that follows.
fn completions(spelling: &LabelSpelling, rows: &Rows<'_>) -> Vec<Masked> {
    let of = |(row, encoding): (usize, &&Encoding)| {
        let completion = spelling.completion(encoding, &held(rows.answers.row(row)));
        let mut targets = vec![f32::NAN; completion.ids.len()];
        targets[completion.first()..].iter_mut().zip(&completion.answer).for_each(|(target, &token)| *target = token as f32);
        (completion.ids, targets)
    };
    rows.encodings.iter().enumerate().map(of).collect()
}

/// Labels that the rows trained on, or the rows held out, do not hold even once.
fn missing_positives(plan: &FitPlan<'_>) -> Vec<String> {
    if plan.words.is_some() {
        return Vec::new();
    }
    let labels = plan.recipe.data.labels.names();
    let missing = |rows: &Rows<'_>, which: &str| -> Vec<String> {
        let none = labels.iter().enumerate().filter(|(label, _)| rows.answers.count(*label).0 == 0.0);
        none.map(|(_, name)| format!("no {which} row holds {name}")).collect()
    };
    let mut warnings = missing(&plan.trained, "training");
    warnings.extend(plan.held_out.iter().flat_map(|rows| missing(rows, "held-out")));
    warnings
}
