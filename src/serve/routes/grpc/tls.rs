//! Connections under TLS, by the certificate that every other port serves with.
//!
//! The framework's own way takes a certificate once and for all; ours is renewed while it serves. Handshakes run beside each
//! other and end in time, so that one that stalls holds no other up.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The one protocol that is spoken here, by its name in the handshake.
const HTTP_2: &[u8] = b"h2";
/// Handshakes at a time.
const AT_ONCE: usize = 1024;

/// The connections of `socket` once their handshake is done, which may take as long as `patience`.
pub(super) fn incoming(
    socket: TcpListener,
    mut config: ServerConfig,
    patience: Duration,
) -> impl Stream<Item = io::Result<TlsStream<TcpStream>>> {
    config.alpn_protocols = vec![HTTP_2.to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let accepted = stream::unfold(socket, async |socket| Some((socket.accept().await, socket)));
    let handshake = move |accepted: io::Result<(TcpStream, _)>| {
        let acceptor = acceptor.clone();
        async move {
            let (connection, _) = accepted?;
            connection.set_nodelay(true)?;
            timeout(patience, acceptor.accept(connection)).await?
        }
    };
    accepted.map(handshake).buffer_unordered(AT_ONCE)
}
