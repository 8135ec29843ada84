//! Stages: fits before the run's own, on other data, of which only the encoder is kept.
//!
//! A stage begins where the one before ended, and its head is dropped at its end. A finished stage
//! leaves its weights in the run folder and is not run again. No stage sees a text of the run's own
//! files, so that one stage serves every fold.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::checkpoint::Checkpoints;
use super::fit::{FitPlan, FitRecord, Fitted, fit};
use super::journal::Journal;
use super::learner::{Learner, network};
use super::masking::Masking;
use super::network::Network;
use super::objective::LossRecipe;
use super::recipe::{Recipe, Restore};
use super::sets::{Reading, SetRecipe, Sets};
use super::shards::Shards;
use super::start::Start;
use super::{TrainError, files};
use crate::bundle::FurtherData;
use crate::model::{MaskedLm, SequenceClassifier};
use crate::nn::{Missing, Plan, Snapshot};
use crate::spec::{LabelSet, SpecError};
use crate::text::TextEncoder;

/// One `[[stages]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct StageRecipe {
    /// `kind` and what belongs to it.
    pub task: StageTask,
    /// `epochs` over the stage's rows.
    pub epochs: usize,
    /// `lr`: the peak learning rate; that of the run by default. The head's follows it.
    pub lr: f64,
    /// `batch`: texts a forward pass; that of the run by default.
    pub batch: usize,
    /// `seed` of fresh weights, order and dropout; that of the run by default.
    pub seed: u64,
}

/// `stages.kind`.
#[derive(Debug, Clone, PartialEq)]
pub enum StageTask {
    /// `classify`: intermediate fine-tuning (Phang et al. 2018, arXiv:1811.01088) on the labels of
    /// other data sets; several sets share one head.
    Classify {
        /// `[[stages.data]]`, at least one.
        data: Vec<SetRecipe>,
        /// `[stages.loss]`, as `[loss]`.
        loss: LossRecipe,
    },
    /// `masked_lm`: further pre-training as a masked language model on the texts of data sets, whose
    /// labels are not looked at (Gururangan et al. 2020, arXiv:2004.10964).
    MaskedLm {
        /// `[[stages.data]]`, at least one.
        data: Vec<SetRecipe>,
        /// `probability` that a token is asked about, in `(0, 1)`; 0.15 by default.
        probability: f64,
    },
}

impl StageTask {
    fn data(&self) -> &[SetRecipe] {
        match self {
            Self::Classify { data, .. } | Self::MaskedLm { data, .. } => data,
        }
    }
}

/// Data beside a run's own, read.
pub(super) struct Further<'a> {
    stages: Vec<(&'a StageRecipe, Sets)>,
    /// What is learnt along with the run's own labels.
    pub(super) along: Option<Sets>,
}

/// Where stages run.
pub(super) struct StageGround<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) run: &'a Path,
    pub(super) interrupt: &'a dyn Fn(&str, u64) -> bool,
}

impl<'a> Further<'a> {
    /// Reads what the recipe names, without the texts whose normal forms are `own`.
    pub(super) fn read(
        recipe: &'a Recipe,
        encoder: &TextEncoder,
        place: &dyn Fn(&Path) -> PathBuf,
        own: &HashSet<String>,
        journal: &mut Journal<'_>,
    ) -> Result<Self, TrainError> {
        let mut stages = Vec::new();
        for (index, stage) in recipe.stages.iter().enumerate() {
            let reading = Reading { encoder, place, own, purpose: &format!("stage-{index}"), seed: stage.seed };
            stages.push((stage, Sets::read(stage.task.data(), 0, &reading, journal)?));
        }
        let reading = Reading { encoder, place, own, purpose: "multitask", seed: recipe.train.seed };
        let first = recipe.data.labels.len();
        let along = if recipe.multitask.is_empty() { None } else { Some(Sets::read(&recipe.multitask, first, &reading, journal)?) };
        Ok(Self { stages, along })
    }

    /// What the bundle's card says of all of it.
    pub(super) fn cards(&self) -> Vec<FurtherData> {
        self.stages.iter().map(|(_, sets)| sets).chain(&self.along).flat_map(|sets| sets.cards.clone()).collect()
    }

