//! Soft labels: what other models say of the rows that a fit learns from (Hinton, Vinyals and Dean
//! 2015, arXiv:1503.02531, for independent labels).
//!
//! `teacher = "self"`: before a fit, the same recipe is fitted under other seeds to the fit's own
//! training rows, and the mean of their logits on these rows teaches. Nothing of a held-out row
//! reaches the student. With `folds`, a teacher judges only rows that it was not fitted to. A
//! teacher is a fit like any other: it leaves its logits when finished and is continued when killed.
//!
//! A run folder's path: its out-of-fold logits teach. No row is taught by a model that was fitted to
//! it; but those models were fitted to rows that a fold of the student holds out, so what is measured
//! out of fold is flattered, and the report says so.

use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::answers::Answers;
use super::checkpoint::Checkpoints;
use super::cross::Ground;
use super::fit::{FitPlan, FitRecord};
use super::groups::Groups;
use super::journal::Journal;
use super::learner::network;
use super::lesson::learn;
use super::objective::Objective;
use super::recipe::Recipe;
use super::rows::Rows;
use super::split::Folds;
use super::{TrainError, files, predict};
use crate::nn::{Missing, Weights};
use crate::spec::Matrix;

/// `[distil]`.
#[derive(Debug, Clone, PartialEq)]
pub struct DistilRecipe {
    /// `teacher`: `"self"`, or the folder of a finished run over the same rows.
    pub teacher: Teacher,
    /// `weight` of the teacher's word against the labels', in `(0, 1]`.
    pub weight: f64,
    /// `temperature` that the teacher's logits are divided by; 1 by default. The student's are not.
    pub temperature: f64,
    /// `calibrated`: whether the teacher's logits are freed of what its loss did to them; false by
    /// default. A run's are calibrated out of fold; those of `"self"` lose the logarithm of the
    /// positives' weights, which is by how much those raise them.
    pub calibrated: bool,
}

/// Who teaches.
#[derive(Debug, Clone, PartialEq)]
pub enum Teacher {
    /// The recipe itself under other seeds.
    Oneself {
        /// `seeds`: how many teachers; 3 by default.
        seeds: usize,
        /// `folds`: into how many parts the rows are cut, each judged by a teacher that was fitted to
        /// the others, for every seed; none when left out, and teachers judge the rows they were
        /// fitted to.
        folds: Option<usize>,
        /// `bases`: base models of the same tokenizer that the teachers begin with, in turn; the
        /// student's when there are none. Models that begin differently err differently.
        bases: Vec<String>,
    },
    /// The out-of-fold logits of the run in this folder.
    Run(PathBuf),
}

/// What a finished teacher leaves.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TeacherOutcome {
    record: FitRecord,
    /// Logits of the rows it judges, row-major.
    logits: Vec<f32>,
}

/// What is learnt of the plan's rows: their labels with the teachers' word mixed in.
pub(super) fn soften(
    ground: &Ground<'_>,
    recipe: &DistilRecipe,
    plan: &FitPlan<'_>,
    journal: &mut Journal<'_>,
) -> Result<Answers, TrainError> {
    let logits = match &recipe.teacher {
        Teacher::Run(_) => ground.teacher.expect("the run was read at the start; anything else, this is a bug").of(&plan.trained)?,
        Teacher::Oneself { seeds, folds, .. } => {
            let mut logits = taught_by_oneself(ground, plan, (*seeds, *folds), journal)?;
            if recipe.calibrated {
                unweigh(&mut logits, &Objective::new(plan.recipe.loss, &plan.trained.answers));
            }
            logits
        }
    };
    let probability = |logit: &f64| (1.0 / (1.0 + (-logit / recipe.temperature).exp())) as f32;
    let probabilities: Vec<f32> = logits.values().iter().map(probability).collect();
    Ok(plan.trained.answers.softened(&probabilities, recipe.weight))
}

