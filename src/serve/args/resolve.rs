//! From what was typed to what it means: every value present, in range and consistent with the others.

use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::ServingArgs;
use super::options::{AccessArgs, BundleArgs, ComputeArgs, MetricsAccess, TlsArgs};

use crate::backend::{BackendError, EngineKind, Options, find_library};
use crate::serve::access::{AccessConfig, KeyError, KeySpec};
use crate::serve::config::{EngineConfig, Limits, ModelsConfig, SafetyConfig, ServeConfig, Settings, Times};
use crate::serve::engine::QueueLimits;
use crate::serve::telemetry::traces::TraceArgsError;
use crate::serve::threads::{Asked, Cores, ThreadPlan};
use crate::serve::tls::TlsConfig;

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
    /// Looking without a pause is no looking.
    #[error("{option} 0: expected a time above zero, as in 10s")]
    NoPause {
        /// The option.
        option: &'static str,
    },
    /// One of two options that only mean something together.
    #[error("{given} without {missing}: expected both or neither")]
    Half {
        /// The option that stands alone.
        given: &'static str,
        /// The option it needs.
        missing: &'static str,
    },
    /// No key. Its text is not repeated: it could hold one.
    #[error("--key")]
    Key(#[from] KeyError),
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
        let limits = &self.limits;
        for (option, request) in [("--max-texts", limits.max_texts), ("--max-passages", limits.max_passages)] {
            if limits.queue_texts < request {
                return Err(ArgsError::QueueTooSmall { option, queue: limits.queue_texts.get(), request: request.get() });
            }
        }
        let listen = address("--listen", &self.network.listen)?;
        let admin = self.network.admin_listen.as_deref().map(|typed| address("--admin-listen", typed)).transpose()?;
        let grpc = self.network.grpc_listen.as_deref().map(|typed| address("--grpc-listen", typed)).transpose()?;
        let ComputeArgs { workers, intra_threads, batch_tokens, .. } = self.compute;
        let threads =
            ThreadPlan::choose(around.cores, Asked { workers, intra: intra_threads, batch_tokens, http: self.network.http_threads });
        let settings = self.settings(&threads);
        let engine = engine(&self.compute, around, &threads)?;
        let safety = safety(self.access, self.tls)?;
        let traces = self.traces.resolve()?;
        Ok(ServeConfig { models: models(self.bundles)?, listen, admin, grpc, engine, settings, safety, threads, traces })
    }

    fn settings(&self, threads: &ThreadPlan) -> Settings {
        let usual = Settings::default();
        let (limits, times) = (&self.limits, &self.times);
        Settings {
            limits: Limits {
                body_bytes: limits.max_body_bytes.get(),
                texts: limits.max_texts,
                characters: limits.max_characters.get(),
                windowed_characters: limits.max_windowed_characters.get(),
                passages: limits.max_passages,
                words: limits.max_explained_words,
                ..usual.limits
            },
            queue: QueueLimits { texts: limits.queue_texts, tokens: limits.queue_tokens },
            batch_tokens: threads.batch_tokens,
            cache_bytes: NonZeroU64::new(self.compute.cache_bytes),
            times: Times {
                deadline: times.deadline.min(times.max_deadline),
                longest_deadline: times.max_deadline,
                drain_delay: times.drain_delay,
                drain: times.drain_timeout,
                ..usual.times
            },
            async_workers: threads.http,
        }
    }
}

fn models(bundles: BundleArgs) -> Result<ModelsConfig, ArgsError> {
    let BundleArgs { bundle, models: folder, default_model: default, watch_models: watch } = bundles;
    if bundle.is_none() && folder.is_none() {
        return Err(ArgsError::NoBundle);
    }
    if folder.is_none() && watch.is_some() {
        return Err(ArgsError::Half { given: "--watch-models", missing: "--models" });
    }
    let watch = watch.map(|every| pause("--watch-models", every)).transpose()?;
    Ok(ModelsConfig { bundle, folder, default, watch })
}

fn engine(asked: &ComputeArgs, around: &Surroundings, threads: &ThreadPlan) -> Result<EngineConfig, ArgsError> {
    let default = if cfg!(feature = "onnx") { EngineKind::Onnx } else { EngineKind::Candle };
    let kind = asked.engine.map_or(default, EngineKind::from);
    let named = asked.ort_library.as_deref().or(around.ort_dylib_path.as_deref());
    let library = match kind {
        EngineKind::Onnx => Some(find_library(named.filter(|path| *path != Path::new("")), &around.folders)?),
        EngineKind::Candle => None,
    };
    let options = Options { library, intra_threads: threads.intra.get() };
    Ok(EngineConfig { kind, options, workers: threads.workers })
}

fn safety(access: AccessArgs, tls: TlsArgs) -> Result<SafetyConfig, ArgsError> {
    let AccessArgs { key: keys, metrics_access, cors_origin: origins } = access;
    let keys = keys.iter().map(|key| key.expose().parse()).collect::<Result<Vec<KeySpec>, KeyError>>()?;
    let reload = pause("--tls-reload", tls.tls_reload)?;
    let tls = match (tls.tls_cert, tls.tls_key) {
        (Some(cert), Some(key)) => Some(TlsConfig { cert, key, reload }),
        (None, None) => None,
        (Some(_), None) => return Err(ArgsError::Half { given: "--tls-cert", missing: "--tls-key" }),
        (None, Some(_)) => return Err(ArgsError::Half { given: "--tls-key", missing: "--tls-cert" }),
    };
    let access = AccessConfig { keys, guards_metrics: metrics_access == MetricsAccess::Key };
    Ok(SafetyConfig { access, origins, tls })
}

fn pause(option: &'static str, time: Duration) -> Result<Duration, ArgsError> {
    if time.is_zero() { Err(ArgsError::NoPause { option }) } else { Ok(time) }
}

fn address(option: &'static str, typed: &str) -> Result<SocketAddr, ArgsError> {
    let found = || ArgsError::Listen { option, found: typed.to_owned() };
    typed.to_socket_addrs().ok().and_then(|mut addresses| addresses.next()).ok_or_else(found)
}
