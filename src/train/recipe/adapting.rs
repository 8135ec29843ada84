//! `[adapter]` and `[quantization]`: a low-rank adapter in place of all weights, over a base that is held
//! in fewer bits; typed to resolved and back.

use serde::{Deserialize, Serialize};

use super::file::{AdapterFile, QuantizationFile};
use super::resolve::{Resolved, need, unless, value, within};
use crate::nn::{LoraBias, LoraConfig, Storage, Targets};

/// The word for every dense layer but the head.
const ALL_LINEAR: &str = "all-linear";

/// `adapter.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AdapterName {
    Lora,
}

/// `adapter.bias`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum BiasName {
    None,
    All,
    LoraOnly,
}

/// `adapter.targets`: one word, or the ends of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum TargetsFile {
    Word(String),
    Names(Vec<String>),
}

/// `quantization.storage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum StorageName {
    None,
    Bf16,
    Int8,
    Nf4,
}

pub(super) fn adapter(file: &AdapterFile) -> Resolved<LoraConfig> {
    let AdapterName::Lora = file.kind.unwrap_or(AdapterName::Lora);
    let dropout = within("adapter.dropout", file.dropout.unwrap_or(0.0), "a number in [0, 1)", |p| (0.0..1.0).contains(p))?;
    let alpha = need("adapter.alpha", "what the adapter is scaled by, before it is divided by its rank", file.alpha)?;
    Ok(LoraConfig {
        rank: within("adapter.rank", need("adapter.rank", "the rank of the adapter's matrices", file.rank)?, "at least 1", |&rank| {
            rank >= 1
        })?,
        alpha: within("adapter.alpha", alpha, "a positive number", |&alpha| alpha > 0.0 && alpha.is_finite())?,
        dropout,
        rs_lora: file.rs_lora.unwrap_or(false),
        targets: targets(file.targets.as_ref())?,
        bias: match file.bias.unwrap_or(BiasName::None) {
            BiasName::None => LoraBias::None,
            BiasName::All => LoraBias::All,
            BiasName::LoraOnly => LoraBias::LoraOnly,
        },
        modules_to_save: file.modules_to_save.clone().unwrap_or_default(),
    })
}

fn targets(file: Option<&TargetsFile>) -> Resolved<Targets> {
    let refused = |found: &str| Err(value("adapter.targets", "\"all-linear\", or a list of at least one layer's name or its end", found));
    match file {
        None => Ok(Targets::AllLinear),
        Some(TargetsFile::Word(word)) if word == ALL_LINEAR => Ok(Targets::AllLinear),
        Some(TargetsFile::Word(word)) => refused(word),
        Some(TargetsFile::Names(names)) if names.is_empty() || names.iter().any(String::is_empty) => refused("an empty one"),
        Some(TargetsFile::Names(names)) => Ok(Targets::Names(names.clone())),
    }
}

/// How the frozen base is held; only an adapter leaves it frozen.
pub(super) fn storage(file: Option<&QuantizationFile>, adapted: bool) -> Resolved<Storage> {
    let Some(file) = file else { return Ok(Storage::F32) };
    let name = need("quantization.storage", "nf4, int8, bf16 or none", file.storage)?;
    unless(name == StorageName::Nf4, "quantization.double", "quantization.storage is nf4", file.double.is_some())?;
    unless(adapted, "quantization.storage", "there is an [adapter], which leaves the base frozen", name != StorageName::None)?;
    Ok(match name {
        StorageName::None => Storage::F32,
        StorageName::Bf16 => Storage::Bf16,
        StorageName::Int8 => Storage::Int8,
        StorageName::Nf4 => Storage::Nf4 { double: file.double.unwrap_or(true) },
    })
}

pub(super) fn adapter_file(config: &LoraConfig) -> AdapterFile {
    AdapterFile {
        kind: Some(AdapterName::Lora),
        rank: Some(config.rank),
        alpha: Some(config.alpha),
        dropout: Some(config.dropout),
        rs_lora: Some(config.rs_lora),
        targets: Some(match &config.targets {
            Targets::AllLinear => TargetsFile::Word(ALL_LINEAR.to_owned()),
            Targets::Names(names) => TargetsFile::Names(names.clone()),
        }),
        bias: Some(match config.bias {
            LoraBias::None => BiasName::None,
            LoraBias::All => BiasName::All,
            LoraBias::LoraOnly => BiasName::LoraOnly,
        }),
        modules_to_save: Some(config.modules_to_save.clone()),
    }
}

/// Nothing for a base that is held as it is.
pub(super) fn storage_file(storage: Storage) -> Option<QuantizationFile> {
    let (name, double) = match storage {
        Storage::F32 => return None,
        Storage::Bf16 => (StorageName::Bf16, None),
        Storage::Int8 => (StorageName::Int8, None),
        Storage::Nf4 { double } => (StorageName::Nf4, Some(double)),
    };
    Some(QuantizationFile { storage: Some(name), double })
}
