//! Where every fit of a run begins: the base model's files, the network and the text encoder.
//!
//! A base is a checkpoint of Hugging Face's layout, or a bundle: one of the shipped models, say, whose
//! encoder has learnt from other labels. A bundle brings along what it was fitted on, and rows that it
//! knows are refused, because nothing measured on them would be held out.

use std::path::{Path, PathBuf};

use super::base::{self, BaseError, BaseFolder, BaseSpec, HubOptions, TokenizerFile};
use super::cross::Encoded;
use super::data::Dataset;
use super::distil::{DistilRecipe, Teacher};
use super::network::{Teller, Writer};
use super::recipe::{Asked, GenerationRecipe, ModelRecipe, Recipe, locate};
use super::shards::Shards;
use super::{TrainError, files};
use crate::bundle::{BaseModel, Bundle, FurtherData, Generation, is_bundle};
use crate::model::{CausalLm, ModelConfig, SequenceClassifier};
use crate::text::{ChatTemplate, ChatTurns, LabelSpelling, Prompt, TextEncoder, bert_tokenizer_json, roberta_tokenizer_json};

const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const CHAT_TEMPLATE: &str = "chat_template.jinja";

/// A base model, read and checked against the recipe.
pub(super) struct Start {
    pub(super) config: ModelConfig,
    pub(super) config_json: Vec<u8>,
    pub(super) tokenizer_json: Vec<u8>,
    pub(super) weights: Shards,
    pub(super) network: Teller,
    pub(super) encoder: TextEncoder,
    /// What it is; its revision is the hub's commit, a bundle's id, or the hash of the weights.
    pub(super) base: BaseModel,
    /// What a bundle was fitted on; nothing for another checkpoint, which does not say.
    pub(super) learnt: Vec<FurtherData>,
}

/// A checkpoint's parts, and where they stood.
struct Checkpoint {
    config: (PathBuf, Vec<u8>),
    tokenizer: (PathBuf, Vec<u8>),
    weights: Shards,
    base: BaseModel,
    learnt: Vec<FurtherData>,
}

/// Reads the recipe's base model.
pub(super) fn start(recipe: &Recipe, current: &Path, recipe_folder: &Path, hub: &HubOptions) -> Result<Start, TrainError> {
    let spec = placed(recipe, current, recipe_folder)?;
    let checkpoint = match &spec {
        BaseSpec::Folder(path) if is_bundle(path) => bundled(recipe, path)?,
        spec => published(recipe, &base::resolve(spec, hub)?)?,
    };
    let (path, config_json) = checkpoint.config;
    let config = ModelConfig::from_json(&String::from_utf8_lossy(&config_json))
        .map_err(|source| TrainError::Config { path: path.clone(), source })?;
    let (tokenizer, tokenizer_json) = checkpoint.tokenizer;
    let (network, encoder) = match &recipe.generation {
        Some(generation) => {
            let prompt = prompt(generation, recipe, &|name| base::beside(&spec, name, hub))?;
            writer(
                recipe,
                &config,
                (&path, &tokenizer_json),
                Generation { prompt, beams: generation.beams, negligible: generation.negligible },
            )?
        }
        None => {
            let network = SequenceClassifier::new(&config, recipe.model.pooling, recipe.data.labels.len());
            let encoder = TextEncoder::from_json(&tokenizer_json, recipe.data.normalization, recipe.model.max_length)?;
            (Teller::Head(Box::new(network.map_err(|source| TrainError::Config { path: path.clone(), source })?)), encoder)
        }
    };
    let fits = |what: &str, most: usize, found: usize| {
        if found <= most { Ok(()) } else { Err(TrainError::Fit { what: what.to_owned(), expected: most, found }) }
    };
    let answer = if let Teller::Writer(writer) = &network { writer.spelling.longest() } else { 0 };
    fits(
        if answer == 0 { "tokens of model.max_length" } else { "tokens of model.max_length and the longest answer" },
        config.max_positions(),
        recipe.model.max_length + answer,
    )?;
    fits(&format!("entries of the tokenizer {}", tokenizer.display()), config.vocabulary(), encoder.vocabulary())?;
    let Checkpoint { weights, base, learnt, .. } = checkpoint;
    Ok(Start { config, config_json, tokenizer_json, weights, network, encoder, base, learnt })
}

/// What the recipe asks, made with the checkpoint's chat template where it wants that.
fn prompt(
    generation: &GenerationRecipe,
    recipe: &Recipe,
    beside: &dyn Fn(&str) -> Result<Option<PathBuf>, BaseError>,
) -> Result<Prompt, TrainError> {
    let labels = &recipe.data.labels;
    let prompt = match &generation.asked {
        Asked::Plain { prompt, end } => Prompt::plain(prompt, labels, end)?,
        Asked::Chat { prompt, system, date, variables, end } => {
            let text = |path: PathBuf| files::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let missing = || BaseError::Missing { place: recipe.model.base.clone(), expected: TOKENIZER_CONFIG.to_owned() };
            let config = text(beside(TOKENIZER_CONFIG)?.ok_or_else(missing)?)?;
            let own = beside(CHAT_TEMPLATE)?.map(text).transpose()?;
            let turns = ChatTurns { system: system.clone(), user: prompt.clone(), date: date.clone(), variables: variables.clone() };
            Prompt::chat(&ChatTemplate::new(&config, own.as_deref())?, &turns, labels, end.as_deref())?
        }
    };
    Ok(prompt.with_markers(generation.markers.clone()))
}

