//! The command line as typed, and the one conversion to what it means.
//!
//! Every option also has an environment variable `LIMBIC_...` and a key in the file of `--config`; what
//! is typed wins over the environment, that over the file, and that over the default.

pub mod docs;
mod file;
mod options;
mod parse;
mod resolve;

pub use self::file::FileError;
pub use self::options::{
    AccessArgs, BundleArgs, ComputeArgs, Engine, LimitArgs, LogArgs, LogFormat, MetricsAccess, NetworkArgs, TimeArgs, TlsArgs,
};
pub use self::parse::{Parsed, Unparsed, parse};
pub use self::resolve::{ArgsError, Surroundings};

use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::access::{KeyError, NewKey};
use super::telemetry::traces::TraceArgs;

/// Serves calibrated emotion probabilities of one bundle, or of several, over HTTP.
#[derive(Debug, Parser)]
#[command(name = "limbic-serve", version, args_conflicts_with_subcommands = true)]
pub struct ServeArgs {
    /// Something other than serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// A TOML file with any of the options below, by section; see docs/configuration.md. What is typed,
    /// or stands in the environment, wins over it.
    #[arg(long, value_name = "FILE", env = "LIMBIC_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print every option as it stands and where that comes from, as such a file, and serve nothing.
    #[arg(long)]
    pub print_config: bool,
    /// What to serve and how.
    #[command(flatten)]
    pub serving: ServingArgs,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// What to serve and how.
#[derive(Debug, Args)]
pub struct ServingArgs {
    /// Which bundles.
    #[command(flatten)]
    pub bundles: BundleArgs,
    /// Where.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// On what.
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// How much.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// How long.
    #[command(flatten)]
    pub times: TimeArgs,
    /// To whom.
    #[command(flatten)]
    pub access: AccessArgs,
    /// As whom.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Where to tell traces.
    #[command(flatten)]
    pub traces: TraceArgs,
}

/// Other things this program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask a running server whether it is ready; the exit status is the answer.
    Healthcheck(HealthcheckArgs),
    /// Make a key: it is printed once, then the lines that let it in, which hold only its hash.
    Key(KeyArgs),
}

/// Which server to ask.
#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// The full address to ask. By https only on the loopback interface, since nobody's certificate is
    /// checked.
    #[arg(long, conflicts_with = "listen")]
    pub url: Option<String>,
    /// What the server was told to listen on.
    #[arg(long, env = "LIMBIC_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: String,
    /// The certificate that the server was given, if it was: it is asked by https then.
    #[arg(long, value_name = "FILE", env = "LIMBIC_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,
    /// The file that the server was configured by.
    #[arg(long, value_name = "FILE", env = "LIMBIC_CONFIG")]
    pub config: Option<PathBuf>,
}

impl HealthcheckArgs {
    /// The address to ask. A server on all interfaces is asked on the loopback one.
    #[must_use]
    pub fn target(&self) -> String {
        let host = self.listen.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:");
        let scheme = if self.tls_cert.is_some() { "https" } else { "http" };
        self.url.clone().unwrap_or_else(|| format!("{scheme}://{host}/health/ready"))
    }
}

/// What key to make.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// What metrics and logs call its owner: A-Z a-z 0-9 . _ -
    #[arg(long)]
    pub name: String,
    /// It opens the admin port too.
    #[arg(long)]
    pub admin: bool,
    /// Take the key from standard input, one line, instead of making one. It has to be random: it is kept
    /// as a fast hash, which hides nothing that can be guessed.
    #[arg(long)]
    pub stdin: bool,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum NoKey {
    /// It would be no good.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A stream broke, or there was no randomness.
    #[error("the key could not be read or written")]
    Io(#[from] io::Error),
}

impl KeyArgs {
    /// Writes the key and then the lines that let it in. `random` is the system's.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn run(&self, random: [u8; 32], mut input: impl BufRead, mut out: impl Write) -> Result<(), NoKey> {
        let new = if self.stdin {
            let mut line = String::new();
            input.read_line(&mut line)?;
            NewKey::brought(&self.name, line.trim_end_matches(['\r', '\n']))?
        } else {
            NewKey::make(&self.name, random)?
        };
        if !self.stdin {
            writeln!(out, "{}\n", new.key().expose())?;
        }
        writeln!(out, "{}", new.lines(self.admin))?;
        Ok(out.flush()?)
    }
}
