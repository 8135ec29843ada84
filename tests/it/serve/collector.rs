//! An OpenTelemetry collector for tests: takes traces over gRPC or over HTTP, and keeps them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use limbic::serve::telemetry::Telemetry;
use limbic::serve::telemetry::traces::{Protocol, Root, Sampling, Traces, TracesConfig};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::sync::oneshot;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

type Received = Arc<Mutex<Vec<ExportTraceServiceRequest>>>;

/// Everything, and a request's own wish where it has one.
pub const ALL: Sampling = Sampling { parent_based: true, root: Root::On };

/// See the module. Dropping it ends it.
pub struct Collector {
    pub address: SocketAddr,
    protocol: Protocol,
    received: Received,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Taker(Received);

#[tonic::async_trait]
impl TraceService for Taker {
    async fn export(&self, request: Request<ExportTraceServiceRequest>) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    pub fn grpc() -> Self {
        let received = Received::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let service = TraceServiceServer::new(Taker(Arc::clone(&received)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let incoming = tonic::transport::server::TcpIncoming::from(listener);
            let served = Server::builder().add_service(service).serve_with_incoming_shutdown(incoming, async move {
                drop(stopped.await);
            });
            runtime.block_on(served).unwrap();
        });
        Self { address, protocol: Protocol::Grpc, received, stop: Some(stop), thread: Some(thread) }
    }

    /// One connection a request, as many as come.
    pub fn http() -> Self {
        let received = Received::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, taken) = (listener.local_addr().unwrap(), Arc::clone(&received));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut reader = BufReader::new(stream.unwrap());
                let mut head = Vec::new();
                while reader.read_until(b'\n', &mut head).unwrap() > 2 {}
                let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
                assert!(head.starts_with("post /v1/traces http/1.1") && head.contains("application/x-protobuf"), "{head}");
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                taken.lock().unwrap().push(ExportTraceServiceRequest::decode(body.as_slice()).unwrap());
                let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                reader.get_mut().write_all(answer).unwrap();
            }
        });
        Self { address, protocol: Protocol::HttpProtobuf, received, stop: None, thread: None }
    }

    /// Telemetry that tells traces here.
    pub fn telemetry(&self, sampling: Sampling) -> Telemetry {
        telling(self.protocol, self.address, sampling)
    }

    /// Every span there is. Whoever told them has to have ended.
    pub fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let scopes = received.iter().flat_map(|request| &request.resource_spans).flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// The attributes of the resource that told the first.
    pub fn resource(&self) -> Vec<(String, String)> {
        let received = self.received.lock().unwrap();
        words(&received[0].resource_spans[0].resource.as_ref().unwrap().attributes)
    }

    /// Everything as it was told.
    pub fn written(&self) -> String {
        format!("{:?}", self.received.lock().unwrap())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A failure here would hide the test's own.
            let _ = thread.join();
        }
    }
}

/// Telemetry that tells traces to whoever listens at `address`, if anyone does.
pub fn telling(protocol: Protocol, address: SocketAddr, sampling: Sampling) -> Telemetry {
    let path = if protocol == Protocol::HttpProtobuf { "/v1/traces" } else { "" };
    let config = TracesConfig { endpoint: format!("http://{address}{path}"), protocol, sampling };
    Telemetry::new().traced(Traces::start(&config).unwrap())
}

/// Attributes by name, values as text, in alphabetical order.
pub fn words(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let value = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    let mut words: Vec<(String, String)> = attributes.iter().map(|attribute| (attribute.key.clone(), value(attribute))).collect();
    words.sort();
    words
}
