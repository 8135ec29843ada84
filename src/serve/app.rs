//! The server around a [`Service`], over HTTP and gRPC: listening, and stopping in order.
//!
//! The caller brings the socket and says when to stop, so that tests run the very server that the
//! binary runs. Nothing here reads a signal or the environment.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::{App as ActixApp, HttpServer, web};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::access::{Access, Standing, Who};
use super::boot::{Safety, ServeError, Service};
use super::config::{Limits, Settings};
use super::cors::Cors;
use super::edge;
use super::error::ApiError;
use super::registry::{Chosen, ModelId, Registry};
use super::routes::grpc::{self, Listening};
use super::routes::{self, Port};
use super::shutdown::Lifecycle;
use super::telemetry::Telemetry;
use super::tls::Tls;
use super::wire::check::TextLimits;

/// How long answered connections get to take their last bytes.
const CLOSE_SECONDS: u64 = 2;
/// How long the engines' threads get to leave once nothing waits.
const JOIN: Duration = Duration::from_secs(5);
/// How long the last traces get to reach their collector.
const LAST_TRACES: Duration = Duration::from_secs(2);

/// What every route can see.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) registry: Arc<Registry>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) settings: Settings,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) access: Arc<Access>,
    pub(crate) cors: Arc<Cors>,
    /// Which of the sockets this is behind.
    pub(crate) port: Port,
}

impl App {
    pub(crate) fn text_limits(&self) -> TextLimits {
        let Limits { texts, characters, windowed_characters, .. } = self.settings.limits;
        TextLimits { texts: texts.get(), characters, windowed_characters }
    }

    /// Takes texts from a key's rate, and counts them.
    ///
    /// # Errors
    /// As [`Access::spend`].
    pub(crate) fn spend(&self, who: Who, texts: usize) -> Result<Option<Standing>, ApiError> {
        let standing = self.access.spend(who, texts)?;
        if let Some(key) = self.access.name(who) {
            self.telemetry.key_texts(key, texts);
        }
        Ok(standing)
    }

    /// Who answers a request that names `model`, as `name` or `name@version`, or none.
    ///
    /// # Errors
    /// [`ApiError::UnknownModel`].
    pub(crate) fn choose(&self, model: Option<&str>) -> Result<Chosen, ApiError> {
        let found = match model {
            None => Some(self.registry.default()),
            Some(written) => ModelId::parse(written).and_then(|id| self.registry.find(Some(id))),
        };
        found.ok_or_else(|| ApiError::UnknownModel(format!("expected one of {}", self.registry.names().join(", "))))
    }
}

/// Where the server listens.
#[derive(Debug)]
pub struct Sockets {
    /// For everybody's requests.
    pub api: TcpListener,
    /// For changes to the models, and for the metrics; without it there are no such changes, and
    /// the metrics are beside the rest.
    pub admin: Option<TcpListener>,
    /// For everybody's requests over gRPC.
    pub grpc: Option<TcpListener>,
}

impl From<TcpListener> for Sockets {
    fn from(api: TcpListener) -> Self {
        Self { api, admin: None, grpc: None }
    }
}

