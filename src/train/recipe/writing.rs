//! `[generation]`: a language model that writes its labels, and how it is asked; typed to resolved and back.

use serde_json::{Map, Value};

use super::RecipeError;
use super::file::GenerationFile;
use super::resolve::{Resolved, need, unless, value, within};

/// `[generation]`: the model writes its labels as a JSON list. A head that scores them when left out.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationRecipe {
    /// How it is asked.
    pub asked: Asked,
    /// `markers`: control tokens that the tokenizer must know beside the end's; none by default.
    pub markers: Vec<String>,
    /// `beams`: lists of labels followed at a time when labels are scored; 64 by default.
    pub beams: usize,
    /// `negligible`: lists whose share of the probability is below this are left alone; 0 by default.
    pub negligible: f64,
}

/// What stands around a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// `prompt` as it is.
    Plain {
        /// `prompt`: holds `{text}` once, and may hold `{labels}`.
        prompt: String,
        /// `end`: the control token that ends an answer.
        end: String,
    },
    /// `chat = true`: `prompt` is what the user says, and the checkpoint's chat template does the rest.
    Chat {
        /// `prompt`.
        prompt: String,
        /// `system`: what the system says first; nothing of ours by default, which some templates
        /// put something in place of.
        system: Option<String>,
        /// `date`: the day that a template may write, `YYYY-MM-DD`.
        date: Option<String>,
        /// `variables`: what else the template asks for, by name.
        variables: Map<String, Value>,
        /// `end`: that of the checkpoint by default.
        end: Option<String>,
    },
}

pub(super) fn generation(file: &GenerationFile) -> Resolved<GenerationRecipe> {
    let chat = file.chat.unwrap_or(false);
    let when = "generation.chat is true";
    unless(chat, "generation.system", when, file.system.is_some())?;
    unless(chat, "generation.date", when, file.date.is_some())?;
    unless(chat, "generation.variables", when, file.variables.is_some())?;
    let prompt = need("generation.prompt", "what the model is asked, with {text} once and perhaps {labels}", file.prompt.clone())?;
    let texts = prompt.matches("{text}").count();
    if texts != 1 {
        return Err(value("generation.prompt", "a prompt that holds {text} once", format!("one that holds it {texts} times")));
    }
    let asked = if chat {
        let variables = file.variables.as_ref().map(serde_json::to_value).transpose();
        let Some(Value::Object(variables)) =
            variables.map_err(|error| value("generation.variables", "a table of plain values", error))?.or_else(|| Some(Map::new().into()))
        else {
            return Err(value("generation.variables", "a table of plain values", "none"));
        };
        Asked::Chat { prompt, system: file.system.clone(), date: file.date.clone(), variables, end: file.end.clone() }
    } else {
        Asked::Plain { prompt, end: need("generation.end", "the control token that ends an answer", file.end.clone())? }
    };
    Ok(GenerationRecipe {
        asked,
        markers: file.markers.clone().unwrap_or_default(),
        beams: within("generation.beams", file.beams.unwrap_or(64), "1 to 4096", |beams| (1..=4096).contains(beams))?,
        negligible: within("generation.negligible", file.negligible.unwrap_or(0.0), "a number in [0, 1)", |share| {
            (0.0..1.0).contains(share)
        })?,
    })
}

pub(super) fn generation_file(recipe: &GenerationRecipe) -> GenerationFile {
    let rest = GenerationFile {
        markers: Some(recipe.markers.clone()),
        beams: Some(recipe.beams),
        negligible: Some(recipe.negligible),
        ..GenerationFile::default()
    };
    match recipe.asked.clone() {
        Asked::Plain { prompt, end } => GenerationFile { chat: Some(false), prompt: Some(prompt), end: Some(end), ..rest },
        Asked::Chat { prompt, system, date, variables, end } => GenerationFile {
            chat: Some(true),
            prompt: Some(prompt),
            system,
            date,
            variables: toml::Table::try_from(&variables).ok().filter(|variables| !variables.is_empty()),
            end,
            ..rest
        },
    }
}

/// What a recipe may not hold beside `[generation]` or `[adapter]`, and why.
pub(super) fn beside(recipe: &super::Recipe) -> Result<(), RecipeError> {
    let elsewhere =
        [("stages", !recipe.stages.is_empty()), ("multitask", !recipe.multitask.is_empty()), ("distil", recipe.distil.is_some())];
    for (key, set) in elsewhere {
        unless(recipe.generation.is_none(), key, "there is no [generation]", set)?;
        unless(recipe.adapter.is_none(), key, "there is no [adapter]", set)?;
    }
    let Some(_) = &recipe.generation else { return Ok(()) };
    let plain = super::learning::loss(&super::file::LossFile::default())?;
    let reason = "there is no [generation]: a model that writes learns the tokens of its answers";
    unless(recipe.loss == plain, "loss", reason, true)?;
    let last = "last_token, which is where a model that writes is asked";
    within("model.pooling", format!("{:?}", recipe.model.pooling), last, |_| recipe.model.pooling == crate::spec::Pooling::LastToken)?;
    Ok(())
}
