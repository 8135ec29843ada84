//! The command line as typed, and the one conversion to what it means.
//!
//! Every option also has an environment variable `LIMBIC_...`; what is typed wins. Durations carry
//! their unit: `10s`, `250ms`.

use std::net::{SocketAddr, ToSocketAddrs};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use thiserror::Error;

use super::config::{EngineConfig, Limits, ModelsConfig, ServeConfig, Settings, Times};
use super::engine::QueueLimits;
use super::telemetry::traces::{TraceArgs, TraceArgsError};
use super::threads::{Asked, Cores, ThreadPlan};
use crate::backend::{BackendError, EngineKind, Options, find_library};

/// Serves calibrated emotion probabilities of one bundle, or of several, over HTTP.
#[derive(Debug, Parser)]
#[command(name = "limbic-serve", version, args_conflicts_with_subcommands = true)]
pub struct ServeArgs {
    /// Something other than serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What to serve and how.
    #[command(flatten)]
    pub serving: ServingArgs,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Other things this program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask a running server whether it is ready; the exit status is the answer.
    Healthcheck(HealthcheckArgs),
}

/// Which server to ask.
#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// The full address to ask, plain http.
    #[arg(long, conflicts_with = "listen")]
    pub url: Option<String>,
    /// What the server was told to listen on.
    #[arg(long, env = "LIMBIC_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: String,
}

impl HealthcheckArgs {
    /// The address to ask. A server on all interfaces is asked on the loopback one.
    #[must_use]
    pub fn target(&self) -> String {
        let host = self.listen.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:");
        self.url.clone().unwrap_or_else(|| format!("http://{host}/health/ready"))
    }
}

