//! `limbic-serve healthcheck`: asks a running server whether it is ready, with nothing but a
//! socket, so that an image without a shell or curl can still have a health check.
//!
//! By https nobody's certificate is checked, since a container asks itself by an address that no
//! certificate names; therefore only an address of the loopback interface is asked so.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use thiserror::Error;

/// For connecting, and again for the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a server does not count as healthy.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// The address could not be understood.
    #[error("{url:?}: expected http://HOST:PORT/PATH, or https://")]
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

/// Asks `url` (`http://host:port/path`, or `https`) once.
///
/// # Errors
/// [`ProbeError`] unless the answer is 200.
pub fn probe(url: &str) -> Result<(), ProbeError> {
    let (tls, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => return Err(ProbeError::Url { url: url.to_owned() }),
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let status = ask(host, path, tls).map_err(|source| ProbeError::Unreachable { url: url.to_owned(), source })?;
    match status.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(ProbeError::Unhealthy { url: url.to_owned(), status: status.trim().to_owned() }),
    }
}

fn ask(host: &str, path: &str, tls: bool) -> io::Result<String> {
    let port = if tls { 443 } else { 80 };
    let with_port = if host.rsplit(']').next().is_some_and(|end| end.contains(':')) { host.to_owned() } else { format!("{host}:{port}") };
    let address = with_port.to_socket_addrs()?.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no address of that name"))?;
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    if tls { exchange(secured(stream, address)?, &request) } else { exchange(stream, &request) }
}

fn exchange(mut stream: impl Read + Write, request: &str) -> io::Result<String> {
    stream.write_all(request.as_bytes())?;
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status)?;
    Ok(status)
}

fn secured(stream: TcpStream, address: SocketAddr) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    if !address.ip().is_loopback() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "by https only the loopback interface is asked"));
    }
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(io::Error::other)?.dangerous();
    let config = builder.with_custom_certificate_verifier(Arc::new(Anybody(provider))).with_no_client_auth();
    let name = ServerName::IpAddress(address.ip().into());
    Ok(StreamOwned::new(ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?, stream))
}

/// Takes any certificate, as long as its owner holds its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
