//! Data beside a run's own: `[[stages]]` before it and `[[multitask]]` in it; typed to resolved and
//! back.

use super::file::{SetFile, StageFile, StageName};
use super::learning;
use super::resolve::{Resolved, need, seed, unless, value, within};
use super::{OptimizerRecipe, TrainRecipe};
use crate::spec::LabelSet;
use crate::train::sets::SetRecipe;
use crate::train::stages::{StageRecipe, StageTask};

pub(super) fn stage(file: StageFile, optimizer: &OptimizerRecipe, train: &TrainRecipe) -> Resolved<StageRecipe> {
    let some = |key, number: usize| within(key, number, "at least 1", |&n| n >= 1);
    let sets = file.data.unwrap_or_default().into_iter().map(|set| set_of("stages.data", set)).collect::<Resolved<Vec<_>>>()?;
    let kind = need("stages.kind", "classify or masked_lm", file.kind)?;
    unless(kind == StageName::MaskedLm, "stages.probability", "stages.kind is masked_lm", file.probability.is_some())?;
    unless(kind == StageName::Classify, "stages.loss", "stages.kind is classify", file.loss.is_some())?;
    if sets.is_empty() {
        return Err(value("stages.data", "at least one [[stages.data]]", "none"));
    }
    let task = match kind {
        StageName::MaskedLm => {
            let probability =
                within("stages.probability", file.probability.unwrap_or(0.15), "a number in (0, 1)", |&p| p > 0.0 && p < 1.0)?;
            StageTask::MaskedLm { data: sets, probability }
        }
        StageName::Classify => StageTask::Classify { data: sets, loss: learning::loss(&file.loss.unwrap_or_default())? },
    };
    Ok(StageRecipe {
        task,
        epochs: some("stages.epochs", need("stages.epochs", "passes over the stage's rows", file.epochs)?)?,
        lr: within("stages.lr", file.lr.unwrap_or(optimizer.lr), "a number in (0, 1]", |&lr| lr > 0.0 && lr <= 1.0)?,
        batch: some("stages.batch", file.batch.unwrap_or(train.batch))?,
        seed: seed("stages.seed", Some(file.seed.unwrap_or(train.seed)))?,
    })
}

pub(super) fn set(file: SetFile) -> Resolved<SetRecipe> {
    set_of("multitask", file)
}

fn set_of(section: &'static str, file: SetFile) -> Resolved<SetRecipe> {
    let names = need(section, "labels, the names in the file's order", file.labels)?;
    let path = need(section, "path, the file", file.path)?;
    let weight = file.weight.unwrap_or(1.0);
    Ok(SetRecipe {
        name: need(section, "name, what the data set is called", file.name)?,
        licence: file.licence.unwrap_or_else(|| "unknown".to_owned()),
        format: need(section, "format, as data.format", file.format)?,
        path,
        labels: LabelSet::new(names).map_err(|error| value(section, "labels with distinct names", error))?,
        rows: file.rows.map(|rows| within(section, rows, "rows of at least 1", |&rows| rows >= 1)).transpose()?,
        weight: within(section, weight, "a positive weight", |&weight| weight > 0.0 && weight.is_finite())?,
    })
}

pub(super) fn stage_file(stage: &StageRecipe) -> StageFile {
    let (kind, data, loss, probability) = match &stage.task {
        StageTask::Classify { data, loss } => (StageName::Classify, data, Some(learning::loss_file(*loss)), None),
        StageTask::MaskedLm { data, probability } => (StageName::MaskedLm, data, None, Some(*probability)),
    };
    StageFile {
        kind: Some(kind),
        epochs: Some(stage.epochs),
        lr: Some(stage.lr),
        batch: Some(stage.batch),
        seed: Some(stage.seed),
        probability,
        loss,
        data: Some(data.iter().map(set_file).collect()),
    }
}

pub(super) fn set_file(set: &SetRecipe) -> SetFile {
    SetFile {
        name: Some(set.name.clone()),
        licence: Some(set.licence.clone()),
        format: Some(set.format),
        path: Some(set.path.clone()),
        labels: Some(set.labels.names().to_vec()),
        rows: set.rows,
        weight: Some(set.weight),
    }
}