/// What to serve and how.
#[derive(Debug, Args)]
pub struct ServingArgs {
    /// The bundle's folder.
    #[arg(long, value_name = "DIR", env = "LIMBIC_BUNDLE")]
    pub bundle: Option<PathBuf>,
    /// A folder of bundles, each a folder in it: all are served, by the name and version they state.
    #[arg(long, value_name = "DIR", env = "LIMBIC_MODELS")]
    pub models: Option<PathBuf>,
    /// Whose answers a request gets that names no model. Without it: the model of --bundle, or the
    /// only one.
    #[arg(long, value_name = "NAME", env = "LIMBIC_DEFAULT_MODEL")]
    pub default_model: Option<String>,
    /// How often to look whether the folder of --models changed; never without it.
    #[arg(long, value_name = "TIME", env = "LIMBIC_WATCH_MODELS", value_parser = duration, requires = "models")]
    pub watch_models: Option<Duration>,
    /// Address and port; port 0 lets the system choose.
    #[arg(long, env = "LIMBIC_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: String,
    /// Where to take changes to the models and show the metrics, which are nowhere else then. No key
    /// is asked for: keep it private.
    #[arg(long, value_name = "HOST:PORT", env = "LIMBIC_ADMIN_LISTEN")]
    pub admin_listen: Option<String>,
    /// Where to speak the Open Inference Protocol over gRPC as well; nowhere without it.
    #[arg(long, value_name = "HOST:PORT", env = "LIMBIC_GRPC_LISTEN")]
    pub grpc_listen: Option<String>,
    /// What computes. The default is onnx where this build has it.
    #[arg(long, env = "LIMBIC_ENGINE")]
    pub engine: Option<Engine>,
    /// The ONNX Runtime library. Without it: ORT_DYLIB_PATH, then what scripts/setup fetched.
    #[arg(long, value_name = "PATH", env = "LIMBIC_ORT_LIBRARY")]
    pub ort_library: Option<PathBuf>,
    /// Engine workers of each version, each with its own session. Without it: the cores that affinity
    /// and cgroup quota leave, over --intra-threads.
    #[arg(long, env = "LIMBIC_WORKERS")]
    pub workers: Option<NonZeroUsize>,
    /// Threads inside one session. Without it: 1.
    #[arg(long, env = "LIMBIC_INTRA_THREADS")]
    pub intra_threads: Option<NonZeroUsize>,
    /// Threads that speak HTTP. Without it: 1.
    #[arg(long, env = "LIMBIC_HTTP_THREADS")]
    pub http_threads: Option<NonZeroUsize>,
    /// Most tokens a batch, padding counted where the engine pads. Without it: 256.
    #[arg(long, env = "LIMBIC_BATCH_TOKENS")]
    pub batch_tokens: Option<NonZeroUsize>,
    /// Bytes of answers that each version keeps for texts that come again; 0 keeps none.
    #[arg(long, value_name = "BYTES", env = "LIMBIC_CACHE_BYTES", default_value = "0")]
    pub cache_bytes: u64,
    /// Most texts waiting.
    #[arg(long, env = "LIMBIC_QUEUE_TEXTS", default_value = "1024")]
    pub queue_texts: NonZeroUsize,
    /// Most tokens waiting.
    #[arg(long, env = "LIMBIC_QUEUE_TOKENS", default_value = "65536")]
    pub queue_tokens: NonZeroUsize,
    /// Most texts a request.
    #[arg(long, env = "LIMBIC_MAX_TEXTS", default_value = "64")]
    pub max_texts: NonZeroUsize,
    /// Most characters a text.
    #[arg(long, env = "LIMBIC_MAX_CHARACTERS", default_value = "20000")]
    pub max_characters: NonZeroUsize,
    /// Most characters a text that is read through windows.
    #[arg(long, env = "LIMBIC_MAX_WINDOWED_CHARACTERS", default_value = "100000")]
    pub max_windowed_characters: NonZeroUsize,
    /// Most that is read for one request: texts, their sentences and their windows.
    #[arg(long, env = "LIMBIC_MAX_PASSAGES", default_value = "512")]
    pub max_passages: NonZeroUsize,
    /// Most words explained a request.
    #[arg(long, env = "LIMBIC_MAX_EXPLAINED_WORDS", default_value = "128")]
    pub max_explained_words: NonZeroUsize,
    /// Most bytes a body; the bulk route takes any number of lines, each at most this long.
    #[arg(long, env = "LIMBIC_MAX_BODY_BYTES", default_value = "1048576")]
    pub max_body_bytes: NonZeroUsize,
    /// From a request to its answer, unless it brings x-request-timeout-ms.
    #[arg(long, env = "LIMBIC_DEADLINE", default_value = "10s", value_parser = duration)]
    pub deadline: Duration,
    /// The most that x-request-timeout-ms may ask for.
    #[arg(long, env = "LIMBIC_MAX_DEADLINE", default_value = "60s", value_parser = duration)]
    pub max_deadline: Duration,
    /// After the stop signal, how long requests are still admitted while readiness has fallen.
    #[arg(long, env = "LIMBIC_DRAIN_DELAY", default_value = "0s", value_parser = duration)]
    pub drain_delay: Duration,
    /// After that, how long what is in flight may take.
    #[arg(long, env = "LIMBIC_DRAIN_TIMEOUT", default_value = "25s", value_parser = duration)]
    pub drain_timeout: Duration,
    /// Where to tell traces.
    #[command(flatten)]
    pub traces: TraceArgs,
}

/// How to log. Whatever the level, no text of a request is logged.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// How much is logged, to standard error; debug has a line for every request.
    #[arg(long, env = "LIMBIC_LOG_LEVEL", default_value = "info")]
    pub log_level: tracing::Level,
    /// Lines for people or for machines.
    #[arg(long, env = "LIMBIC_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// An engine's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// ONNX Runtime.
    Onnx,
    /// candle.
    Candle,
}

impl From<Engine> for EngineKind {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Onnx => Self::Onnx,
            Engine::Candle => Self::Candle,
        }
    }
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What the machine and the process offer.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Cores this process may use, cgroup quota counted.
    pub cores: Cores,
    /// What `ORT_DYLIB_PATH` names.
    pub ort_dylib_path: Option<PathBuf>,
    /// Folders below which `scripts/setup` may have put the library.
    pub folders: Vec<PathBuf>,
}

