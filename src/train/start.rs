//! Where every fit of a run begins: the base model's files, the network and the text encoder.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::base::{self, BaseFolder, BaseSpec, HubOptions, TokenizerFile, WeightsFormat};
use super::learner::network;
use super::recipe::{Recipe, locate};
use super::{TrainError, files};
use crate::model::{ModelConfig, SequenceClassifier};
use crate::nn::{join_safetensors, pickle_to_safetensors};
use crate::text::{TextEncoder, bert_tokenizer_json, roberta_tokenizer_json};

/// A base model, read and checked against the recipe.
pub(super) struct Start {
    pub(super) config: ModelConfig,
    pub(super) config_json: Vec<u8>,
    pub(super) tokenizer_json: Vec<u8>,
    /// One safetensors file, with the checkpoint's own names.
    pub(super) weights: Vec<u8>,
    pub(super) network: SequenceClassifier,
    pub(super) encoder: TextEncoder,
    /// The hub's commit, or the hash of the weights.
    pub(super) revision: String,
}

/// Reads the recipe's base model.
pub(super) fn start(recipe: &Recipe, current: &Path, recipe_folder: &Path, hub: &HubOptions) -> Result<Start, TrainError> {
    let folder = base::resolve(&placed(recipe, current, recipe_folder)?, hub)?;
    let config_json = files::read(folder.config())?;
    let refused = |source| TrainError::Config { path: folder.config().to_owned(), source };
    let config = ModelConfig::from_json(&String::from_utf8_lossy(&config_json)).map_err(refused)?;
    let network = SequenceClassifier::new(&config, recipe.model.pooling, recipe.data.labels.len()).map_err(refused)?;
    let (tokenizer_json, tokenizer) = tokenizer(&folder)?;
    let encoder = TextEncoder::from_json(&tokenizer_json, recipe.data.normalization, recipe.model.max_length)?;
    let fits = |what: &str, most: usize, found: usize| {
        if found <= most { Ok(()) } else { Err(TrainError::Fit { what: what.to_owned(), expected: most, found }) }
    };
    fits("tokens of model.max_length", config.max_positions(), recipe.model.max_length)?;
    fits(&format!("entries of the tokenizer {}", tokenizer.display()), config.vocabulary(), encoder.vocabulary())?;
    let stored = folder.weights().iter().map(|path| files::read(path)).collect::<Result<Vec<_>, _>>()?;
    let digest = || stored.iter().fold(Sha256::new(), |hasher, file| hasher.chain_update(file)).finalize();
    let revision = folder.commit().map_or_else(|| format!("sha256:{:x}", digest()), str::to_owned);
    let weights = weights(&folder, stored)?;
    Ok(Start { config, config_json, tokenizer_json, weights, network, encoder, revision })
}

/// The files of the weights as one safetensors file.
fn weights(folder: &BaseFolder, mut stored: Vec<Vec<u8>>) -> Result<Vec<u8>, TrainError> {
    if folder.format() == WeightsFormat::Pickle {
        for (bytes, path) in stored.iter_mut().zip(folder.weights()) {
            *bytes = pickle_to_safetensors(bytes).map_err(network(&path.display().to_string()))?;
        }
    }
    if let [_] = stored[..] {
        return Ok(stored.remove(0));
    }
    join_safetensors(&stored).map_err(network("the base model's weights"))
}

fn placed(recipe: &Recipe, current: &Path, recipe_folder: &Path) -> Result<BaseSpec, TrainError> {
    Ok(match recipe.model.base.parse()? {
        BaseSpec::Folder(path) => BaseSpec::Folder(locate(&path, current, recipe_folder)),
        hub @ BaseSpec::Hub { .. } => hub,
    })
}

fn tokenizer(folder: &BaseFolder) -> Result<(Vec<u8>, std::path::PathBuf), TrainError> {
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