    /// Runs every stage that is not finished; the start then holds the last one's weights. Returns
    /// their records.
    pub(super) fn run_stages(
        &self,
        ground: &StageGround<'_>,
        start: &mut Start,
        journal: &mut Journal<'_>,
    ) -> Result<Vec<FitRecord>, TrainError> {
        let mut records = Vec::new();
        for (index, (recipe, sets)) in self.stages.iter().enumerate() {
            let phase = format!("stage-{index}");
            let folder = ground.run.join(&phase);
            files::folder(&folder)?;
            let (weights, record) = (folder.join("weights.safetensors"), folder.join("record.json"));
            if let Some(record) = files::read_json(&record)? {
                journal.say(&format!("{phase}: finished before, skipped"));
                start.weights = Shards::Whole(files::read(&weights)?.into());
                records.push(record);
                continue;
            }
            let fitted = run_stage(ground, (recipe, sets), (&phase, &folder), start, journal)?;
            let carried = carried(start, &fitted.weights)?;
            files::write(&weights, &carried)?;
            start.weights = Shards::Whole(carried.into());
            files::write_json(&record, &fitted.record)?;
            Checkpoints::new(&folder).clear()?;
            records.push(fitted.record);
        }
        Ok(records)
    }
}

fn run_stage(
    ground: &StageGround<'_>,
    (stage, sets): (&StageRecipe, &Sets),
    (phase, folder): (&str, &Path),
    start: &Start,
    journal: &mut Journal<'_>,
) -> Result<Fitted, TrainError> {
    let recipe = derived(ground.recipe, stage)?;
    let words = match stage.task {
        StageTask::Classify { .. } => None,
        StageTask::MaskedLm { probability, .. } => Some(Masking::new(&start.encoder, probability, stage.seed)?),
    };
    let plan = FitPlan {
        phase,
        folder,
        recipe: &recipe,
        trained: sets.rows(),
        taught: None,
        words,
        factors: Some(sets.weights()),
        held_out: None,
        share: 1.0,
        interrupt: ground.interrupt,
    };
    let refused = |source| TrainError::Config { path: "config.json".into(), source };
    if plan.words.is_some() {
        let model = MaskedLm::new(&start.config).map_err(refused)?;
        let learner = Learner::new(Network::Words(&model), &start.weights, &recipe)?;
        return fit(&plan, learner, journal);
    }
    let classifier = SequenceClassifier::new(&start.config, recipe.model.pooling, sets.columns()).map_err(refused)?;
    let learner = Learner::new(Network::Labels(&classifier), &start.weights, &recipe)?;
    fit(&plan, learner, journal)
}

/// The run's recipe as the stage is fitted with it.
fn derived(run: &Recipe, stage: &StageRecipe) -> Result<Recipe, SpecError> {
    let mut recipe = run.clone();
    let names = stage.task.data().iter().flat_map(|set| set.labels.names().iter().map(move |label| format!("{}: {label}", set.name)));
    recipe.data.labels = LabelSet::new(names)?;
    if let StageTask::Classify { loss, .. } = stage.task {
        recipe.loss = loss;
    }
    (recipe.distil, recipe.train.early_stopping, recipe.train.restore) = (None, None, Restore::Last);
    recipe.phases.clear();
    recipe.optimizer.head_lr = stage.lr * run.optimizer.head_lr / run.optimizer.lr;
    recipe.optimizer.lr = stage.lr;
    (recipe.train.epochs, recipe.train.batch, recipe.train.seed) = (stage.epochs, stage.batch, stage.seed);
    Ok(recipe)
}

/// The start's checkpoint with every tensor of the encoder as the stage left it.
fn carried(start: &Start, trained: &Snapshot) -> Result<Vec<u8>, TrainError> {
    let (params, head) = (start.network.head().params(), start.network.head().head_params());
    let missing = Missing::Replace { seed: 0, fresh: &head };
    let weights = start.weights.weights(&params, missing, &Plan::trained())?;
    let carried = weights.snapshot().and_then(|mut carried| {
        carried.replace(trained, |name| head.iter().all(|spec| spec.name != name))?;
        carried.to_safetensors()
    });
    carried.map_err(network("stage"))
}
