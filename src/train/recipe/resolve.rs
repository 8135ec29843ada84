//! From typed to resolved, and back for the echo.

use std::fmt::Display;

use super::file::{
    BundleFile, CalibrationFile, Count, DataFile, EarlyStoppingFile, ModelFile, OptimizerFile, RecipeFile, RepeatFile, ScheduleFile,
    ScheduleName, TrackingFile, TrainFile,
};
use super::phases::{phases, phases_file};
use super::structure::{self, Split, final_file, final_fit, folds_file, repeat};
use super::{
    Averaging, BundleRecipe, DataRecipe, DecayScope, EarlyStopping, ModelRecipe, OptimizerRecipe, Recipe, RecipeError, Restore, Selection,
    ThresholdRule, TrackingRecipe, TrainRecipe, adapting, further, learning, thresholds, writing,
};
use crate::decide::CalibratorKind;
use crate::spec::{LabelSet, Pooling, Precision};
use crate::text::Normalization;
use crate::train::data::DataFormat;
use crate::train::schedule::{ScheduleKind, Warmup};

pub(super) type Resolved<T> = Result<T, RecipeError>;

pub(super) fn recipe(file: RecipeFile) -> Resolved<Recipe> {
    let recipe = each(file)?;
    // A choice of thresholds is reported by choices without one fold, which need two others.
    if let (ThresholdRule::Choose(_), Split::Stratified { k, only: None }) = (recipe.thresholds, recipe.folds.split) {
        within("folds.k", k, "at least 3, because thresholds.policy is choose", |&k| k >= 3)?;
    }
    writing::beside(&recipe)?;
    Ok(recipe)
}

fn each(file: RecipeFile) -> Resolved<Recipe> {
    let folds = structure::folds(&file.folds)?;
    let (optimizer, train) = (optimizer(&file.optimizer)?, train(&file.train, file.early_stopping.as_ref())?);
    let stages = file.stages.into_iter().map(|stage| further::stage(stage, &optimizer, &train)).collect::<Resolved<_>>()?;
    let adapter = file.adapter.as_ref().map(adapting::adapter).transpose()?;
    let adapted = adapter.is_some();
    Ok(Recipe {
        model: model(file.model, file.generation.is_some())?,
        folds,
        final_fit: final_fit(&file.last, &folds.split, file.data.dev.is_some())?,
        data: data(file.data)?,
        repeat: repeat(file.repeat.seeds, seed("train.seed", file.train.seed)?)?,
        loss: learning::loss(&file.loss)?,
        stages,
        multitask: file.multitask.into_iter().map(further::set).collect::<Resolved<_>>()?,
        optimizer,
        schedule: schedule(&file.schedule)?,
        warmup: warmup("schedule.warmup", file.schedule.warmup)?,
        phases: phases(&file.phases, optimizer.lr, schedule(&file.schedule)?)?,
        train,
        distil: file.distil.as_ref().map(learning::distil).transpose()?,
        storage: adapting::storage(file.quantization.as_ref(), adapted)?,
        adapter,
        generation: file.generation.as_ref().map(writing::generation).transpose()?,
        calibration: file.calibration.kind.unwrap_or(CalibratorKind::Sigmoid),
        thresholds: thresholds::resolve(&file.thresholds)?,
        bundle: bundle(file.bundle, adapted)?,
        tracking: tracking(file.tracking.unwrap_or_default()),
    })
}

fn model(file: ModelFile, writes: bool) -> Resolved<ModelRecipe> {
    let base = need("model.base", "a Hugging Face folder, a bundle, or hf://owner/name@revision", file.base)?;
    let base = within("model.base", base, "a path or hf://owner/name@revision", |base| !base.trim().is_empty())?;
    let last = base.trim_end_matches('/').rsplit('/').next().unwrap_or(&base).to_owned();
    Ok(ModelRecipe {
        base,
        name: file.name.unwrap_or(last),
        licence: file.licence.unwrap_or_else(|| "unknown".to_owned()),
        pooling: file.pooling.unwrap_or(if writes { Pooling::LastToken } else { Pooling::Mean }),
        max_length: within("model.max_length", file.max_length.unwrap_or(128), "4 to 65536 tokens", |n| (4..=65536).contains(n))?,
    })
}