/// Serves on `sockets` until `shutdown` resolves, then drains.
///
/// Readiness falls at once; requests are still admitted for the configured delay; then what is in
/// flight is answered, the workers are joined and the connections closed.
///
/// # Errors
/// [`ServeError::Listen`] when the server cannot start, [`ServeError::Unfinished`] when something
/// was still in flight at the end of the drain.
pub async fn run(sockets: impl Into<Sockets>, service: Service, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    let Sockets { api, admin, grpc } = sockets.into();
    let Safety { access, cors, tls } = service.safety;
    let app = App {
        registry: service.registry,
        telemetry: service.telemetry,
        settings: service.settings,
        lifecycle: Arc::default(),
        access: Arc::new(access),
        cors: Arc::new(cors),
        port: Port::Api { metrics: admin.is_none() },
    };
    let mut server = listen(api, app.clone(), tls.as_ref())?;
    // With a count of its own: a load that takes minutes does not hold the drain up.
    let operators = App { lifecycle: Arc::default(), cors: Arc::default(), port: Port::Admin, ..app.clone() };
    let admin = admin.map(|socket| listen(socket, operators, tls.as_ref())).transpose()?;
    let admin = admin.map(|server| (server.handle(), tokio::spawn(server)));
    let grpc = grpc.map(|socket| grpc::listen(socket, app.clone(), tls.as_ref())).transpose().map_err(ServeError::Listen)?;
    let handle = server.handle();
    tokio::select! {
        ended = &mut server => return ended.map_err(ServeError::Listen),
        () = shutdown => {}
    }
    let (ended, drained) = tokio::join!(server, drain(&app, (handle, grpc)));
    if let Some((handle, server)) = admin {
        handle.stop(false).await;
        // It ends by a stop or by an error of its socket; neither changes what was served.
        drop(server.await);
    }
    if app.telemetry.traces().is_some() {
        let telemetry = Arc::clone(&app.telemetry);
        // Whatever came of it, there is nothing left to do about it.
        drop(apart("limbic-last-traces", move || telemetry.traces().map(|traces| traces.end(LAST_TRACES))).await);
    }
    ended.map_err(ServeError::Listen)?;
    drained
}

fn listen(socket: TcpListener, app: App, tls: Option<&Tls>) -> Result<Server, ServeError> {
    let port = app.port;
    let (times, workers) = (app.settings.times, app.settings.async_workers.get());
    let shared = web::Data::new(app);
    let make =
        move || ActixApp::new().app_data(shared.clone()).wrap(from_fn(edge::edge)).configure(|config| routes::register(config, port));
    let server = HttpServer::new(make)
        .workers(if port == Port::Admin { 1 } else { workers })
        // Tokenising is all that runs there, and the engine's permits bound how much of it waits.
        .worker_max_blocking_threads(2)
        .keep_alive(times.keep_alive)
        .client_request_timeout(times.slow_client)
        // A client that closes has left: its work is dropped.
        .h1_allow_half_closed(false)
        .shutdown_timeout(CLOSE_SECONDS)
        .disable_signals();
    let server = match tls {
        None => server.listen(socket),
        Some(tls) => tls.server().and_then(|config| server.listen_rustls_0_23(socket, config)),
    };
    Ok(server.map_err(ServeError::Listen)?.run())
}

async fn drain(app: &App, (handle, grpc): (ServerHandle, Option<Listening>)) -> Result<(), ServeError> {
    let times = app.settings.times;
    app.lifecycle.start_draining();
    tracing::info!(delay_ms = times.drain_delay.as_millis(), "stopping: readiness has fallen");
    sleep(times.drain_delay).await;
    app.registry.refuse();
    let answered = timeout(times.drain, app.lifecycle.idle()).await.is_ok();
    // A worker that kept a request waiting for that long would not leave in time either.
    let joined = answered && timeout(JOIN, join(Arc::clone(&app.registry))).await.is_ok();
    let grpc = async {
        if let Some(grpc) = grpc {
            grpc.stop(Duration::from_secs(CLOSE_SECONDS)).await;
        }
    };
    tokio::join!(handle.stop(true), grpc);
    if answered && joined { Ok(()) } else { Err(ServeError::Unfinished { answered, joined }) }
}

/// Joins the engines' threads, without keeping the runtime from ending when one hangs.
async fn join(registry: Arc<Registry>) {
    // An error means that the joiner panicked, after which there is nothing to wait for.
    drop(apart("limbic-join", move || registry.end()).await);
}

/// Runs what may block for long on a thread of its own, which nothing waits for at the end.
///
/// # Errors
/// When there is no thread to be had, or it panicked.
pub(crate) async fn apart<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let (done, wait) = oneshot::channel();
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || drop(done.send(work())));
    if thread.is_err() {
        return Err(ApiError::Internal);
    }
    wait.await.map_err(|_| ApiError::Internal)
}