/// Why what was typed makes no configuration.
#[derive(Debug, Error)]
pub enum ArgsError {
    /// Nothing to serve.
    #[error("no bundle: name its folder with --bundle DIR or LIMBIC_BUNDLE, or a folder of bundles with --models DIR or LIMBIC_MODELS")]
    NoBundle,
    /// Watching without a pause is no watching.
    #[error("--watch-models 0: expected a time above zero, as in 10s")]
    WatchTime,
    /// Nowhere to listen.
    #[error("{option} {found:?}: expected HOST:PORT")]
    Listen {
        /// The option.
        option: &'static str,
        /// As typed.
        found: String,
    },
    /// A request that is allowed could never be admitted.
    #[error("--queue-texts {queue} is less than {option} {request}: a request of the largest size could never enter")]
    QueueTooSmall {
        /// The option that allows too much.
        option: &'static str,
        /// Texts that may wait.
        queue: usize,
        /// Texts that a request may bring.
        request: usize,
    },
    /// Traces cannot be told like that.
    #[error(transparent)]
    Traces(#[from] TraceArgsError),
    /// The engine's library is not there.
    #[error(transparent)]
    Library(#[from] BackendError),
}

impl ServingArgs {
    /// What was typed, completed from the surroundings.
    ///
    /// # Errors
    /// [`ArgsError`] naming the option.
    pub fn resolve(self, around: &Surroundings) -> Result<ServeConfig, ArgsError> {
        for (option, request) in [("--max-texts", self.max_texts), ("--max-passages", self.max_passages)] {
            if self.queue_texts < request {
                return Err(ArgsError::QueueTooSmall { option, queue: self.queue_texts.get(), request: request.get() });
            }
        }
        let listen = address("--listen", &self.listen)?;
        let admin = self.admin_listen.as_deref().map(|typed| address("--admin-listen", typed)).transpose()?;
        let grpc = self.grpc_listen.as_deref().map(|typed| address("--grpc-listen", typed)).transpose()?;
        let asked = Asked { workers: self.workers, intra: self.intra_threads, batch_tokens: self.batch_tokens, http: self.http_threads };
        let threads = ThreadPlan::choose(around.cores, asked);
        let engine = self.engine(around, &threads)?;
        let settings = self.settings(&threads);
        let traces = self.traces.resolve()?;
        Ok(ServeConfig { models: self.models()?, listen, admin, grpc, engine, settings, threads, traces })
    }

    fn models(self) -> Result<ModelsConfig, ArgsError> {
        if self.bundle.is_none() && self.models.is_none() {
            return Err(ArgsError::NoBundle);
        }
        if self.watch_models.is_some_and(|every| every.is_zero()) {
            return Err(ArgsError::WatchTime);
        }
        Ok(ModelsConfig { bundle: self.bundle, folder: self.models, default: self.default_model, watch: self.watch_models })
    }

    fn engine(&self, around: &Surroundings, threads: &ThreadPlan) -> Result<EngineConfig, ArgsError> {
        let default = if cfg!(feature = "onnx") { EngineKind::Onnx } else { EngineKind::Candle };
        let kind = self.engine.map_or(default, EngineKind::from);
        let named = self.ort_library.as_deref().or(around.ort_dylib_path.as_deref());
        let library = match kind {
            EngineKind::Onnx => Some(find_library(named.filter(|path| *path != Path::new("")), &around.folders)?),
            EngineKind::Candle => None,
        };
        let options = Options { library, intra_threads: threads.intra.get() };
        Ok(EngineConfig { kind, options, workers: threads.workers })
    }

    fn settings(&self, threads: &ThreadPlan) -> Settings {
        let usual = Settings::default();
        Settings {
            limits: Limits {
                body_bytes: self.max_body_bytes.get(),
                texts: self.max_texts,
                characters: self.max_characters.get(),
                windowed_characters: self.max_windowed_characters.get(),
                passages: self.max_passages,
                words: self.max_explained_words,
                ..usual.limits
            },
            queue: QueueLimits { texts: self.queue_texts, tokens: self.queue_tokens },
            batch_tokens: threads.batch_tokens,
            cache_bytes: NonZeroU64::new(self.cache_bytes),
            times: Times {
                deadline: self.deadline.min(self.max_deadline),
                longest_deadline: self.max_deadline,
                drain_delay: self.drain_delay,
                drain: self.drain_timeout,
                ..usual.times
            },
            async_workers: threads.http,
        }
    }
}

fn address(option: &'static str, typed: &str) -> Result<SocketAddr, ArgsError> {
    let found = || ArgsError::Listen { option, found: typed.to_owned() };
    typed.to_socket_addrs().ok().and_then(|mut addresses| addresses.next()).ok_or_else(found)
}

/// `10s`, `250ms`, or a plain number of seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, scale) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 1),
        (None, Some(number)) => (number, 1000),
        (None, None) => (text, 1000),
    };
    let number: u64 = number.trim().parse().map_err(|_| "expected a whole number with its unit, as in 10s or 250ms".to_owned())?;
    number.checked_mul(scale).map(Duration::from_millis).ok_or_else(|| "too long".to_owned())
}
