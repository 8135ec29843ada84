//! Writing a bundle so that nothing is lost when the machine stops: staged beside its place,
//! synced, opened and checked, then renamed.
//!
//! An existing bundle is first renamed away, then replaced, then removed; when the replacing
//! fails it is put back. A stop between the two renames leaves the old bundle whole under its
//! `.old` name. A folder that holds anything but a bundle's files is never replaced.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::files::{self, sha256};
use super::generation::GenerationTwin;
use super::manifest::{CalibratorTwin, FileTwin, GoldenTwin, Manifest, OnnxTwin, PrecisionTwin, SCHEMA_VERSION, ThresholdsTwin};
use super::scores::ScoresTwin;
use super::{
    Bundle, BundleError, GRAPH_INPUTS, GRAPH_OUTPUT, Generation, GoldenSet, MeasuredSet, PackedWeights, Provenance, ScoreReference,
    weights_location,
};
use crate::decide::Decider;
use crate::spec::{Architecture, Pooling, Task};
use crate::text::Normalization;

/// Everything a bundle is made of.
#[derive(Clone)]
pub struct BundleParts {
    /// The model's name, 1 to 128 bytes.
    pub name: String,
    /// The model's version, 1 to 128 bytes.
    pub version: String,
    /// Seconds since 1970.
    pub created: u64,
    /// What a row of logits stands for; the activation follows from it.
    pub task: Task,
    /// The network's family.
    pub architecture: Architecture,
    /// How token vectors become a text's vector.
    pub pooling: Pooling,
    /// The longest text in tokens.
    pub max_length: usize,
    /// What is done to a text before it is tokenised.
    pub normalization: Normalization,
    /// `config.json`, unchanged.
    pub config_json: Vec<u8>,
    /// `tokenizer.json`, unchanged.
    pub tokenizer_json: Vec<u8>,
    /// The weights in the precision that ships.
    pub weights: PackedWeights,
    /// The recorded graph, when the bundle is to serve ONNX Runtime.
    pub graph: Option<Graph>,
    /// Labels, calibrators and thresholds, fitted for the precision that ships.
    pub decider: Decider,
    /// How the thresholds were chosen, in words.
    pub threshold_policy: String,
    /// The most that two engines' logits may differ, absolutely; above 0, at most 1.
    pub tolerance: f64,
    /// Texts with the answers of the weights above.
    pub golden: GoldenSet,
    /// Where it comes from.
    pub provenance: Provenance,
    /// What was measured.
    pub metrics: Vec<MeasuredSet>,
    /// How scores were distributed on rows that the model did not see, one list of bins a label.
    pub scores: Option<ScoreReference>,
    /// How the model is asked for its labels, when it writes them.
    pub generation: Option<Generation>,
    /// The adapter by itself, when the weights hold one merged and it is to be kept.
    pub adapter: Option<AdapterFiles>,
}

/// An adapter in `peft`'s two files, whose configuration names the base it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterFiles {
    /// `adapter_config.json`.
    pub config: Vec<u8>,
    /// `adapter_model.safetensors`.
    pub weights: Vec<u8>,
}

/// A recorded ONNX graph whose weights are a bundle's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// A `ModelProto`.
    pub bytes: Vec<u8>,
    /// The operator set it is written in.
    pub opset: u32,
}

/// Writes bundles.
#[derive(Debug, Clone, Copy)]
pub struct BundleWriter;

/// A bundle that is whole and checked, but not yet in its place. Dropping it removes it.
#[must_use = "a staged bundle is removed unless it is committed"]
pub struct StagedBundle {
    bundle: Bundle,
    staging: Staging,
    target: PathBuf,
}

impl BundleWriter {
    /// Writes `parts` beside the folder `target`, syncs them and opens them, so that what cannot
    /// be opened is never committed.
    ///
    /// # Errors
    /// [`BundleError`] when a file cannot be written or the parts do not agree.
    pub fn stage(target: &Path, parts: &BundleParts) -> Result<StagedBundle, BundleError> {
        let staging = Staging::create(target)?;
        write_all(&staging.0, parts)?;
        let bundle = Bundle::open(&staging.0)?;
        Ok(StagedBundle { bundle, staging, target: target.to_owned() })
    }
}

impl StagedBundle {
    /// What was staged, opened from where it lies now.
    #[must_use]
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Renames the bundle into its place, replacing a bundle that stands there.
    ///
    /// # Errors
    /// [`BundleError`]; what stood in the place is then still there, or was put back.
    pub fn commit(self) -> Result<Bundle, BundleError> {
        let Self { mut bundle, staging, target } = self;
        let old = set_aside(&target)?;
        let moved = fs::rename(&staging.0, &target).map_err(BundleError::io(&target, "rename the staged bundle to"));
        if let Err(error) = moved {
            if let Some(old) = old {
                fs::rename(&old, &target).map_err(BundleError::io(&old, "put back"))?;
            }
            return Err(error);
        }
        sync_folder(parent(&target))?;
        if let Some(old) = old {
            fs::remove_dir_all(&old).map_err(BundleError::io(&old, "remove"))?;
        }
        bundle.path = target;
        Ok(bundle)
    }
}

/// A folder that is removed when it is dropped; renaming it first takes it out of reach.
struct Staging(PathBuf);

