//! From a folder to a [`Bundle`] that cannot be wrong.
//!
//! In order: the manifest and its id, every file's size and hash, then what each file says, then
//! that all of them agree with one another.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::files::{self, Folder, is_plain, sha256};
use super::manifest::{GoldenTwin, Manifest, OnnxTwin};
use super::weights::{Layout, PackedWeights, weights_location};
use super::{Bundle, BundleError, BundleFile, Card, Figure, Figures, GRAPH_INPUTS, GRAPH_OUTPUT, Generation, GoldenSet, graph};
use crate::decide::{DecideError, Decider, Thresholds};
use crate::spec::{Architecture, LabelSet};
use crate::text::{LabelSpelling, TextEncoder};

/// A network with more positions than this is taken for a broken file.
const MAX_LENGTH: usize = 1 << 20;
/// Names and versions longer than this (in bytes) are taken for a broken file.
const MAX_NAME_BYTES: usize = 128;
/// How far stored probabilities may lie from what the calibrators make of the stored logits.
const PROBABILITY_SLACK: f32 = 1e-5;

pub(super) fn open(path: &Path) -> Result<Bundle, BundleError> {
    let folder = Folder::open(path)?;
    let at = folder.file(files::MANIFEST);
    let manifest = Manifest::parse(&folder.read(files::MANIFEST)?, &at)?;
    let id = manifest.content_id();
    if id != manifest.id {
        return Err(BundleError::Hash { path: at, expected: manifest.id, found: id });
    }
    check_words(&manifest, &at)?;
    check_names(&manifest, &at)?;

    let config_json = utf8(&verified(&folder, &manifest, files::CONFIG)?, &folder.file(files::CONFIG))?;
    let config = check_config(&config_json, &manifest, &folder)?;
    let generation = manifest.generation.clone().map(|generation| generation.resolve(&at)).transpose()?;
    let text_encoder = text_encoder(&verified(&folder, &manifest, files::TOKENIZER)?, generation.as_ref(), &manifest, &folder)?;
    let golden = verified(&folder, &manifest, files::GOLDEN)?;
    let graph = manifest.onnx.as_ref().map(|_| verified(&folder, &manifest, files::GRAPH)).transpose()?;
    let weights = verified(&folder, &manifest, files::WEIGHTS)?;
    check_adapter(&folder, &manifest)?;
    let (image, layout) = weights_image(weights, &manifest, &folder)?;
    if let (Some(graph), Some(signature)) = (&graph, &manifest.onnx) {
        check_graph(graph, signature, &layout, &manifest, &folder)?;
    }

    let labels =
        LabelSet::new(manifest.labels.iter().cloned()).map_err(|error| BundleError::value(&at, "labels", "distinct names", error))?;
    let generation = generation.map(|generation| spelled(generation, &text_encoder, &labels, (config.positions(), &at))).transpose()?;
    let decider = decider(&manifest, labels.clone(), &at)?;
    let golden_path = folder.file(files::GOLDEN);
    let golden = GoldenTwin::parse(&golden, &golden_path)?.resolve(labels.len(), &golden_path)?;
    check_golden(&golden, &text_encoder, &decider, config.vocab_size, &golden_path)?;
    let card = Card {
        provenance: manifest.provenance.into(),
        metrics: manifest.metrics.into_iter().map(Into::into).collect(),
        scores: manifest.scores.map(|scores| scores.resolve(&labels, &at)).transpose()?,
    };
    check_card(&card, &labels, &at)?;
    Ok(Bundle {
        path: path.to_owned(),
        id,
        name: manifest.name,
        version: manifest.version,
        created: manifest.created,
        task: manifest.task,
        architecture: manifest.architecture,
        pooling: manifest.pooling,
        precision: manifest.precision.storage,
        tolerance: manifest.precision.tolerance,
        threshold_policy: manifest.precision.thresholds.policy,
        text_encoder,
        generation,
        decider,
        labels,
        config_json,
        image,
        layout,
        graph,
        golden,
        card,
        files: manifest.files.into_iter().map(|(name, file)| BundleFile { name, sha256: file.sha256, bytes: file.bytes }).collect(),
    })
}