fn data(file: DataFile) -> Resolved<DataRecipe> {
    let names = need("data.labels", "the label names in order", file.labels)?;
    let labels = LabelSet::new(names).map_err(|error| value("data.labels", "distinct label names", error))?;
    let train = need("data.train", "the path of the training file", file.train)?;
    let file_name = train.file_name().unwrap_or(train.as_os_str()).to_string_lossy().into_owned();
    Ok(DataRecipe {
        description: file.description.unwrap_or(file_name),
        format: need("data.format", DataFormat::EXPECTED, file.format)?,
        train,
        dev: file.dev,
        labels,
        normalization: file.normalization.unwrap_or(Normalization::None),
        rows: file.rows.map(|rows| within("data.rows", rows, "at least 2", |&rows| rows >= 2)).transpose()?,
    })
}

fn optimizer(file: &OptimizerFile) -> Resolved<OptimizerRecipe> {
    let lr = need("optimizer.lr", "the peak learning rate", file.lr)?;
    let betas = file.betas.unwrap_or([0.9, 0.999]);
    let rate = |key, lr: f64| within(key, lr, "a number in (0, 1]", |&lr| lr > 0.0 && lr <= 1.0);
    Ok(OptimizerRecipe {
        lr: rate("optimizer.lr", lr)?,
        head_lr: rate("optimizer.head_lr", file.head_lr.unwrap_or(lr))?,
        layer_decay: rate("optimizer.layer_decay", file.layer_decay.unwrap_or(1.0))?,
        weight_decay: within("optimizer.weight_decay", file.weight_decay.unwrap_or(0.01), "a number in [0, 1]", unit)?,
        decay: file.decay.unwrap_or(DecayScope::Matrices),
        betas: [
            within("optimizer.betas", betas[0], "numbers in [0, 1)", |&beta| (0.0..1.0).contains(&beta))?,
            within("optimizer.betas", betas[1], "numbers in [0, 1)", |&beta| (0.0..1.0).contains(&beta))?,
        ],
        eps: within("optimizer.eps", file.eps.unwrap_or(1e-8), "a positive number", |&eps| eps > 0.0 && eps.is_finite())?,
        clip: within("optimizer.clip", file.clip.unwrap_or(1.0), "a positive number, or inf for none", |&clip| clip > 0.0)?,
    })
}

pub(super) fn schedule(file: &ScheduleFile) -> Resolved<ScheduleKind> {
    let kind = file.kind.unwrap_or(ScheduleName::Linear);
    if kind != ScheduleName::Plateau && (file.factor.is_some() || file.patience.is_some()) {
        return Err(value("schedule.factor and schedule.patience", "no value unless schedule.kind is plateau", "set"));
    }
    Ok(match kind {
        ScheduleName::Constant => ScheduleKind::Constant,
        ScheduleName::Linear => ScheduleKind::Linear,
        ScheduleName::Cosine => ScheduleKind::Cosine,
        ScheduleName::Plateau => ScheduleKind::Plateau {
            factor: within("schedule.factor", file.factor.unwrap_or(0.1), "a number in (0, 1)", |&f| f > 0.0 && f < 1.0)?,
            patience: file.patience.unwrap_or(10),
        },
    })
}

pub(super) fn warmup(key: &'static str, count: Option<Count>) -> Resolved<Warmup> {
    match count.unwrap_or(Count::Ratio(0.0)) {
        Count::Steps(steps) => Ok(Warmup::Steps(steps)),
        Count::Ratio(ratio) => {
            let expected = "a share in [0, 1) or a whole number of steps";
            within(key, ratio, expected, |ratio| (0.0..1.0).contains(ratio)).map(Warmup::Ratio)
        }
    }
}

