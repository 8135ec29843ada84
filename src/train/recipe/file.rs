//! A recipe as typed: every key optional, no key unknown. The twin of [`Recipe`](super::Recipe) on
//! disk, both as read and as echoed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::adapting::{AdapterName, BiasName, StorageName, TargetsFile};
use super::structure::{FitName, SplitName};
use super::{DecayScope, PhaseStart, Restore, Selection};
use crate::decide::CalibratorKind;
use crate::decide::fit::Objective;
use crate::spec::{Pooling, Precision};
use crate::text::Normalization;
use crate::train::data::DataFormat;

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($key:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $name { $(#[serde(skip_serializing_if = "Option::is_none")] pub(super) $key: Option<$type>,)* }

        impl $name {
            pub(super) const KEYS: &[&str] = &[$(stringify!($key)),*];
        }
    };
}

section!(
    /// What is fine-tuned.
    ModelFile { base: String, name: String, licence: String, pooling: Pooling, max_length: usize, }
);
section!(
    /// What it is fine-tuned on.
    DataFile {
        description: String,
        format: DataFormat,
        train: PathBuf,
        dev: PathBuf,
        labels: Vec<String>,
        normalization: Normalization,
        rows: usize,
    }
);
section!(
    /// How rows are held out.
    FoldsFile {
        kind: SplitName,
        k: usize,
        only: usize,
        fraction: f64,
        stratify: bool,
        seed: u64,
        trained_rows: usize,
        held_out_rows: usize,
    }
);
section!(
    /// Which model ships.
    FinalFile { fit: FitName, include_dev: bool, }
);
section!(
    /// The same run under other seeds.
    RepeatFile { seeds: Vec<u64>, }
);
section!(
    /// The loss and its weights.
    LossFile {
        kind: LossName,
        gamma: f64,
        gamma_positive: f64,
        gamma_negative: f64,
        margin: f64,
        smoothing: f64,
        r_drop: f64,
        weighting: WeightingName,
        cap: f64,
        power: f64,
    }
);
section!(
    /// `AdamW` and clipping.
    OptimizerFile {
        lr: f64,
        head_lr: f64,
        layer_decay: f64,
        weight_decay: f64,
        decay: DecayScope,
        betas: [f64; 2],
        eps: f64,
        clip: f64,
    }
);
section!(
    /// The learning rate over the run.
    ScheduleFile { kind: ScheduleName, warmup: Count, factor: f64, patience: usize, }
);
section!(
    /// One phase after the first.
    PhaseFile {
        start: PhaseStart,
        epochs: usize,
        lr: f64,
        schedule: ScheduleName,
        warmup: Count,
        factor: f64,
        patience: usize,
    }
);
section!(
    /// The loop.
    TrainFile {
        epochs: usize,
        batch: usize,
        accumulation: usize,
        length_window: usize,
        eval_every: u64,
        checkpoint_every: u64,
        select: Selection,
        restore: Restore,
        seed: u64,
        shards: usize,
        ema: f64,
        swa: f64,
        checkpointing: bool,
    }
);
section!(
    /// When to stop before the last epoch.
    EarlyStoppingFile { patience: usize, min_delta: f64, }
);
section!(
    /// Data beside a run's own.
    SetFile {
        name: String,
        licence: String,
        format: DataFormat,
        path: PathBuf,
        labels: Vec<String>,
        rows: usize,
        weight: f64,
    }
);
section!(
    /// A fit before the run's own.
    StageFile {
        kind: StageName,
        epochs: usize,
        lr: f64,
        batch: usize,
        seed: u64,
        probability: f64,
        loss: LossFile,
        data: Vec<SetFile>,
    }
);
section!(
    /// Soft labels.
    DistilFile { teacher: String, seeds: usize, folds: usize, bases: Vec<String>, weight: f64, temperature: f64, calibrated: bool, }
);
section!(
    /// A low-rank adapter in place of all weights.
    AdapterFile {
        kind: AdapterName,
        rank: usize,
        alpha: f64,
        dropout: f64,
        rs_lora: bool,
        targets: TargetsFile,
        bias: BiasName,
        modules_to_save: Vec<String>,
    }
);
section!(
    /// How the frozen base is held.
    QuantizationFile { storage: StorageName, double: bool, }
);
section!(
    /// How a language model is asked for its labels.
    GenerationFile {
        prompt: String,
        chat: bool,
        system: String,
        date: String,
        variables: toml::Table,
        end: String,
        markers: Vec<String>,
        beams: usize,
        negligible: f64,
    }
);
section!(
    /// How logits become probabilities.
    CalibrationFile { kind: CalibratorKind, }
);
section!(
    /// How probabilities become labels.
    ThresholdsFile { policy: PolicyName, value: f64, shrink: f64, objective: Objective, }
);
section!(
    /// What is shipped.
    BundleFile { name: String, version: String, out: PathBuf, golden: PathBuf, precision: Precision, adapter: bool, }
);
section!(
    /// Where else figures go.
    TrackingFile { tensorboard: bool, mlflow: bool, }
);

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RecipeFile {
    pub(super) model: ModelFile,
    pub(super) data: DataFile,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) stages: Vec<StageFile>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) multitask: Vec<SetFile>,
    pub(super) folds: FoldsFile,
    #[serde(rename = "final")]
    pub(super) last: FinalFile,
    pub(super) repeat: RepeatFile,
    pub(super) loss: LossFile,
    pub(super) optimizer: OptimizerFile,
    pub(super) schedule: ScheduleFile,
    pub(super) train: TrainFile,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) phases: Vec<PhaseFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) early_stopping: Option<EarlyStoppingFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) distil: Option<DistilFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) adapter: Option<AdapterFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) quantization: Option<QuantizationFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) generation: Option<GenerationFile>,
    pub(super) calibration: CalibrationFile,
    pub(super) thresholds: ThresholdsFile,
    pub(super) bundle: BundleFile,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tracking: Option<TrackingFile>,
}

