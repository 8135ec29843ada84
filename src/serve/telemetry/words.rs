//! What is said to the metrics: closed sets of words, and the sizes and names that come with them.

use std::time::Duration;

use crate::serve::engine::Depth;

/// The parts of a request's time that are measured apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Texts to token ids, waiting for the blocking pool included.
    Tokenize,
    /// Waiting for a worker.
    Queue,
    /// From the first of the request's texts being taken to the last being computed.
    Infer,
    /// Logits to the bytes of the answer.
    Post,
}

impl Stage {
    pub(super) const ALL: [Self; 4] = [Self::Tokenize, Self::Queue, Self::Infer, Self::Post];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tokenize => "tokenize",
            Self::Queue => "queue",
            Self::Infer => "infer",
            Self::Post => "post",
        }
    }
}

/// Why a request got no answer that has nothing to do with what it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// The queue was full.
    Overloaded,
    /// The server was shutting down.
    Draining,
    /// No engine worker was up.
    NotReady,
    /// The deadline passed.
    Deadline,
    /// The client left before the answer.
    Abandoned,
    /// No key, or an unknown one.
    Unauthorized,
    /// A key that does not open the port, or a page in a browser at the operator's.
    Forbidden,
    /// The key's own rate was spent.
    RateLimited,
}

impl Rejection {
    pub(super) const ALL: [Self; 8] = [
        Self::Overloaded,
        Self::Draining,
        Self::NotReady,
        Self::Deadline,
        Self::Abandoned,
        Self::Unauthorized,
        Self::Forbidden,
        Self::RateLimited,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::Draining => "draining",
            Self::NotReady => "not_ready",
            Self::Deadline => "deadline",
            Self::Abandoned => "abandoned",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::RateLimited => "rate_limited",
        }
    }
}

/// The size of one computed batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchSize {
    pub(super) texts: usize,
    pub(super) tokens: usize,
    pub(super) longest: usize,
}

impl BatchSize {
    /// Of a batch of texts with these lengths in tokens.
    #[must_use]
    pub fn of(lengths: impl IntoIterator<Item = usize>) -> Self {
        lengths.into_iter().fold(Self::default(), |size, tokens| Self {
            texts: size.texts + 1,
            tokens: size.tokens + tokens,
            longest: size.longest.max(tokens),
        })
    }
}

/// What became of a try to load a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// It serves.
    Loaded,
    /// It was refused, and what served before still does.
    Refused,
}

impl Load {
    pub(super) const ALL: [Self; 2] = [Self::Loaded, Self::Refused];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Refused => "refused",
        }
    }
}

/// What became of the texts of a request that a shadow was to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shadowed {
    /// Both models' answers were compared.
    Compared,
    /// The server was busy, and the shadow went without.
    Dropped,
    /// The shadow gave no answer.
    Failed,
}

impl Shadowed {
    pub(super) const ALL: [Self; 3] = [Self::Compared, Self::Dropped, Self::Failed];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Compared => "compared",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
        }
    }
}

/// What is said of one version that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// The model's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The bundle's content hash.
    pub digest: String,
    /// The engine's name.
    pub backend: &'static str,
    /// How the weights are stored.
    pub precision: &'static str,
    /// How long it took to open, verify and warm.
    pub load: Duration,
}

/// How one label of one version stands beside what its bundle says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelInfo {
    /// The label.
    pub name: String,
    /// The share of the bundle's judged rows that it was decided for.
    pub expected: Option<f64>,
    /// How far its scores have moved.
    pub drift: Option<f64>,
}

/// The labels of one version that can be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelsInfo {
    /// The model's name.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Texts that the drift is of; none where the bundle holds nothing to compare with.
    pub texts: Option<u64>,
    /// In their order.
    pub labels: Vec<LabelInfo>,
}

/// What is sampled as the page is written.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// What waits, over all engines.
    pub depth: Depth,
    /// The versions that can be asked.
    pub models: Vec<ModelInfo>,
    /// Their labels.
    pub labels: Vec<LabelsInfo>,
}