impl Staging {
    fn create(target: &Path) -> Result<Self, BundleError> {
        let parent = parent(target);
        fs::create_dir_all(parent).map_err(BundleError::io(parent, "create"))?;
        let path = fresh_sibling(target, "staging", |path| fs::create_dir(path))?;
        Ok(Self(path))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Nothing to do about a failure here; the folder's name says what it is.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Renames what stands at `target`, if anything does, and returns where it went.
fn set_aside(target: &Path) -> Result<Option<PathBuf>, BundleError> {
    let entries = match fs::read_dir(target) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BundleError::io(target, "replace")(error)),
    };
    for entry in entries {
        let name = entry.map_err(BundleError::io(target, "list"))?.file_name();
        if name.to_str().and_then(files::limit).is_none() {
            return Err(BundleError::value(target, "folder", "only a bundle's files, to be replaced", format!("{name:?}")));
        }
    }
    fresh_sibling(target, "old", |path| fs::rename(target, path)).map(Some)
}

/// A name beside `target` that `make` could take: `.NAME.KIND-PID-N`.
fn fresh_sibling(target: &Path, kind: &str, make: impl Fn(&Path) -> std::io::Result<()>) -> Result<PathBuf, BundleError> {
    let name = target.file_name().ok_or_else(|| BundleError::value(target, "path", "a folder's name", "none"))?;
    for attempt in 0..1000 {
        let mut sibling = OsString::from(".");
        sibling.push(name);
        sibling.push(format!(".{kind}-{}-{attempt}", std::process::id()));
        let path = parent(target).join(sibling);
        if path.exists() {
            continue;
        }
        match make(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(BundleError::io(&path, "create")(error)),
        }
    }
    Err(BundleError::value(target, "path", "a free name beside it", "a thousand left-over folders"))
}

fn parent(target: &Path) -> &Path {
    target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write_all(folder: &Path, parts: &BundleParts) -> Result<(), BundleError> {
    let golden_path = folder.join(files::GOLDEN);
    if let Some((what, expected, found)) = parts.golden.disagreement(parts.decider.labels().len()) {
        return Err(BundleError::value(&golden_path, what, expected.to_string(), found));
    }
    let golden = serde_json::to_vec_pretty(&GoldenTwin::of(&parts.golden)).map_err(BundleError::json(&golden_path))?;
    let mut contents: Vec<(&str, &[u8])> = vec![
        (files::CONFIG, &parts.config_json),
        (files::TOKENIZER, &parts.tokenizer_json),
        (files::WEIGHTS, parts.weights.file()),
        (files::GOLDEN, &golden),
    ];
    contents.extend(parts.graph.as_ref().map(|graph| (files::GRAPH, graph.bytes.as_slice())));
    if let Some(AdapterFiles { config, weights }) = &parts.adapter {
        contents.extend([(files::ADAPTER_CONFIG, config.as_slice()), (files::ADAPTER, weights.as_slice())]);
    }
    let mut listed = BTreeMap::new();
    for (name, content) in contents {
        write_synced(&folder.join(name), content)?;
        listed.insert(name.to_owned(), FileTwin { sha256: sha256(content), bytes: content.len() as u64 });
    }
    let path = folder.join(files::MANIFEST);
    let mut manifest = manifest(parts, listed);
    manifest.id = manifest.content_id();
    let mut json = serde_json::to_vec_pretty(&manifest).map_err(BundleError::json(&path))?;
    json.push(b'\n');
    write_synced(&path, &json)?;
    sync_folder(folder)
}

fn manifest(parts: &BundleParts, files: BTreeMap<String, FileTwin>) -> Manifest {
    let storage = parts.weights.storage();
    let onnx = parts.graph.as_ref().map(|graph| OnnxTwin {
        file: files::GRAPH.to_owned(),
        opset: graph.opset,
        inputs: GRAPH_INPUTS.map(str::to_owned).to_vec(),
        outputs: vec![GRAPH_OUTPUT.to_owned()],
        weights: weights_location(storage).to_owned(),
    });
    let thresholds = ThresholdsTwin { policy: parts.threshold_policy.clone(), values: parts.decider.thresholds().values().to_vec() };
    let calibrators = parts.decider.calibrators().iter().map(CalibratorTwin::of).collect();
    Manifest {
        schema_version: SCHEMA_VERSION,
        id: String::new(),
        name: parts.name.clone(),
        version: parts.version.clone(),
        created: parts.created,
        task: parts.task,
        activation: parts.task.activation(),
        labels: parts.decider.labels().names().to_vec(),
        architecture: parts.architecture,
        pooling: parts.pooling,
        max_length: parts.max_length,
        normalization: parts.normalization,
        precision: PrecisionTwin { storage, tolerance: parts.tolerance, calibrators, thresholds },
        onnx,
        provenance: (&parts.provenance).into(),
        metrics: parts.metrics.iter().map(Into::into).collect(),
        scores: parts.scores.as_ref().map(|scores| ScoresTwin::of(scores, parts.decider.labels())),
        generation: parts.generation.as_ref().map(GenerationTwin::of),
        files,
    }
}

fn write_synced(path: &Path, content: &[u8]) -> Result<(), BundleError> {
    let mut file = File::create_new(path).map_err(BundleError::io(path, "create"))?;
    file.write_all(content).map_err(BundleError::io(path, "write"))?;
    file.sync_all().map_err(BundleError::io(path, "sync"))
}

/// Makes a rename or a new file in `folder` survive a stop of the machine.
fn sync_folder(folder: &Path) -> Result<(), BundleError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(BundleError::io(folder, "sync"))
}
