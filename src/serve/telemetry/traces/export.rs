//! The way out: spans wait in a bounded queue, go in batches, and are dropped rather than waited for.
//!
//! The exporter has a runtime and a thread of its own, so that a collector that hangs holds up nothing that serves. An
//! outage is warned about once, and so is its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::resource::{EnvResourceDetector, ResourceDetector, SdkProvidedResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::TracesError;
use super::config::{Protocol, TracesConfig};
use super::sampling::LinkedOr;

/// What the SDK calls a program that nobody named.
const UNNAMED: &str = "unknown_service";
const SERVICE_NAME: Key = Key::from_static_str("service.name");

/// The pipeline from a span to the collector.
pub(super) struct Export {
    provider: SdkTracerProvider,
    /// Its drop ends the exporter's thread.
    _running: Mutex<Option<oneshot::Sender<()>>>,
}

impl Export {
    pub(super) fn start(config: &TracesConfig) -> Result<Self, TracesError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(TracesError::Thread)?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel::<()>();
        let exporter = {
            // A channel is made in the runtime that will drive it.
            let _entered = handle.enter();
            exporter(config)?
        };
        let driven = move || drop(runtime.block_on(ended));
        std::thread::Builder::new().name("limbic-otlp".to_owned()).spawn(driven).map_err(TracesError::Thread)?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(Apart { exporter: Arc::new(exporter), runtime: handle, failing: AtomicBool::new(false) })
            .with_sampler(LinkedOr::new(config.sampling))
            .with_resource(resource())
            .build();
        // An address may hold a password in front of the host.
        let endpoint = config.endpoint.rsplit('@').next().unwrap_or_default();
        tracing::info!(endpoint, protocol = %config.protocol, "traces are told to a collector");
        Ok(Self { provider, _running: Mutex::new(Some(running)) })
    }

    pub(super) fn provider(&self) -> &SdkTracerProvider {
        &self.provider
    }

    /// Tells what is left, for at most `patience`. Blocks.
    pub(super) fn end(&self, patience: Duration) {
        if let Err(error) = self.provider.shutdown_with_timeout(patience) {
            tracing::warn!(%error, "the last traces were not told");
        }
        drop(self._running.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

fn exporter(config: &TracesConfig) -> Result<SpanExporter, TracesError> {
    let exporter = SpanExporter::builder();
    Ok(match config.protocol {
        Protocol::Grpc => exporter.with_tonic().with_endpoint(&config.endpoint).build()?,
        Protocol::HttpProtobuf => {
            let exporter = exporter.with_http().with_protocol(opentelemetry_otlp::Protocol::HttpBinary);
            exporter.with_endpoint(&config.endpoint).build()?
        }
    })
}

/// Who tells: named `limbic` unless the environment names it, an instance of its own each start; more comes from
/// `OTEL_RESOURCE_ATTRIBUTES`, which also has the last word.
fn resource() -> Resource {
    let named = SdkProvidedResourceDetector.detect().get(&SERVICE_NAME).filter(|name| !name.as_str().starts_with(UNNAMED));
    let own =
        [KeyValue::new("service.version", env!("CARGO_PKG_VERSION")), KeyValue::new("service.instance.id", Uuid::now_v7().to_string())];
    let resource = Resource::builder_empty().with_attributes(own);
    let resource = resource.with_detectors(&[Box::new(TelemetryResourceDetector), Box::new(EnvResourceDetector::new())]);
    // Last: the variable of its own goes before a name among the attributes.
    resource.with_attribute(KeyValue::new(SERVICE_NAME, named.unwrap_or_else(|| "limbic".into()))).build()
}

/// An exporter that works in its own runtime, whoever asks it.
#[derive(Debug)]
struct Apart {
    exporter: Arc<SpanExporter>,
    runtime: Handle,
    /// Whether the last batch was lost.
    failing: AtomicBool,
}

impl opentelemetry_sdk::trace::SpanExporter for Apart {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let (exporter, spans) = (Arc::clone(&self.exporter), batch.len());
        let export = self.runtime.spawn(async move { opentelemetry_sdk::trace::SpanExporter::export(&*exporter, batch).await });
        let told = export.await.unwrap_or_else(|_| Err(OTelSdkError::InternalFailure("its thread has ended".to_owned())));
        let failed_before = self.failing.swap(told.is_err(), Ordering::Relaxed);
        match &told {
            Err(error) if !failed_before => tracing::warn!(%error, spans, "traces are lost: the collector does not take them"),
            Ok(()) if failed_before => tracing::info!("the collector takes traces again"),
            Ok(()) | Err(_) => {}
        }
        told
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Said before the first batch, when nobody else holds the exporter.
        if let Some(exporter) = Arc::get_mut(&mut self.exporter) {
            opentelemetry_sdk::trace::SpanExporter::set_resource(exporter, resource);
        }
    }
}