fn train(file: &TrainFile, early: Option<&EarlyStoppingFile>) -> Resolved<TrainRecipe> {
    let some = "at least 1";
    let count = |key, given: Option<usize>, default| within(key, given.unwrap_or(default), some, |&n| n >= 1);
    let early_stopping = early.map(|early| {
        let min_delta = early.min_delta.unwrap_or(0.0);
        Ok(EarlyStopping {
            patience: need("early_stopping.patience", "evaluations without improvement that are borne", early.patience)?,
            min_delta: within("early_stopping.min_delta", min_delta, "zero or more", |&d| d >= 0.0 && d.is_finite())?,
        })
    });
    Ok(TrainRecipe {
        epochs: within("train.epochs", need("train.epochs", "passes over the rows", file.epochs)?, some, |&n| n >= 1)?,
        batch: count("train.batch", file.batch, 32)?,
        accumulation: count("train.accumulation", file.accumulation, 1)?,
        length_window: count("train.length_window", file.length_window, 8)?,
        eval_every: file.eval_every.unwrap_or(0),
        checkpoint_every: within("train.checkpoint_every", file.checkpoint_every.unwrap_or(100), some, |&n| n >= 1)?,
        select: file.select.unwrap_or(Selection::MacroF1),
        restore: file.restore.unwrap_or(Restore::Last),
        early_stopping: early_stopping.transpose()?,
        seed: seed("train.seed", file.seed)?,
        shards: within("train.shards", file.shards.unwrap_or(2), "1 to 256", |n| (1..=256).contains(n))?,
        averaging: averaging(file)?,
        checkpointing: file.checkpointing.unwrap_or(false),
    })
}

fn averaging(file: &TrainFile) -> Resolved<Averaging> {
    let share = |key, number: f64| within(key, number, "a number in (0, 1)", |&n| n > 0.0 && n < 1.0);
    match (file.ema, file.swa) {
        (None, None) => Ok(Averaging::None),
        (Some(decay), None) => share("train.ema", decay).map(Averaging::Exponential),
        (None, Some(tail)) => share("train.swa", tail).map(Averaging::Tail),
        (Some(_), Some(_)) => Err(value("train.swa", "no value beside train.ema: one average or the other", "set")),
    }
}

fn bundle(file: BundleFile, adapted: bool) -> Resolved<BundleRecipe> {
    let adapter = file.adapter.unwrap_or(false);
    unless(adapted, "bundle.adapter", "there is an [adapter]", adapter)?;
    Ok(BundleRecipe {
        name: need("bundle.name", "the model's name", file.name)?,
        version: need("bundle.version", "the model's version", file.version)?,
        out: need("bundle.out", "the folder that the bundle becomes", file.out)?,
        golden: need("bundle.golden", "a file of golden texts, one a line", file.golden)?,
        precision: file.precision.unwrap_or(Precision::Fp32),
        adapter,
    })
}

fn tracking(file: TrackingFile) -> TrackingRecipe {
    TrackingRecipe { tensorboard: file.tensorboard.unwrap_or(false), mlflow: file.mlflow.unwrap_or(false) }
}

pub(super) fn need<T>(key: &'static str, expected: &'static str, given: Option<T>) -> Resolved<T> {
    given.ok_or(RecipeError::Missing { key, expected })
}

/// Refuses a key that is set and means nothing here.
pub(super) fn unless(means: bool, key: &'static str, when: &str, set: bool) -> Resolved<()> {
    if set && !means { Err(value(key, &format!("no value unless {when}"), "set")) } else { Ok(()) }
}

pub(super) fn within<T: Display>(key: &'static str, given: T, expected: &str, holds: impl Fn(&T) -> bool) -> Resolved<T> {
    if holds(&given) { Ok(given) } else { Err(value(key, expected, given)) }
}

/// TOML integers are signed, so that a larger seed could not be echoed.
pub(super) fn seed(key: &'static str, given: Option<u64>) -> Resolved<u64> {
    within(key, given.unwrap_or(42), "at most 9223372036854775807", |&seed| i64::try_from(seed).is_ok())
}

pub(super) fn unit(number: &f64) -> bool {
    (0.0..=1.0).contains(number)
}

pub(super) fn value(key: &'static str, expected: &str, found: impl Display) -> RecipeError {
    RecipeError::Value { key, expected: expected.to_owned(), found: found.to_string() }
}

