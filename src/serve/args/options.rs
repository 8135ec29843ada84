//! The options of serving, by section. Each is at once a flag, an environment variable and a key of the
//! configuration file, all named after the flag ([`file`](super::file)); `docs/configuration.md` is made
//! from what stands here.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::backend::EngineKind;
use crate::serve::cors::Origin;
use crate::serve::secret::Secret;

/// Which bundles to serve.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bundles")]
pub struct BundleArgs {
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
    #[arg(long, value_name = "TIME", env = "LIMBIC_WATCH_MODELS", value_parser = duration)]
    pub watch_models: Option<Duration>,
}

/// Where to listen.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// Address and port; port 0 lets the system choose.
    #[arg(long, value_name = "HOST:PORT", env = "LIMBIC_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: String,
    /// Where to take changes to the models and show the metrics, which are nowhere else then. It asks
    /// for an admin key where there are keys; without any, keep it private.
    #[arg(long, value_name = "HOST:PORT", env = "LIMBIC_ADMIN_LISTEN")]
    pub admin_listen: Option<String>,
    /// Where to speak the Open Inference Protocol over gRPC as well; nowhere without it.
    #[arg(long, value_name = "HOST:PORT", env = "LIMBIC_GRPC_LISTEN")]
    pub grpc_listen: Option<String>,
    /// Threads that speak HTTP. Without it: 1.
    #[arg(long, value_name = "COUNT", env = "LIMBIC_HTTP_THREADS")]
    pub http_threads: Option<NonZeroUsize>,
}

/// What computes, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Compute")]
pub struct ComputeArgs {
    /// What computes. The default is onnx where this build has it.
    #[arg(long, value_name = "NAME", env = "LIMBIC_ENGINE")]
    pub engine: Option<Engine>,
    /// The ONNX Runtime library. Without it: ORT_DYLIB_PATH, then what scripts/setup fetched.
    #[arg(long, value_name = "PATH", env = "LIMBIC_ORT_LIBRARY")]
    pub ort_library: Option<PathBuf>,
    /// Engine workers of each version, each with its own session. Without it: the cores that affinity
    /// and cgroup quota leave, over --intra-threads.
    #[arg(long, value_name = "COUNT", env = "LIMBIC_WORKERS")]
    pub workers: Option<NonZeroUsize>,
    /// Threads inside one session. Without it: 1.
    #[arg(long, value_name = "COUNT", env = "LIMBIC_INTRA_THREADS")]
    pub intra_threads: Option<NonZeroUsize>,
    /// Most tokens a batch, padding counted where the engine pads. Without it: 256.
    #[arg(long, value_name = "COUNT", env = "LIMBIC_BATCH_TOKENS")]
    pub batch_tokens: Option<NonZeroUsize>,
    /// Bytes of answers that each version keeps for texts that come again; 0 keeps none.
    #[arg(long, value_name = "BYTES", env = "LIMBIC_CACHE_BYTES", default_value = "0")]
    pub cache_bytes: u64,
}

/// What may wait, and what one request may bring.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Most texts waiting.
    #[arg(long, value_name = "COUNT", env = "LIMBIC_QUEUE_TEXTS", default_value = "1024")]
    pub queue_texts: NonZeroUsize,
    /// Most tokens waiting.
    #[arg(long, value_name = "COUNT", env = "LIMBIC_QUEUE_TOKENS", default_value = "65536")]
    pub queue_tokens: NonZeroUsize,
    /// Most texts a request.
    #[arg(long, value_name = "COUNT", env = "LIMBIC_MAX_TEXTS", default_value = "64")]
    pub max_texts: NonZeroUsize,
    /// Most characters a text.
    #[arg(long, value_name = "COUNT", env = "LIMBIC_MAX_CHARACTERS", default_value = "20000")]
    pub max_characters: NonZeroUsize,
    /// Most characters a text that is read through windows.
    #[arg(long, value_name = "COUNT", env = "LIMBIC_MAX_WINDOWED_CHARACTERS", default_value = "100000")]
    pub max_windowed_characters: NonZeroUsize,
    /// Most that is read for one request: texts, their sentences and their windows.
    #[arg(long, value_name = "COUNT", env = "LIMBIC_MAX_PASSAGES", default_value = "512")]
    pub max_passages: NonZeroUsize,
    /// Most words explained a request.
    #[arg(long, value_name = "COUNT", env = "LIMBIC_MAX_EXPLAINED_WORDS", default_value = "128")]
    pub max_explained_words: NonZeroUsize,
    /// Most bytes a body; the bulk route takes any number of lines, each at most this long.
    #[arg(long, value_name = "BYTES", env = "LIMBIC_MAX_BODY_BYTES", default_value = "1048576")]
    pub max_body_bytes: NonZeroUsize,
}

