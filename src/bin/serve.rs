//! `limbic-serve`: parse, resolve, open, bind, say so, serve until told to stop.
//!
//! The edge of the server: signals, environment, standard streams and the exit status live here.

use std::io::{Write, stderr, stdin, stdout};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use limbic::serve::args::{Command, LogArgs, LogFormat, Parsed, ServingArgs, Surroundings, Unparsed, parse};
use limbic::serve::threads::Cores;
use limbic::serve::{self, ServeConfig, Service, Sockets, access, probe};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain on one line, for whoever reads a container's last words.
            let _ = writeln!(stderr(), "limbic-serve: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let Parsed { args, page } = match parse(std::env::args_os()) {
        Err(Unparsed::Usage(said)) => said.exit(),
        parsed => parsed?,
    };
    match args.command {
        Some(Command::Healthcheck(check)) => Ok(probe::probe(&check.target())?),
        Some(Command::Key(key)) => Ok(key.run(access::draw()?, stdin().lock(), stdout().lock())?),
        None if args.print_config => Ok(stdout().write_all(page.as_bytes())?),
        None => {
            start_logging(&args.log);
            serve(args.serving)
        }
    }
}

fn serve(args: ServingArgs) -> Result<()> {
    let config = args.resolve(&surroundings())?;
    let service = Service::open(&config)?;
    let sockets =
        Sockets { api: bind(config.listen)?, admin: config.admin.map(bind).transpose()?, grpc: config.grpc.map(bind).transpose()? };
    say(&sockets, &service, &config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(async { serve::run(sockets, service, stop()?).await.map_err(anyhow::Error::from) });
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))
}

/// Where and what, then how: the first line is what scripts read.
fn say(sockets: &Sockets, service: &Service, config: &ServeConfig) -> Result<()> {
    let mut out = stdout().lock();
    let scheme = if config.safety.tls.is_some() { "https" } else { "http" };
    let [first, others @ ..] = &*service.summary() else { bail!("nothing is served: this is a bug") };
    writeln!(out, "listening on {scheme}://{} {first}", sockets.api.local_addr()?)?;
    others.iter().try_for_each(|line| writeln!(out, "also {line}"))?;
    sockets.admin.iter().try_for_each(|admin| writeln!(out, "admin on {scheme}://{}", admin.local_addr()?))?;
    sockets.grpc.iter().try_for_each(|grpc| writeln!(out, "grpc on {}", grpc.local_addr()?))?;
    writeln!(out, "threads {}", config.threads)?;
    Ok(out.flush()?)
}

fn surroundings() -> Surroundings {
    #[expect(clippy::disallowed_methods, reason = "this is the binary")]
    let ort_dylib_path = std::env::var_os("ORT_DYLIB_PATH").map(Into::into);
    let folders = std::env::current_dir().into_iter().collect();
    let available = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    Surroundings { cores: Cores::find(Path::new("/"), available), ort_dylib_path, folders }
}

/// Resolves at the first SIGTERM or SIGINT; the second ends the process where it stands.
fn stop() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    Ok(async move {
        let mut next = async move || {
            tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
        };
        next().await;
        tokio::spawn(async move {
            next().await;
            #[expect(clippy::disallowed_methods, reason = "a second signal asks to drop everything")]
            std::process::exit(130);
        });
    })
}

fn start_logging(log: &LogArgs) {
    // Only our own events: what a dependency logs is not known to be free of requests' text.
    let targets = Targets::new().with_target("limbic", log.log_level);
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr);
    let registry = tracing_subscriber::registry().with(targets);
    match log.log_format {
        LogFormat::Text => registry.with(lines.with_ansi(false)).init(),
        LogFormat::Json => registry.with(lines.json()).init(),
    }
    // A panic's message may quote the text that caused it; its place is enough to find it.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(target: "limbic::panic", place, "a thread panicked");
    }));
}