/// Checks the members that need no other file.
fn check_words(manifest: &Manifest, at: &Path) -> Result<(), BundleError> {
    for (member, word) in [("name", &manifest.name), ("version", &manifest.version)] {
        if word.is_empty() || word.len() > MAX_NAME_BYTES || word.chars().any(char::is_control) {
            let expected = format!("1 to {MAX_NAME_BYTES} bytes without control characters");
            return Err(BundleError::value(at, member, expected, format!("{word:?}")));
        }
    }
    if manifest.activation != manifest.task.activation() {
        let expected = format!("{:?} for {:?}", manifest.task.activation(), manifest.task);
        return Err(BundleError::value(at, "activation", expected, format!("{:?}", manifest.activation)));
    }
    let tolerance = manifest.precision.tolerance;
    if !(tolerance > 0.0 && tolerance <= 1.0) {
        return Err(BundleError::value(at, "precision.tolerance", "above 0, at most 1", tolerance));
    }
    Ok(())
}

/// Checks that exactly the files of a bundle are listed, under their own names, within limits.
fn check_names(manifest: &Manifest, at: &Path) -> Result<(), BundleError> {
    for (name, file) in &manifest.files {
        let member = || format!("files.{name:?}");
        if !is_plain(name) {
            return Err(BundleError::value(at, member(), "a plain file name", format!("{name:?}")));
        }
        let Some(limit) = files::limit(name).filter(|_| name != files::MANIFEST) else {
            return Err(BundleError::value(at, member(), "a file that bundles have", format!("{name:?}")));
        };
        if file.bytes > limit {
            return Err(BundleError::value(at, member(), format!("at most {limit} bytes"), file.bytes));
        }
    }
    let mut wanted = vec![files::CONFIG, files::TOKENIZER, files::WEIGHTS, files::GOLDEN];
    wanted.extend(manifest.onnx.as_ref().map(|_| files::GRAPH));
    let adapter = [files::ADAPTER, files::ADAPTER_CONFIG];
    if adapter.iter().any(|name| manifest.files.contains_key(*name)) {
        wanted.extend(adapter);
    }
    if let Some(name) = wanted.iter().find(|name| !manifest.files.contains_key(**name)) {
        return Err(BundleError::value(at, format!("files.{name:?}"), "size and hash", "nothing"));
    }
    if manifest.files.len() != wanted.len() {
        return Err(BundleError::value(at, "files", format!("{} files", wanted.len()), manifest.files.len()));
    }
    Ok(())
}

/// Reads a file and compares its size and hash with what the manifest states.
fn verified(folder: &Folder, manifest: &Manifest, name: &'static str) -> Result<Arc<[u8]>, BundleError> {
    let stated = &manifest.files[name];
    let content = folder.read(name)?;
    if content.len() as u64 != stated.bytes {
        return Err(BundleError::Size { path: folder.file(name), expected: stated.bytes, found: content.len() as u64 });
    }
    let found = sha256(&content);
    if found != stated.sha256 {
        return Err(BundleError::Hash { path: folder.file(name), expected: stated.sha256.clone(), found });
    }
    Ok(content)
}

/// Checks the adapter that a bundle carries beside the weights it is merged into. Nothing here computes
/// with it.
fn check_adapter(folder: &Folder, manifest: &Manifest) -> Result<(), BundleError> {
    if !manifest.files.contains_key(files::ADAPTER) {
        return Ok(());
    }
    verified(folder, manifest, files::ADAPTER)?;
    let config = verified(folder, manifest, files::ADAPTER_CONFIG)?;
    serde_json::from_slice::<serde_json::Map<_, _>>(&config).map(drop).map_err(BundleError::json(&folder.file(files::ADAPTER_CONFIG)))
}