/// Every section and its keys, for errors that suggest, the ones mostly left out last. A section inside another is named after it;
/// one that may stand several times, `[[so]]`, is named once.
pub(super) const SECTIONS: &[(&str, &[&str])] = &[
    ("model", ModelFile::KEYS),
    ("data", DataFile::KEYS),
    ("folds", FoldsFile::KEYS),
    ("final", FinalFile::KEYS),
    ("repeat", RepeatFile::KEYS),
    ("loss", LossFile::KEYS),
    ("optimizer", OptimizerFile::KEYS),
    ("schedule", ScheduleFile::KEYS),
    ("train", TrainFile::KEYS),
    ("phases", PhaseFile::KEYS),
    ("early_stopping", EarlyStoppingFile::KEYS),
    ("distil", DistilFile::KEYS),
    ("adapter", AdapterFile::KEYS),
    ("quantization", QuantizationFile::KEYS),
    ("generation", GenerationFile::KEYS),
    ("calibration", CalibrationFile::KEYS),
    ("thresholds", ThresholdsFile::KEYS),
    ("bundle", BundleFile::KEYS),
    ("tracking", TrackingFile::KEYS),
    ("stages", StageFile::KEYS),
    ("stages.loss", LossFile::KEYS),
    ("stages.data", SetFile::KEYS),
    ("multitask", SetFile::KEYS),
];

/// `stages.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StageName {
    Classify,
    MaskedLm,
}

/// `loss.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LossName {
    CrossEntropy,
    Focal,
    Asymmetric,
}

/// `loss.weighting`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WeightingName {
    None,
    ClassWeight,
    PosWeight,
}

/// `schedule.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ScheduleName {
    Constant,
    Linear,
    Cosine,
    Plateau,
}

/// `thresholds.policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PolicyName {
    Fixed,
    GlobalF1,
    PerLabelF1,
    ExpectedF1,
    TargetPrecision,
    TargetRecall,
    Choose,
}

/// A whole number of steps, or a share of them all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Count {
    Steps(u64),
    Ratio(f64),
}