/// How long things may take. Durations carry their unit: `10s`, `250ms`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Times")]
pub struct TimeArgs {
    /// From a request to its answer, unless it brings x-request-timeout-ms.
    #[arg(long, value_name = "TIME", env = "LIMBIC_DEADLINE", default_value = "10s", value_parser = duration)]
    pub deadline: Duration,
    /// The most that x-request-timeout-ms may ask for.
    #[arg(long, value_name = "TIME", env = "LIMBIC_MAX_DEADLINE", default_value = "60s", value_parser = duration)]
    pub max_deadline: Duration,
    /// After the stop signal, how long requests are still admitted while readiness has fallen.
    #[arg(long, value_name = "TIME", env = "LIMBIC_DRAIN_DELAY", default_value = "0s", value_parser = duration)]
    pub drain_delay: Duration,
    /// After that, how long what is in flight may take.
    #[arg(long, value_name = "TIME", env = "LIMBIC_DRAIN_TIMEOUT", default_value = "25s", value_parser = duration)]
    pub drain_timeout: Duration,
}

/// Who may ask.
#[derive(Debug, Args)]
#[command(next_help_heading = "Access")]
pub struct AccessArgs {
    /// A key that may ask, as its name and hash, then what else holds for it, all between colons: admin,
    /// texts=PER_SECOND or requests=PER_SECOND, burst=COUNT. May be given several times, in the variable
    /// with commas. Without any, nobody is asked for a key. limbic-serve key makes one.
    #[arg(long, value_name = "NAME:SHA256", env = "LIMBIC_KEY", value_delimiter = ',')]
    pub key: Vec<Secret>,
    /// Whether the metrics ask for a key, where there are keys.
    #[arg(long, value_name = "WHO", env = "LIMBIC_METRICS_ACCESS", default_value = "open")]
    pub metrics_access: MetricsAccess,
    /// An origin whose pages may read answers in a browser, as in `https://example.org`; * is all. May be
    /// given several times, in the variable with commas. Without any, no page may.
    #[arg(long, value_name = "ORIGIN", env = "LIMBIC_CORS_ORIGIN", value_delimiter = ',')]
    pub cors_origin: Vec<Origin>,
}

/// With which certificate to serve, on every port; without one in the clear.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// The certificate and those that lead from it to a root, as PEM. Without it: plain HTTP.
    #[arg(long, value_name = "FILE", env = "LIMBIC_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, as PEM that is not encrypted.
    #[arg(long, value_name = "FILE", env = "LIMBIC_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
    /// How often to look whether the two files changed.
    #[arg(long, value_name = "TIME", env = "LIMBIC_TLS_RELOAD", default_value = "10s", value_parser = duration)]
    pub tls_reload: Duration,
}

/// How to log. Whatever the level, no text of a request and no key is logged.
#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
pub struct LogArgs {
    /// How much is logged, to standard error: error, warn, info, debug or trace; debug has a line for
    /// every request.
    #[arg(long, value_name = "LEVEL", env = "LIMBIC_LOG_LEVEL", default_value = "info")]
    pub log_level: tracing::Level,
    /// Lines for people or for machines.
    #[arg(long, value_name = "FORMAT", env = "LIMBIC_LOG_FORMAT", default_value = "text")]
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

/// Who may read the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MetricsAccess {
    /// Whoever reaches them.
    Open,
    /// Whoever has a key.
    Key,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
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