fn utf8(content: &[u8], path: &Path) -> Result<String, BundleError> {
    String::from_utf8(content.to_vec()).map_err(|error| BundleError::value(path, "text", "UTF-8", error))
}

/// The members of `config.json` that the rest of a bundle must agree with.
#[derive(Deserialize)]
struct Config {
    model_type: Architecture,
    vocab_size: usize,
    max_position_embeddings: usize,
    pad_token_id: Option<usize>,
}

impl Config {
    /// The longest text that the network has positions for. RoBERTa counts from behind its padding.
    fn positions(&self) -> usize {
        match (self.model_type, self.pad_token_id) {
            (Architecture::Roberta, Some(padding)) => self.max_position_embeddings.saturating_sub(padding.saturating_add(1)),
            _ => self.max_position_embeddings,
        }
    }
}

fn check_config(json: &str, manifest: &Manifest, folder: &Folder) -> Result<Config, BundleError> {
    let path = folder.file(files::CONFIG);
    let config: Config = serde_json::from_str(json).map_err(BundleError::json(&path))?;
    if config.model_type != manifest.architecture {
        let expected = format!("{:?}, as the manifest states", manifest.architecture);
        return Err(BundleError::value(&path, "model_type", expected, format!("{:?}", config.model_type)));
    }
    let longest = config.positions().min(MAX_LENGTH);
    if manifest.max_length > longest {
        let expected = format!("at most {longest}, the network's positions");
        return Err(BundleError::value(&folder.file(files::MANIFEST), "max_length", expected, manifest.max_length));
    }
    Ok(config)
}

fn text_encoder(json: &[u8], generation: Option<&Generation>, manifest: &Manifest, folder: &Folder) -> Result<TextEncoder, BundleError> {
    let Manifest { normalization, max_length, .. } = *manifest;
    let opened = match generation {
        Some(Generation { prompt, .. }) => TextEncoder::with_prompt(json, normalization, max_length, prompt),
        None => TextEncoder::from_json(json, normalization, max_length),
    };
    opened.map_err(|error| BundleError::value(&folder.file(files::TOKENIZER), "tokenizer", "a tokenizer that fits max_length", error))
}

/// The spelling of a generator's labels; there must be room for the longest answer behind the longest
/// prompt.
fn spelled(
    generation: Generation,
    encoder: &TextEncoder,
    labels: &LabelSet,
    (positions, at): (usize, &Path),
) -> Result<(Generation, LabelSpelling), BundleError> {
    let spelling = LabelSpelling::new(encoder, labels)
        .map_err(|error| BundleError::value(at, "generation", "labels that the tokenizer can write", error))?;
    let longest = positions.saturating_sub(spelling.longest());
    if encoder.max_length() > longest {
        let expected = format!("at most {longest}, the network's positions without the {} of the longest answer", spelling.longest());
        return Err(BundleError::value(at, "max_length", expected, encoder.max_length()));
    }
    Ok((generation, spelling))
}

fn weights_image(file: Arc<[u8]>, manifest: &Manifest, folder: &Folder) -> Result<(Arc<[u8]>, Layout), BundleError> {
    PackedWeights::open(file, manifest.precision.storage)
        .map(PackedWeights::into_image)
        .map_err(|error| BundleError::value(&folder.file(files::WEIGHTS), error.tensor, error.expected, error.found))
}

fn check_graph(bytes: &[u8], signature: &OnnxTwin, layout: &Layout, manifest: &Manifest, folder: &Folder) -> Result<(), BundleError> {
    let location = weights_location(manifest.precision.storage);
    let expected = OnnxTwin {
        file: files::GRAPH.to_owned(),
        opset: signature.opset,
        inputs: GRAPH_INPUTS.map(str::to_owned).to_vec(),
        outputs: vec![GRAPH_OUTPUT.to_owned()],
        weights: location.to_owned(),
    };
    if *signature != expected {
        let (expected, found) = (format!("{expected:?}"), format!("{signature:?}"));
        return Err(BundleError::value(&folder.file(files::MANIFEST), "onnx", expected, found));
    }
    graph::check(bytes, layout, location)
        .map_err(|error| BundleError::value(&folder.file(files::GRAPH), error.member, error.expected, error.found))
}