/// A language model that writes the labels, and the encoder that asks it.
fn writer(
    recipe: &Recipe,
    config: &ModelConfig,
    (path, tokenizer_json): (&Path, &[u8]),
    generation: Generation,
) -> Result<(Teller, TextEncoder), TrainError> {
    let network = CausalLm::new(config).map_err(|source| TrainError::Config { path: path.to_owned(), source })?;
    let encoder = TextEncoder::with_prompt(tokenizer_json, recipe.data.normalization, recipe.model.max_length, &generation.prompt)?;
    let spelling = LabelSpelling::new(&encoder, &recipe.data.labels)?;
    Ok((Teller::Writer(Box::new(Writer { network, context: config.max_positions(), spelling, generation })), encoder))
}

/// Reads the base models that the recipe's teachers begin with.
pub(super) fn teachers(
    recipe: &Recipe,
    student: &Start,
    (current, recipe_folder): (&Path, &Path),
    hub: &HubOptions,
) -> Result<Vec<Start>, TrainError> {
    let Some(DistilRecipe { teacher: Teacher::Oneself { bases, .. }, .. }) = &recipe.distil else { return Ok(Vec::new()) };
    let read = |base: &String| {
        let model = ModelRecipe { base: base.clone(), name: base.clone(), ..recipe.model.clone() };
        let found = start(&Recipe { model, ..recipe.clone() }, current, recipe_folder, hub)?;
        // Teachers are asked about the student's token ids.
        if found.tokenizer_json == student.tokenizer_json { Ok(found) } else { Err(TrainError::TeacherTokenizer { base: base.clone() }) }
    };
    bases.iter().map(read).collect()
}

impl Start {
    /// Refuses files that the base was fitted on, each by itself or both as one.
    pub(super) fn refuse_known(&self, train: &Encoded, dev: Option<&Encoded>) -> Result<(), TrainError> {
        if self.learnt.is_empty() {
            return Ok(());
        }
        let both = dev.and_then(|dev| train.data.join(&dev.data).ok());
        let named = [("data.train", Some(&train.data)), ("data.dev", dev.map(|dev| &dev.data)), ("data.train and data.dev", both.as_ref())];
        let known = |data: &Dataset| self.learnt.iter().any(|set| set.sha256 == data.fingerprint());
        match named.into_iter().find(|(_, data)| data.is_some_and(known)) {
            Some((file, _)) => Err(TrainError::KnownRows { base: format!("{} {}", self.base.name, self.base.revision), file }),
            None => Ok(()),
        }
    }
}

/// A bundle as a checkpoint, its weights widened where they are stored smaller.
fn bundled(recipe: &Recipe, path: &Path) -> Result<Checkpoint, TrainError> {
    let bundle = Bundle::open(path)?;
    let tokenizer = path.join("tokenizer.json");
    let from = &bundle.card().provenance;
    let own = FurtherData {
        purpose: "base".to_owned(),
        description: from.data.description.clone(),
        licence: "as its own card says".to_owned(),
        rows: from.data.rows,
        sha256: from.data.sha256.clone(),
    };
    let before = from.further.iter().map(|set| FurtherData { purpose: format!("base, {}", set.purpose), ..set.clone() });
    Ok(Checkpoint {
        config: (path.join("config.json"), bundle.config_json().as_bytes().to_vec()),
        tokenizer: (tokenizer.clone(), files::read(&tokenizer)?),
        weights: Shards::Whole(bundle.weights_fp32()),
        base: BaseModel {
            name: format!("{} {}", bundle.name(), bundle.version()),
            revision: bundle.id().to_owned(),
            licence: recipe.model.licence.clone(),
        },
        learnt: std::iter::once(own).chain(before).collect(),
    })
}

/// A checkpoint of Hugging Face's layout.
fn published(recipe: &Recipe, folder: &BaseFolder) -> Result<Checkpoint, TrainError> {
    let weights = Shards::Files { paths: folder.weights().to_vec(), format: folder.format() };
    let revision = folder.commit().map_or_else(|| weights.digest(), |commit| Ok(commit.to_owned()))?;
    let (tokenizer_json, tokenizer) = tokenizer(folder)?;
    Ok(Checkpoint {
        config: (folder.config().to_owned(), files::read(folder.config())?),
        tokenizer: (tokenizer, tokenizer_json),
        weights,
        base: BaseModel { name: recipe.model.name.clone(), revision, licence: recipe.model.licence.clone() },
        learnt: Vec::new(),
    })
}

fn placed(recipe: &Recipe, current: &Path, recipe_folder: &Path) -> Result<BaseSpec, TrainError> {
    Ok(match recipe.model.base.parse()? {
        BaseSpec::Folder(path) => BaseSpec::Folder(locate(&path, current, recipe_folder)),
        hub @ BaseSpec::Hub { .. } => hub,
    })
}

fn tokenizer(folder: &BaseFolder) -> Result<(Vec<u8>, PathBuf), TrainError> {
    match folder.tokenizer() {
        TokenizerFile::Json(path) => Ok((files::read(path)?, path.clone())),
        TokenizerFile::Vocabulary(path) => {
            let vocabulary = String::from_utf8_lossy(&files::read(path)?).into_owned();
            Ok((bert_tokenizer_json(&vocabulary)?, path.clone()))
        }
        TokenizerFile::BytePairs { vocab, merges } => {
            let text = |path| files::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            Ok((roberta_tokenizer_json(&text(vocab)?, &text(merges)?)?, vocab.clone()))
        }
    }
}
