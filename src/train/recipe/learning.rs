//! What a step learns from: the loss, and where soft labels come from; typed to resolved and back.

use super::file::{DistilFile, LossFile, LossName, WeightingName};
use super::resolve::{Resolved, need, unit, unless, within};
use crate::train::distil::{DistilRecipe, Teacher};
use crate::train::objective::{LossKind, LossRecipe};
use crate::train::weights::Weighting;

pub(super) fn loss(file: &LossFile) -> Resolved<LossRecipe> {
    let smoothing = within("loss.smoothing", file.smoothing.unwrap_or(0.0), "a number in [0, 1)", |s| (0.0..1.0).contains(s))?;
    let r_drop = within("loss.r_drop", file.r_drop.unwrap_or(0.0), "a number of at least 0", |r| *r >= 0.0 && r.is_finite())?;
    Ok(LossRecipe { kind: kind(file)?, weighting: weighting(file)?, smoothing, r_drop })
}

fn kind(file: &LossFile) -> Resolved<LossKind> {
    let name = file.kind.unwrap_or(LossName::CrossEntropy);
    unless(name == LossName::Focal, "loss.gamma", "loss.kind is focal", file.gamma.is_some())?;
    for (key, set) in [
        ("loss.gamma_positive", file.gamma_positive.is_some()),
        ("loss.gamma_negative", file.gamma_negative.is_some()),
        ("loss.margin", file.margin.is_some()),
    ] {
        unless(name == LossName::Asymmetric, key, "loss.kind is asymmetric", set)?;
    }
    let power =
        |key, given: Option<f64>, default: f64| within(key, given.unwrap_or(default), "a number in [0, 20]", |p| (0.0..=20.0).contains(p));
    Ok(match name {
        LossName::CrossEntropy => LossKind::CrossEntropy,
        LossName::Focal => LossKind::Focal { gamma: power("loss.gamma", file.gamma, 2.0)? },
        LossName::Asymmetric => LossKind::Asymmetric {
            positive: power("loss.gamma_positive", file.gamma_positive, 0.0)?,
            negative: power("loss.gamma_negative", file.gamma_negative, 4.0)?,
            margin: within("loss.margin", file.margin.unwrap_or(0.05), "a number in [0, 1)", |margin| (0.0..1.0).contains(margin))?,
        },
    })
}

fn weighting(file: &LossFile) -> Resolved<Weighting> {
    let name = file.weighting.unwrap_or(WeightingName::None);
    for (key, set) in [("loss.cap", file.cap.is_some()), ("loss.power", file.power.is_some())] {
        unless(name == WeightingName::PosWeight, key, "loss.weighting is pos_weight", set)?;
    }
    Ok(match name {
        WeightingName::None => Weighting::None,
        WeightingName::ClassWeight => Weighting::ClassWeight,
        WeightingName::PosWeight => Weighting::PosWeight {
            cap: within("loss.cap", file.cap.unwrap_or(f64::INFINITY), "a positive number", |&cap| cap > 0.0)?,
            power: within("loss.power", file.power.unwrap_or(1.0), "a number in (0, 1]", |&power| power > 0.0 && unit(&power))?,
        },
    })
}

pub(super) fn loss_file(loss: LossRecipe) -> LossFile {
    let mut file = LossFile { smoothing: Some(loss.smoothing), r_drop: Some(loss.r_drop), ..LossFile::default() };
    match loss.kind {
        LossKind::CrossEntropy => file.kind = Some(LossName::CrossEntropy),
        LossKind::Focal { gamma } => (file.kind, file.gamma) = (Some(LossName::Focal), Some(gamma)),
        LossKind::Asymmetric { positive, negative, margin } => {
            file.kind = Some(LossName::Asymmetric);
            (file.gamma_positive, file.gamma_negative, file.margin) = (Some(positive), Some(negative), Some(margin));
        }
    }
    file.weighting = Some(match loss.weighting {
        Weighting::None => WeightingName::None,
        Weighting::ClassWeight => WeightingName::ClassWeight,
        Weighting::PosWeight { cap, power } => {
            (file.cap, file.power) = (Some(cap), Some(power));
            WeightingName::PosWeight
        }
    });
    file
}

/// The word in place of a run folder.
const ONESELF: &str = "self";

pub(super) fn distil(file: &DistilFile) -> Resolved<DistilRecipe> {
    let teacher = need("distil.teacher", "\"self\", or the folder of a finished run", file.teacher.as_ref())?;
    let oneself = teacher == ONESELF;
    unless(oneself, "distil.seeds", "distil.teacher is self", file.seeds.is_some())?;
    unless(oneself, "distil.folds", "distil.teacher is self", file.folds.is_some())?;
    unless(oneself, "distil.bases", "distil.teacher is self", file.bases.is_some())?;
    let teacher = if oneself {
        let folds = file.folds.map(|folds| within("distil.folds", folds, "at least 2", |&folds| folds >= 2)).transpose()?;
        let seeds = within("distil.seeds", file.seeds.unwrap_or(3), "at least 1", |&seeds| seeds >= 1)?;
        let bases = file.bases.clone().unwrap_or_default();
        within("distil.bases", bases.len(), "at most as many as distil.seeds", |&count| count <= seeds)?;
        Teacher::Oneself { seeds, folds, bases }
    } else {
        Teacher::Run(teacher.into())
    };
    let weight = need("distil.weight", "the weight of the teacher's word against the labels'", file.weight)?;
    let temperature = file.temperature.unwrap_or(1.0);
    Ok(DistilRecipe {
        teacher,
        weight: within("distil.weight", weight, "a number in (0, 1]", |&weight| weight > 0.0 && unit(&weight))?,
        temperature: within("distil.temperature", temperature, "a positive number", |&t| t > 0.0 && t.is_finite())?,
        calibrated: file.calibrated.unwrap_or(false),
    })
}

pub(super) fn distil_file(recipe: &DistilRecipe) -> DistilFile {
    let (teacher, seeds, folds, bases) = match &recipe.teacher {
        Teacher::Oneself { seeds, folds, bases } => (ONESELF.to_owned(), Some(*seeds), *folds, bases.clone()),
        Teacher::Run(folder) => (folder.display().to_string(), None, None, Vec::new()),
    };
    DistilFile {
        teacher: Some(teacher),
        seeds,
        folds,
        bases: Some(bases).filter(|bases| !bases.is_empty()),
        weight: Some(recipe.weight),
        temperature: Some(recipe.temperature),
        calibrated: Some(recipe.calibrated),
    }
}