fn decider(manifest: &Manifest, labels: LabelSet, at: &Path) -> Result<Decider, BundleError> {
    let refused =
        |member: &'static str| move |error: DecideError| BundleError::value(at, member, "parameters in their range, one a label", error);
    let calibrators = manifest.precision.calibrators.iter().cloned().map(|twin| twin.resolve()).collect::<Result<Vec<_>, _>>();
    let calibrators = calibrators.map_err(refused("precision.calibrators"))?;
    let thresholds = Thresholds::new(manifest.precision.thresholds.values.clone()).map_err(refused("precision.thresholds"))?;
    Decider::new(labels, manifest.activation, calibrators, thresholds).map_err(refused("precision"))
}

/// Checks that the texts give the ids, and the logits the probabilities, that stand beside them.
fn check_golden(golden: &GoldenSet, encoder: &TextEncoder, decider: &Decider, vocabulary: usize, path: &Path) -> Result<(), BundleError> {
    for (index, (text, ids)) in golden.texts.iter().zip(&golden.ids).enumerate() {
        let member = || format!("texts[{index}].ids");
        if let Some(id) = ids.iter().find(|id| **id as usize >= vocabulary) {
            return Err(BundleError::value(path, member(), format!("ids below {vocabulary}"), id));
        }
        let encoding = encoder.encode(text).map_err(|error| BundleError::value(path, member(), "a text that can be encoded", error))?;
        if encoding.ids() != ids {
            return Err(BundleError::value(path, member(), format!("{:?}", encoding.ids()), format!("{ids:?}")));
        }
    }
    let probabilities = decider.probabilities(&golden.logits);
    let mut pairs = probabilities.values().iter().zip(golden.probabilities.values());
    match pairs.position(|(expected, found)| (expected - found).abs() > PROBABILITY_SLACK) {
        None => Ok(()),
        Some(index) => {
            let (row, label) = (index / decider.labels().len(), index % decider.labels().len());
            let (expected, found) = (probabilities.values()[index], golden.probabilities.values()[index]);
            Err(BundleError::value(path, format!("texts[{row}].probabilities[{label}]"), expected.to_string(), found))
        }
    }
}

fn check_card(card: &Card, labels: &LabelSet, at: &Path) -> Result<(), BundleError> {
    for (index, set) in card.metrics.iter().enumerate() {
        if card.metrics[..index].iter().any(|earlier| earlier.name == set.name) {
            return Err(BundleError::value(at, format!("metrics[{index}].name"), "sets with different names", &set.name));
        }
        for figures in [&set.tuned, &set.at_half] {
            check_figures(figures, labels)
                .map_err(|(member, expected, found)| BundleError::value(at, format!("metrics[{index}].{member}"), expected, found))?;
        }
    }
    Ok(())
}

fn check_figures(figures: &Figures, labels: &LabelSet) -> Result<(), (String, &'static str, String)> {
    if let Some(label) = figures.labels.keys().find(|label| labels.index_of(label).is_none()) {
        return Err(("labels".to_owned(), "the bundle's labels", label.clone()));
    }
    let by_label = figures.labels.values().flatten();
    let wrong = |figure: &Figure| {
        !figure.value.is_finite() || figure.interval.is_some_and(|(low, high)| !low.is_finite() || !high.is_finite() || low > high)
    };
    match figures.overall.iter().chain(by_label).find(|(_, figure)| wrong(figure)) {
        Some((name, figure)) => Err((name.clone(), "a finite number and an interval in order", format!("{figure:?}"))),
        None => Ok(()),
    }
}
