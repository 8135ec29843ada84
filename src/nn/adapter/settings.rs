//! `adapter_config.json`: read strictly, written whole.
//!
//! The file names every variant of the method that `peft` knows. Those that this crate computes are
//! read; what only tells where an adapter came from is kept or ignored; any other key has to stand at a
//! value that switches it off, so that no variant is silently taken for the plain one.

use serde_json::{Map, Value, json};

use super::{LoraBias, LoraConfig, Targets};
use crate::nn::NnError;

/// What an adapter was trained for (`task_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeftTask {
    /// `SEQ_CLS`.
    SequenceClassification,
    /// `CAUSAL_LM`.
    CausalLm,
}

/// Keys that change nothing about an adapter that is already trained.
const IGNORED: [&str; 9] = [
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "task_type",
];

/// Keys that are read.
const READ: [&str; 8] = ["bias", "init_lora_weights", "lora_alpha", "lora_dropout", "modules_to_save", "peft_type", "r", "target_modules"];

/// The other one, whose `false` may be absent.
const RANK_STABLE: &str = "use_rslora";

/// Beginnings that change the base's own weights, from which an adapter's file then differs.
const CHANGES_BASE: [&str; 5] = ["corda", "loftq", "olora", "pissa", "lora_ga"];

impl PeftTask {
    fn name(self) -> &'static str {
        match self {
            Self::SequenceClassification => "SEQ_CLS",
            Self::CausalLm => "CAUSAL_LM",
        }
    }
}

/// What an adapter's configuration says: the base it names, its settings and its task.
pub(super) fn parse(text: &str) -> Result<(Option<String>, LoraConfig, Option<PeftTask>), NnError> {
    let config = "adapter_config.json";
    let value: Value = serde_json::from_str(text).map_err(|error| NnError::adapter(config, "JSON", error.to_string()))?;
    let Value::Object(map) = value else { return Err(NnError::adapter(config, "an object", "another value")) };
    refuse_variants(&map)?;
    let keys = Keys(&map);
    let bias = keys.one_of("bias", &[("none", LoraBias::None), ("all", LoraBias::All), ("lora_only", LoraBias::LoraOnly)])?;
    let task = match map.get("task_type") {
        None | Some(Value::Null) => None,
        Some(_) => {
            let tasks = [PeftTask::SequenceClassification, PeftTask::CausalLm];
            Some(keys.one_of("task_type", &tasks.map(|task| (task.name(), task)))?)
        }
    };
    let lora = LoraConfig {
        rank: keys.number("r")? as usize,
        alpha: keys.number("lora_alpha")?,
        dropout: keys.number("lora_dropout")?,
        rs_lora: map.get(RANK_STABLE).and_then(Value::as_bool).unwrap_or(false),
        targets: targets(&keys)?,
        bias,
        modules_to_save: keys.names("modules_to_save")?.unwrap_or_default(),
    };
    lora.check()?;
    Ok((map.get("base_model_name_or_path").and_then(Value::as_str).map(str::to_owned), lora, task))
}

/// The file that `peft` reads.
pub(super) fn render(base: Option<&str>, lora: &LoraConfig, task: Option<PeftTask>, layers: &[&str]) -> String {
    let bias = match lora.bias {
        LoraBias::None => "none",
        LoraBias::All => "all",
        LoraBias::LoraOnly => "lora_only",
    };
    // What "all" would mean depends on the base that is at hand then, so all are named.
    let targets = match &lora.targets {
        Targets::Names(names) => json!(names),
        Targets::AllLinear => json!(layers),
    };
    let modules = if lora.modules_to_save.is_empty() { Value::Null } else { json!(lora.modules_to_save) };
    let value = json!({
        "alpha_pattern": {},
        "auto_mapping": null,
        "base_model_name_or_path": base,
        "bias": bias,
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "layers_pattern": null,
        "layers_to_transform": null,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "modules_to_save": modules,
        "peft_type": "LORA",
        "r": lora.rank,
        "rank_pattern": {},
        "revision": null,
        "target_modules": targets,
        "task_type": task.map(PeftTask::name),
        "use_dora": false,
        RANK_STABLE: lora.rs_lora,
    });
    format!("{value:#}\n")
}

/// Refuses every key that is neither known nor switched off.
fn refuse_variants(map: &Map<String, Value>) -> Result<(), NnError> {
    if map.get("peft_type").and_then(Value::as_str) != Some("LORA") {
        return Err(NnError::adapter("peft_type", "LORA", told(map.get("peft_type"))));
    }
    let beginning = map.get("init_lora_weights").and_then(Value::as_str).unwrap_or_default();
    if CHANGES_BASE.iter().any(|name| beginning.starts_with(name)) {
        let expected =
            "a beginning that leaves the base as it was (convert the adapter with peft's path_initial_model_for_weight_conversion)";
        return Err(NnError::adapter("init_lora_weights", expected, beginning));
    }
    for (key, value) in map {
        let known = READ.contains(&key.as_str()) || IGNORED.contains(&key.as_str()) || key == RANK_STABLE;
        let off = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(values) => values.is_empty(),
            Value::Object(values) => values.is_empty(),
            _ => false,
        };
        if !known && !off {
            return Err(NnError::adapter(key, "switched off: this variant is not computed here", told(Some(value))));
        }
    }
    Ok(())
}

fn targets(keys: &Keys<'_>) -> Result<Targets, NnError> {
    match keys.0.get("target_modules") {
        Some(Value::String(name)) if name.eq_ignore_ascii_case("all-linear") => Ok(Targets::AllLinear),
        Some(Value::String(name)) => Err(NnError::adapter("target_modules", "a list of names or all-linear: patterns are not read", name)),
        _ => match keys.names("target_modules")? {
            Some(names) if !names.is_empty() => Ok(Targets::Names(names)),
            _ => Err(NnError::adapter("target_modules", "at least one name", "none")),
        },
    }
}

fn told(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

/// The keys of a configuration.
struct Keys<'a>(&'a Map<String, Value>);

impl Keys<'_> {
    fn number(&self, key: &str) -> Result<f64, NnError> {
        let value = self.0.get(key);
        value
            .and_then(Value::as_f64)
            .filter(|number| *number >= 0.0)
            .ok_or_else(|| NnError::adapter(key, "a number of at least 0", told(value)))
    }

    fn one_of<T: Copy>(&self, key: &str, known: &[(&str, T)]) -> Result<T, NnError> {
        let value = self.0.get(key);
        let found = known.iter().find(|(name, _)| value.and_then(Value::as_str) == Some(name));
        let expected = || known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" or ");
        found.map(|(_, value)| *value).ok_or_else(|| NnError::adapter(key, expected(), told(value)))
    }

    /// A list of names without repetition, or nothing for null.
    fn names(&self, key: &str) -> Result<Option<Vec<String>>, NnError> {
        let value = match self.0.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value,
        };
        let refused = || NnError::adapter(key, "a list of names", value.to_string());
        let mut names = Vec::new();
        for name in value.as_array().ok_or_else(refused)? {
            let name = name.as_str().filter(|name| !name.is_empty()).ok_or_else(refused)?;
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        Ok(Some(names))
    }
}
