//! `limbic-serve healthcheck`: asks a running server whether it is ready, with nothing but a
//! socket, so that an image without a shell or curl can still have a health check.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use thiserror::Error;

/// For connecting, and again for the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a server does not count as healthy.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// The address could not be understood.
    #[error("{url:?}: expected http://HOST:PORT/PATH")]
    Url {
        /// As given.
        url: String,
    },
    /// Nobody answered there.
    #[error("{url}: no answer")]
    Unreachable {
        /// What was asked.
        url: String,
        /// Why.
        source: io::Error,
    },
    /// It answered, but not with 200.
    #[error("{url}: answered {status:?}, expected status 200")]
    Unhealthy {
        /// What was asked.
        url: String,
        /// The status line.
        status: String,
    },
}

/// Asks `url` (plain `http://host:port/path`) once.
///
/// # Errors
/// [`ProbeError`] unless the answer is 200.
pub fn probe(url: &str) -> Result<(), ProbeError> {
    let rest = url.strip_prefix("http://").ok_or_else(|| ProbeError::Url { url: url.to_owned() })?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let status = ask(host, path).map_err(|source| ProbeError::Unreachable { url: url.to_owned(), source })?;
    match status.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(ProbeError::Unhealthy { url: url.to_owned(), status: status.trim().to_owned() }),
    }
}

fn ask(host: &str, path: &str) -> io::Result<String> {
    let with_port = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let address = with_port.to_socket_addrs()?.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no address of that name"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status)?;
    Ok(status)
}
