//! TLS by rustls: one certificate for both ports, read again when its files change.
//!
//! Certificates are short-lived and something else renews them, so a thread looks at the two files now
//! and then and compares what they hold; their times would say too little on some file systems. A pair
//! that cannot serve, half of it replaced for instance, changes nothing: the last good one serves on,
//! and the log says why. Nothing here asks a client for a certificate.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

/// A certificate chain or a key is a few kilobytes.
const MOST_BYTES: u64 = 1 << 20;

/// Where the certificate lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// A PEM file: the server's certificate first, then those that lead to a root.
    pub cert: PathBuf,
    /// A PEM file with the certificate's private key.
    pub key: PathBuf,
    /// How often to look whether they changed.
    pub reload: Duration,
}

/// Why a certificate cannot serve.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is no PEM, or holds nothing of use.
    #[error("{}: expected {expected}, found {found}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What it holds.
        found: String,
    },
    /// The two files are of two pairs.
    #[error("{}: not the key of the certificate in {}", key.display(), cert.display())]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// rustls will not use them.
    #[error("{} and {}: cannot be used together", cert.display(), key.display())]
    Unusable {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The system refused a thread.
    #[error("the thread that looks for new certificates could not be started")]
    Thread(#[source] io::Error),
}

/// The certificate that serves, and the thread that looks for the next. Dropping it ends the thread.
pub struct Tls {
    current: Arc<Current>,
    provider: Arc<CryptoProvider>,
    /// Never sent on: the thread sees it go.
    _stop: Sender<()>,
}

impl Tls {
    /// Reads both files and begins to look after them.
    ///
    /// # Errors
    /// [`TlsError`] naming the file.
    pub fn start(config: &TlsConfig) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let mut files = Files::read(config)?;
        let current = Arc::new(Current(ArcSwap::from_pointee(files.certified(config, &provider)?)));
        let (stop, stopped) = channel::<()>();
        let (config, shared, crypto) = (config.clone(), Arc::clone(&current), Arc::clone(&provider));
        let watch = move || {
            while stopped.recv_timeout(config.reload) == Err(RecvTimeoutError::Timeout) {
                match renew(&config, &mut files, &crypto) {
                    Ok(None) => {}
                    Ok(Some(certified)) => {
                        shared.0.store(Arc::new(certified));
                        tracing::info!(cert = %config.cert.display(), "a new certificate serves");
                    }
                    Err(error) => tracing::warn!(error = %chain(&error), "the certificate stays as it was"),
                }
            }
        };
        std::thread::Builder::new().name("limbic-tls".to_owned()).spawn(watch).map_err(TlsError::Thread)?;
        Ok(Self { current, provider, _stop: stop })
    }

    /// How a port serves: TLS 1.2 and 1.3, no certificate asked of clients.
    ///
    /// # Errors
    /// [`io::Error`] where rustls supports none of its own protocol versions, which would be its bug.
    pub(crate) fn server(&self) -> io::Result<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        Ok(builder.with_no_client_auth().with_cert_resolver(Arc::clone(&self.current) as _))
    }
}

/// The certificate of the moment: whoever connects gets the last good one.
struct Current(ArcSwap<CertifiedKey>);

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// What the two files held when they were last looked at.
#[derive(PartialEq, Eq)]
struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
}

/// What the files hold now, if that is something new. What was refused once is not tried again.
fn renew(config: &TlsConfig, last: &mut Files, provider: &CryptoProvider) -> Result<Option<CertifiedKey>, TlsError> {
    let files = Files::read(config)?;
    if files == *last {
        return Ok(None);
    }
    *last = files;
    last.certified(config, provider).map(Some)
}

impl Files {
    fn read(config: &TlsConfig) -> Result<Self, TlsError> {
        Ok(Self { cert: read(&config.cert)?, key: read(&config.key)? })
    }

    fn certified(&self, config: &TlsConfig, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let TlsConfig { cert, key, .. } = config;
        let chain = CertificateDer::pem_slice_iter(&self.cert).collect::<Result<Vec<_>, pem::Error>>();
        let wrong = |path: &Path, expected, found: String| TlsError::Content { path: path.to_owned(), expected, found };
        let expected = "PEM with at least one CERTIFICATE";
        let chain = chain.map_err(|error| wrong(cert, expected, error.to_string()))?;
        if chain.is_empty() {
            return Err(wrong(cert, expected, sections(&self.cert)));
        }
        let expected = "PEM with one PRIVATE KEY that is not encrypted";
        let private = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| match error {
            pem::Error::NoItemsFound => wrong(key, expected, sections(&self.key)),
            error => wrong(key, expected, error.to_string()),
        })?;
        CertifiedKey::from_der(chain, private, provider).map_err(|source| match source {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch { cert: cert.clone(), key: key.clone() },
            source => TlsError::Unusable { cert: cert.clone(), key: key.clone(), source },
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > MOST_BYTES {
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, format!("{length} bytes, expected at most {MOST_BYTES}"))));
    }
    std::fs::read(path).map_err(failed)
}

/// The labels of the sections of a PEM file, which are no secret.
fn sections(content: &[u8]) -> String {
    let text = String::from_utf8_lossy(content);
    let labels: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----")).take(8).collect();
    if labels.is_empty() { "no section of PEM".to_owned() } else { labels.join(", ") }
}

fn chain(error: &TlsError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
