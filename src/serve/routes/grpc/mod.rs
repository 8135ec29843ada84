//! gRPC on a socket of its own: the Open Inference Protocol and the health checks that its clients know.
//!
//! What is asked and answered is the business of the same code as over REST; here it is taken out of messages, and put into
//! messages and statuses. Refuses compressed messages, reflection, and changes to the models.
//!
//! | file | what it owns |
//! |---|---|
//! | `edge` | what every call gets: id, deadline, counters, its error's shape |
//! | `inference` | the methods of the Open Inference Protocol |
//! | `health` | those of the health checks |
//! | `status` | errors as statuses |
//! | `tls` | connections under TLS |

mod edge;
mod health;
mod inference;
mod status;
mod tls;

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{self, Server};

use self::edge::Edge;
use self::health::Readiness;
use self::inference::Inference;
pub(in crate::serve) use self::status::word;
use crate::serve::app::App;
use crate::serve::proto::health::health_server::HealthServer;
use crate::serve::proto::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use crate::serve::tls::Tls;

/// Calls that one connection may have open at a time.
const STREAMS: u32 = 1024;

/// A socket that is served until this is stopped or dropped.
pub(in crate::serve) struct Listening {
    server: JoinHandle<Result<(), transport::Error>>,
    stop: oneshot::Sender<()>,
}

/// Starts to serve on `socket`, within the runtime that this is called in, under TLS where there is a certificate.
///
/// # Errors
/// When the socket cannot be served on.
pub(in crate::serve) fn listen(socket: TcpListener, app: App, certificate: Option<&Tls>) -> io::Result<Listening> {
    socket.set_nonblocking(true)?;
    let socket = tokio::net::TcpListener::from_std(socket)?;
    let times = app.settings.times;
    let longest = app.settings.limits.body_bytes;
    let inference = GrpcInferenceServiceServer::new(Inference { app: app.clone() }).max_decoding_message_size(longest);
    let routes = Routes::new(inference).add_service(HealthServer::new(Readiness { app: app.clone() })).prepare();
    let server = Server::builder()
        .max_concurrent_streams(STREAMS)
        // A client that is gone without a word is noticed, and what it asked for dropped.
        .http2_keepalive_interval(Some(times.keep_alive))
        .http2_keepalive_timeout(Some(times.slow_client));
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async move {
        // Dropping the sender is as good as a word.
        let _ = stopped.await;
    };
    let edge = Edge { app, routes };
    let server = match certificate {
        None => {
            let incoming = TcpIncoming::from(socket).with_nodelay(Some(true));
            tokio::spawn(server.serve_with_incoming_shutdown(edge, incoming, stopped))
        }
        Some(certificate) => {
            let incoming = tls::incoming(socket, certificate.server()?, times.slow_client);
            tokio::spawn(server.serve_with_incoming_shutdown(edge, incoming, stopped))
        }
    };
    Ok(Listening { server, stop })
}

impl Listening {
    /// Takes no more calls, lets answers leave, and ends after `patience` at the latest.
    pub(in crate::serve) async fn stop(self, patience: Duration) {
        drop(self.stop);
        let abort = self.server.abort_handle();
        // It ends by this stop or by an error of its socket; neither changes what was served.
        if timeout(patience, self.server).await.is_err() {
            abort.abort();
        }
    }
}
