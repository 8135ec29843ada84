//! The bundle: a folder that holds a model and everything needed to answer with it, and the only
//! thing that passes from the trainer to the server.
//!
//! ```text
//! bundle.json         schema version, id, labels, task, calibrators, thresholds, hashes, provenance, metrics
//! config.json         the network's configuration, a Hugging Face file, unchanged
//! tokenizer.json      the tokenizer, a Hugging Face file, unchanged
//! model.safetensors   the weights, f32 or bytes with scales
//! model.onnx          optional: the graph, whose weights are the file above
//! golden.json         texts of our own with the answers this model must give
//! adapter_model.safetensors  adapter_config.json
//!                     optional: the adapter that the weights hold, by itself, as peft reads it
//! ```
//!
//! A [`Bundle`] cannot be wrong: every file was bounded, hashed and parsed when it was opened, and
//! every count agrees with the labels. It is immutable. [`BundleWriter`] writes one beside its
//! place and renames it there. What an engine computes is not known here: `backend` checks the
//! golden answers. This room guesses nothing, downloads nothing and imports no engine.

mod card;
mod error;
mod files;
mod generation;
mod golden;
mod graph;
mod manifest;
mod open;
mod quantize;
mod scores;
mod weights;
mod writer;

pub use card::{BaseModel, Card, DataFingerprint, Figure, Figures, FurtherData, MeasuredSet, Provenance, ScoreBin, ScoreReference, render};
pub use error::BundleError;
pub use generation::Generation;
pub use golden::{GoldenSet, MAX_GOLDEN_TEXTS};
pub use weights::{Layout, PackedWeights, Span, WeightsError, weights_location};
pub use writer::{AdapterFiles, BundleParts, BundleWriter, Graph, StagedBundle};

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::decide::Decider;
use crate::spec::{Activation, Architecture, LabelSet, Pooling, Precision, Task};
use crate::text::{LabelSpelling, Normalization, TextEncoder};

/// The names of an ONNX graph's inputs, both `i64 [batch, sequence]`.
pub const GRAPH_INPUTS: [&str; 2] = ["input_ids", "attention_mask"];
/// The name of an ONNX graph's output, `f32 [batch, labels]`.
pub const GRAPH_OUTPUT: &str = "logits";

/// An opened, verified bundle. Cheap to share behind an [`Arc`], and never changed.
#[derive(Clone)]
pub struct Bundle {
    path: PathBuf,
    id: String,
    name: String,
    version: String,
    created: u64,
    task: Task,
    architecture: Architecture,
    pooling: Pooling,
    precision: Precision,
    tolerance: f64,
    threshold_policy: String,
    text_encoder: TextEncoder,
    generation: Option<(Generation, LabelSpelling)>,
    decider: Decider,
    labels: LabelSet,
    config_json: String,
    image: Arc<[u8]>,
    layout: Layout,
    graph: Option<Arc<[u8]>>,
    golden: GoldenSet,
    card: Card,
    files: Vec<BundleFile>,
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle").field("path", &self.path).field("id", &self.id).finish_non_exhaustive()
    }
}

/// One file of a bundle, as its manifest states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFile {
    /// Its name inside the folder.
    pub name: String,
    /// Its hash in lower-case hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// Whether a bundle, good or bad, stands in this folder.
#[must_use]
pub fn is_bundle(folder: &Path) -> bool {
    folder.join(files::MANIFEST).is_file()
}

impl Bundle {
    /// Opens the bundle in the folder `path`: reads, bounds, hashes and checks every file, and
    /// widens stored bytes to `f32`.
    ///
    /// # Errors
    /// [`BundleError`] naming the file, what was expected and what was found.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        open::open(path)
    }

    /// The folder it was opened from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content's hash, `sha256:` and 64 hex digits: two bundles of one id are the same bundle.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The model's name, 1 to 128 bytes.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The model's version, 1 to 128 bytes.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// When it was written, in seconds since 1970.
    #[must_use]
    pub fn created(&self) -> u64 {
        self.created
    }

    /// What a row of logits stands for.
    #[must_use]
    pub fn task(&self) -> Task {
        self.task
    }

    /// How logits become probabilities.
    #[must_use]
    pub fn activation(&self) -> Activation {
        self.task.activation()
    }

    /// The labels in the order of every row.
    #[must_use]
    pub fn labels(&self) -> &LabelSet {
        &self.labels
    }

    /// The network's family.
    #[must_use]
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// How token vectors become a text's vector.
    #[must_use]
    pub fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// How the weights are stored.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The most that two engines' logits may differ, absolutely.
    #[must_use]
    pub fn tolerance(&self) -> f64 {
        self.tolerance
    }

    /// How the model is asked for its labels, where it writes them; a classifier has none of this.
    #[must_use]
    pub fn generation(&self) -> Option<&Generation> {
        self.generation.as_ref().map(|(generation, _)| generation)
    }

    /// How a generator writes its labels in its tokens.
    #[must_use]
    pub fn spelling(&self) -> Option<&LabelSpelling> {
        self.generation.as_ref().map(|(_, spelling)| spelling)
    }

    /// The longest text in tokens, special tokens and a prompt included; longer ones are cut.
    #[must_use]
    pub fn max_length(&self) -> usize {
        self.text_encoder.max_length()
    }

    /// What is done to a text before it is tokenised.
    #[must_use]
    pub fn normalization(&self) -> Normalization {
        self.text_encoder.normalization()
    }

    /// Text to token ids; cheap to clone.
    #[must_use]
    pub fn text_encoder(&self) -> TextEncoder {
        self.text_encoder.clone()
    }

    /// Logits to probabilities to labels.
    #[must_use]
    pub fn decider(&self) -> &Decider {
        &self.decider
    }

    /// How the thresholds were chosen, in words.
    #[must_use]
    pub fn threshold_policy(&self) -> &str {
        &self.threshold_policy
    }

    /// The text of `config.json`.
    #[must_use]
    pub fn config_json(&self) -> &str {
        &self.config_json
    }

    /// The weights as a safetensors file of `f32` tensors, widened when they are stored smaller.
    #[must_use]
    pub fn weights_fp32(&self) -> Arc<[u8]> {
        Arc::clone(&self.image)
    }

    /// Where the tensors of [`Self::weights_fp32`] lie.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The ONNX graph, when the bundle has one. Its weights are [`Self::weights_fp32`] under the
    /// name that [`weights_location`] gives.
    #[must_use]
    pub fn graph(&self) -> Option<&[u8]> {
        self.graph.as_deref()
    }

    /// Texts with the answers that every engine must give.
    #[must_use]
    pub fn golden(&self) -> &GoldenSet {
        &self.golden
    }

    /// Where it comes from and what was measured.
    #[must_use]
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Its files but `bundle.json`, by name.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &BundleFile> {
        self.files.iter()
    }
}