/// Every key written out.
pub(super) fn file(recipe: &Recipe) -> RecipeFile {
    RecipeFile {
        model: ModelFile {
            base: Some(recipe.model.base.clone()),
            name: Some(recipe.model.name.clone()),
            licence: Some(recipe.model.licence.clone()),
            pooling: Some(recipe.model.pooling),
            max_length: Some(recipe.model.max_length),
        },
        data: DataFile {
            description: Some(recipe.data.description.clone()),
            format: Some(recipe.data.format),
            train: Some(recipe.data.train.clone()),
            dev: recipe.data.dev.clone(),
            labels: Some(recipe.data.labels.names().to_vec()),
            normalization: Some(recipe.data.normalization),
            rows: recipe.data.rows,
        },
        stages: recipe.stages.iter().map(further::stage_file).collect(),
        multitask: recipe.multitask.iter().map(further::set_file).collect(),
        folds: folds_file(&recipe.folds),
        last: final_file(recipe.final_fit),
        repeat: RepeatFile { seeds: Some(recipe.repeat.clone()) },
        loss: learning::loss_file(recipe.loss),
        optimizer: OptimizerFile {
            lr: Some(recipe.optimizer.lr),
            head_lr: Some(recipe.optimizer.head_lr),
            layer_decay: Some(recipe.optimizer.layer_decay),
            weight_decay: Some(recipe.optimizer.weight_decay),
            decay: Some(recipe.optimizer.decay),
            betas: Some(recipe.optimizer.betas),
            eps: Some(recipe.optimizer.eps),
            clip: Some(recipe.optimizer.clip),
        },
        schedule: schedule_file(recipe.schedule, recipe.warmup),
        train: train_file(&recipe.train),
        phases: phases_file(&recipe.phases),
        early_stopping: recipe
            .train
            .early_stopping
            .map(|early| EarlyStoppingFile { patience: Some(early.patience), min_delta: Some(early.min_delta) }),
        distil: recipe.distil.as_ref().map(learning::distil_file),
        adapter: recipe.adapter.as_ref().map(adapting::adapter_file),
        quantization: adapting::storage_file(recipe.storage),
        generation: recipe.generation.as_ref().map(writing::generation_file),
        calibration: CalibrationFile { kind: Some(recipe.calibration) },
        thresholds: thresholds::file(recipe.thresholds),
        bundle: BundleFile {
            name: Some(recipe.bundle.name.clone()),
            version: Some(recipe.bundle.version.clone()),
            out: Some(recipe.bundle.out.clone()),
            golden: Some(recipe.bundle.golden.clone()),
            precision: Some(recipe.bundle.precision),
            adapter: recipe.bundle.adapter.then_some(true),
        },
        tracking: tracking_file(recipe.tracking),
    }
}

/// Nothing when nothing is tracked.
fn tracking_file(tracking: TrackingRecipe) -> Option<TrackingFile> {
    let some = tracking != TrackingRecipe::default();
    some.then_some(TrackingFile { tensorboard: Some(tracking.tensorboard), mlflow: Some(tracking.mlflow) })
}

pub(super) fn schedule_file(kind: ScheduleKind, warmup: Warmup) -> ScheduleFile {
    let warmup = Some(match warmup {
        Warmup::Ratio(ratio) => Count::Ratio(ratio),
        Warmup::Steps(steps) => Count::Steps(steps),
    });
    let plain = |kind| ScheduleFile { kind: Some(kind), warmup, factor: None, patience: None };
    match kind {
        ScheduleKind::Constant => plain(ScheduleName::Constant),
        ScheduleKind::Linear => plain(ScheduleName::Linear),
        ScheduleKind::Cosine => plain(ScheduleName::Cosine),
        ScheduleKind::Plateau { factor, patience } => {
            ScheduleFile { kind: Some(ScheduleName::Plateau), warmup, factor: Some(factor), patience: Some(patience) }
        }
    }
}

fn train_file(train: &TrainRecipe) -> TrainFile {
    TrainFile {
        epochs: Some(train.epochs),
        batch: Some(train.batch),
        accumulation: Some(train.accumulation),
        length_window: Some(train.length_window),
        eval_every: Some(train.eval_every),
        checkpoint_every: Some(train.checkpoint_every),
        select: Some(train.select),
        restore: Some(train.restore),
        seed: Some(train.seed),
        shards: Some(train.shards),
        ema: if let Averaging::Exponential(decay) = train.averaging { Some(decay) } else { None },
        swa: if let Averaging::Tail(share) = train.averaging { Some(share) } else { None },
        // Came later: a recipe without it has the hash it always had.
        checkpointing: train.checkpointing.then_some(true),
    }
}
