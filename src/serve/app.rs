//! The HTTP server around a [`Service`]: listening, and stopping in order.
//!
//! The caller brings the socket and says when to stop, so that tests run the very server that the
//! binary runs. Nothing here reads a signal or the environment.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App as ActixApp, HttpServer, web};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::boot::{ServeError, Service};
use super::config::{Limits, Settings};
use super::edge;
use super::engine::Engine;
use super::error::ApiError;
use super::model::ServedModel;
use super::routes;
use super::shutdown::Lifecycle;
use super::telemetry::Telemetry;
use super::wire::check::TextLimits;

/// How long answered connections get to take their last bytes.
const CLOSE_SECONDS: u64 = 2;
/// How long the engine's threads get to leave once nothing waits.
const JOIN: Duration = Duration::from_secs(5);

/// What every route can see.
pub(crate) struct App {
    pub(crate) model: Arc<ServedModel>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) settings: Settings,
    pub(crate) lifecycle: Arc<Lifecycle>,
}

/// The model that answers one request, from its first look to its last.
#[derive(Clone)]
pub(crate) struct Chosen {
    pub(crate) model: Arc<ServedModel>,
    pub(crate) engine: Arc<Engine>,
    telemetry: Arc<Telemetry>,
}

impl Chosen {
    /// One text that `label` (a position) was decided for.
    pub(crate) fn positive(&self, label: usize) {
        self.telemetry.positive(label);
    }
}

impl App {
    /// Who answers a request that names `model`, as `name` or `name@version`, or none.
    ///
    /// # Errors
    /// [`ApiError::UnknownModel`].
    pub(crate) fn choose(&self, model: Option<&str>) -> Result<Chosen, ApiError> {
        let ServedModel { name, version, .. } = &*self.model;
        if model.is_some_and(|asked| asked != name && asked != format!("{name}@{version}")) {
            return Err(ApiError::UnknownModel(name.clone()));
        }
        Ok(Chosen { model: Arc::clone(&self.model), engine: Arc::clone(&self.engine), telemetry: Arc::clone(&self.telemetry) })
    }

    pub(crate) fn text_limits(&self) -> TextLimits {
        let Limits { texts, characters, windowed_characters, .. } = self.settings.limits;
        TextLimits { texts: texts.get(), characters, windowed_characters }
    }
}

/// Serves on `listener` until `shutdown` resolves, then drains.
///
/// Readiness falls at once; requests are still admitted for the configured delay; then what is in
/// flight is answered, the workers are joined and the connections closed.
///
/// # Errors
/// [`ServeError::Listen`] when the server cannot start, [`ServeError::Unfinished`] when something
/// was still in flight at the end of the drain.
pub async fn run(listener: TcpListener, service: Service, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    let Service { model, engine, telemetry, settings } = service;
    let lifecycle = Arc::new(Lifecycle::default());
    let app = web::Data::new(App { model, engine: Arc::new(engine), telemetry, settings, lifecycle });
    let shared = app.clone();
    let times = settings.times;
    let server = HttpServer::new(move || ActixApp::new().app_data(shared.clone()).wrap(from_fn(edge::edge)).configure(routes::register));
    let mut server = server
        .workers(settings.async_workers.get())
        // Tokenising is all that runs there, and the engine's permits bound how much of it waits.
        .worker_max_blocking_threads(2)
        .keep_alive(times.keep_alive)
        .client_request_timeout(times.slow_client)
        // A client that closes has left: its work is dropped.
        .h1_allow_half_closed(false)
        .shutdown_timeout(CLOSE_SECONDS)
        .disable_signals()
        .listen(listener)
        .map_err(ServeError::Listen)?
        .run();
    let handle = server.handle();
    tokio::select! {
        ended = &mut server => return ended.map_err(ServeError::Listen),
        () = shutdown => {}
    }
    let (ended, drained) = tokio::join!(server, drain(&app, handle));
    ended.map_err(ServeError::Listen)?;
    drained
}

async fn drain(app: &App, handle: ServerHandle) -> Result<(), ServeError> {
    let times = app.settings.times;
    app.lifecycle.start_draining();
    tracing::info!(delay_ms = times.drain_delay.as_millis(), "stopping: readiness has fallen");
    sleep(times.drain_delay).await;
    app.engine.refuse();
    let answered = timeout(times.drain, app.lifecycle.idle()).await.is_ok();
    // A worker that kept a request waiting for that long would not leave in time either.
    let joined = answered && timeout(JOIN, join(Arc::clone(&app.engine))).await.is_ok();
    handle.stop(true).await;
    if answered && joined { Ok(()) } else { Err(ServeError::Unfinished { answered, joined }) }
}

/// Joins the engine's threads on a thread of its own, so that one that hangs cannot keep the
/// runtime from ending.
async fn join(engine: Arc<Engine>) {
    let (done, wait) = oneshot::channel();
    let joiner = std::thread::Builder::new().name("limbic-join".to_owned()).spawn(move || {
        engine.join();
        let _ = done.send(());
    });
    if joiner.is_ok() {
        // An error means that the joiner panicked, after which there is nothing to wait for.
        let _ = wait.await;
    }
}