/// Mean logits of the plan's rows over the teachers that judge them.
fn taught_by_oneself(
    ground: &Ground<'_>,
    plan: &FitPlan<'_>,
    (seeds, folds): (usize, Option<usize>),
    journal: &mut Journal<'_>,
) -> Result<Matrix<f64>, TrainError> {
    let (rows, labels) = (plan.trained.len(), plan.trained.answers.labels());
    let all: Vec<usize> = (0..rows).collect();
    let parts = match folds {
        None => vec![(all.clone(), all)],
        Some(k) => {
            let groups = Groups::find(plan.trained.texts.iter().copied());
            let folds = Folds::stratify(&plan.trained.answers.targets(), &groups, k, plan.recipe.folds.seed)?;
            (0..k).map(|fold| (folds.trained(fold), folds.held_out(fold))).collect()
        }
    };
    let mut sums = Matrix::filled(rows, labels, 0.0);
    let seeds_of = StdRng::seed_from_u64(plan.recipe.train.seed).random_iter::<u64>();
    // A seed has to fit a recipe's signed number.
    for (number, seed) in seeds_of.map(|seed| seed >> 1).take(seeds).enumerate() {
        let recipe = taught(plan.recipe, seed);
        let start = ground.bases.get(number % ground.bases.len().max(1)).unwrap_or(ground.start);
        let ground = &Ground { start, ..*ground };
        for (part, (trained, judged)) in parts.iter().enumerate() {
            let name = if folds.is_some() { format!("teacher-{number}-{part}") } else { format!("teacher-{number}") };
            let sitting = Sitting { recipe: &recipe, name, trained: plan.trained.pick(trained), judged: plan.trained.pick(judged) };
            let logits = sit(ground, plan, sitting, journal)?;
            for (&row, logits) in judged.iter().zip(logits.chunks_exact(labels)) {
                sums.row_mut(row).iter_mut().zip(logits).for_each(|(sum, &logit)| *sum += f64::from(logit) / seeds as f64);
            }
        }
    }
    Ok(sums)
}

/// The recipe as a teacher is fitted with: under another seed, and from labels alone.
fn taught(recipe: &Recipe, seed: u64) -> Recipe {
    let mut taught = recipe.clone();
    taught.distil = None;
    taught.train.seed = seed;
    taught
}

/// One teacher: what it is fitted to, and what it judges.
struct Sitting<'a> {
    recipe: &'a Recipe,
    name: String,
    trained: Rows<'a>,
    judged: Rows<'a>,
}

/// Fits one teacher, unless it is finished, and returns its logits.
fn sit(ground: &Ground<'_>, student: &FitPlan<'_>, sitting: Sitting<'_>, journal: &mut Journal<'_>) -> Result<Vec<f32>, TrainError> {
    let Sitting { recipe, name, trained, judged } = sitting;
    let (phase, folder) = (format!("{}/{name}", student.phase), student.folder.join(name));
    let path = folder.join("outcome.json");
    if let Some(outcome) = files::read_json::<TeacherOutcome>(&path)? {
        journal.say(&format!("{phase}: finished before, skipped"));
        check(&path, &outcome, judged.answers.rows() * judged.answers.labels())?;
        return Ok(outcome.logits);
    }
    files::folder(&folder)?;
    let plan = FitPlan {
        phase: &phase,
        folder: &folder,
        recipe,
        trained,
        taught: None,
        words: None,
        factors: None,
        held_out: None,
        share: student.share,
        interrupt: student.interrupt,
    };
    let start = ground.start;
    let fitted = learn(ground, plan, journal)?;
    let bytes = fitted.weights.to_safetensors().map_err(network(&phase))?;
    let weights = Weights::from_safetensors(&bytes, &start.network.network().params(), Missing::Refuse).map_err(network(&phase))?;
    let logits = predict::logits(start.network.network(), &weights, &judged.encodings, recipe.train.shards)?;
    files::write_json(&path, &TeacherOutcome { record: fitted.record, logits: logits.values().to_vec() })?;
    Checkpoints::new(&folder).clear()?;
    Ok(logits.values().to_vec())
}

fn check(path: &Path, outcome: &TeacherOutcome, logits: usize) -> Result<(), TrainError> {
    if outcome.logits.len() == logits {
        return Ok(());
    }
    Err(TrainError::RunFolder {
        path: path.to_owned(),
        expected: format!("{logits} logits of the rows that this teacher judges"),
        found: outcome.logits.len().to_string(),
    })
}

/// Takes the weights of positives out of logits: at the optimum of the weighted loss they stand
/// higher by the logarithm of the weight.
fn unweigh(logits: &mut Matrix<f64>, objective: &Objective) {
    let shifts: Vec<f64> = objective.weights.positive.iter().map(|&weight| f64::from(weight).max(f64::MIN_POSITIVE).ln()).collect();
    for row in 0..logits.rows() {
        logits.row_mut(row).iter_mut().zip(&shifts).for_each(|(logit, shift)| *logit -= shift);
    }
}
