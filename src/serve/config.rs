//! The server's configuration as resolved: every value present, in range, and consistent with the
//! others. How it is typed is [`args`](super::args)' business.

use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use super::access::AccessConfig;
use super::cors::Origin;
use super::engine::QueueLimits;
use super::telemetry::traces::TracesConfig;
use super::threads::ThreadPlan;
use super::tls::TlsConfig;
use crate::backend::{EngineKind, Options};

/// Everything `limbic-serve` needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct ServeConfig {
    /// What to serve.
    pub models: ModelsConfig,
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where to take changes to the models and show the metrics; neither is to be had elsewhere
    /// then.
    pub admin: Option<SocketAddr>,
    /// Where to listen for gRPC; nowhere without it.
    pub grpc: Option<SocketAddr>,
    /// How to compute.
    pub engine: EngineConfig,
    /// How to serve.
    pub settings: Settings,
    /// Who may ask, and how.
    pub safety: SafetyConfig,
    /// What the threads above follow from, to be told.
    pub threads: ThreadPlan,
    /// Where traces are told, if anywhere.
    pub traces: Option<TracesConfig>,
}

/// Which bundles to serve. At least one of the first two is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelsConfig {
    /// One bundle's folder.
    pub bundle: Option<PathBuf>,
    /// A folder of bundles, each a folder in it.
    pub folder: Option<PathBuf>,
    /// The name that answers a request that names none.
    pub default: Option<String>,
    /// How often to look whether the folder changed; never without it.
    pub watch: Option<Duration>,
}

/// What stands between the sockets and the routes; without any of it everything is open, in the clear
/// and to no web page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SafetyConfig {
    /// The keys.
    pub access: AccessConfig,
    /// The origins whose pages may read answers.
    pub origins: Vec<Origin>,
    /// The certificate to serve with, on every port.
    pub tls: Option<TlsConfig>,
}

/// Which engine, how often, and with how many threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// The engine.
    pub kind: EngineKind,
    /// How each of its sessions is opened.
    pub options: Options,
    /// Workers, each a thread with its own session.
    pub workers: NonZeroUsize,
}

/// What does not depend on the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// What one request may bring.
    pub limits: Limits,
    /// What may wait.
    pub queue: QueueLimits,
    /// Most tokens a batch.
    pub batch_tokens: NonZeroUsize,
    /// Bytes of answers kept for texts that come again, for each version; none without it.
    pub cache_bytes: Option<NonZeroU64>,
    /// How long things may take.
    pub times: Times,
    /// Threads that speak HTTP.
    pub async_workers: NonZeroUsize,
}

/// What one request may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Pieces that a chunked body may come in: many tiny ones cost far more than their bytes.
    pub body_chunks: usize,
    /// Texts.
    pub texts: NonZeroUsize,
    /// Characters (Unicode scalar values) of one text.
    pub characters: usize,
    /// The same for a text that is read through windows, of which nothing is cut.
    pub windowed_characters: usize,
    /// What the model reads for one request: texts, their sentences and windows.
    pub passages: NonZeroUsize,
    /// Words that one request may have explained; the model reads the text once for each.
    pub words: NonZeroUsize,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// From a request's head to its answer, unless the request says otherwise.
    pub deadline: Duration,
    /// The most a request may ask for in `x-request-timeout-ms`.
    pub longest_deadline: Duration,
    /// For a request's head to arrive, and then for its body.
    pub slow_client: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// From the stop signal until admission ends; readiness has fallen meanwhile.
    pub drain_delay: Duration,
    /// From then until what is still in flight is given up.
    pub drain: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits {
                body_bytes: 1 << 20,
                body_chunks: 1 << 16,
                texts: count(64),
                characters: 20_000,
                windowed_characters: 100_000,
                passages: count(512),
                words: count(128),
            },
            queue: QueueLimits { texts: count(1024), tokens: count(65_536) },
            batch_tokens: count(256),
            cache_bytes: None,
            times: Times {
                deadline: Duration::from_secs(10),
                longest_deadline: Duration::from_secs(60),
                slow_client: Duration::from_secs(5),
                keep_alive: Duration::from_secs(75),
                drain_delay: Duration::ZERO,
                drain: Duration::from_secs(25),
            },
            async_workers: count(1),
        }
    }
}

/// A constant that is not zero.
const fn count(value: usize) -> NonZeroUsize {
    match NonZeroUsize::new(value) {
        Some(value) => value,
        None => NonZeroUsize::MIN,
    }
}
