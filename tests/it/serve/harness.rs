//! Starts a server on port 0 in this process, and talks to it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use limbic::backend::scripted::Scripted;
use limbic::backend::{Backend, BackendError, Cost, EngineKind};
use limbic::decide::{Calibrator, Decider, Thresholds};
use limbic::serve::config::EngineConfig;
use limbic::serve::engine::BackendFactory;
use limbic::serve::model::ServedModel;
use limbic::serve::registry::{Opened, Opener};
use limbic::serve::telemetry::Telemetry;
use limbic::serve::threads::{Asked, Cores, ThreadPlan};
use limbic::serve::{self, ModelsConfig, SafetyConfig, ServeConfig, ServeError, Service, Settings, Sockets};
use limbic::spec::{Activation, LabelSet};
use limbic::text::{Batch, Normalization, TextEncoder};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::support::fixture;
use crate::tiny;

pub const LABELS: [&str; 4] = ["anger", "joy", "optimism", "sadness"];
pub const MAX_LENGTH: usize = 32;
/// Longer than anything here should take, shorter than a stuck test may hang.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A model over the tiny tokenizer. The scripted engine needs no weights.
pub fn model() -> ServedModel {
    let tokenizer = fs::read(fixture("tiny-bert").join("tokenizer.json")).unwrap();
    let encoder = TextEncoder::from_json(&tokenizer, Normalization::TweetV1, MAX_LENGTH).unwrap();
    let calibrators =
        vec![Calibrator::Identity, Calibrator::Sigmoid { a: 1.5, b: 0.25 }, Calibrator::Temperature { t: 2.0 }, Calibrator::Identity];
    let thresholds = Thresholds::new(vec![0.5, 0.4, 0.3, 0.75]).unwrap();
    let decider = Decider::new(LabelSet::new(LABELS).unwrap(), Activation::Sigmoid, calibrators, thresholds).unwrap();
    ServedModel {
        name: "scripted".to_owned(),
        version: "7".to_owned(),
        digest: "sha256:0123".to_owned(),
        precision: "fp32",
        created: 1_700_000_000,
        encoder,
        decider,
        reference: None,
        expected: BTreeMap::new(),
        card: json!({"id": "scripted"}),
    }
}

/// Every route that classifies: its template, a path, and a body that brings `text` once.
pub fn asking(text: &str) -> [(&'static str, &'static str, Value); 8] {
    let tensor = json!({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": [text]}]});
    [
        ("/v1/emotions", "/v1/emotions", json!({"input": text})),
        ("/predict", "/predict", json!({"inputs": text})),
        ("/", "/", json!({"inputs": text})),
        ("/classify", "/classify", json!({"input": text})),
        ("/v1/classify", "/v1/classify", json!({"input": text})),
        ("/v1/moderations", "/v1/moderations", json!({"input": text})),
        ("/v2/models/{model}/infer", "/v2/models/scripted/infer", tensor.clone()),
        ("/v2/models/{model}/versions/{version}/infer", "/v2/models/scripted/versions/7/infer", tensor),
    ]
}

/// What a scripted engine was given, and when it may go on.
#[derive(Default)]
pub struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    closed: bool,
    /// Texts of each batch that reached the engine.
    batches: Vec<usize>,
    /// Batches that are still to panic, and to be refused.
    panics: usize,
    refusals: usize,
}

impl Gate {
    pub fn close(&self) {
        self.state.lock().unwrap().closed = true;
    }

    pub fn open(&self) {
        self.state.lock().unwrap().closed = false;
        self.changed.notify_all();
    }

    pub fn panic_next(&self, batches: usize) {
        self.state.lock().unwrap().panics = batches;
    }

    pub fn refuse_next(&self, batches: usize) {
        self.state.lock().unwrap().refusals = batches;
    }

    /// Texts that have reached an engine.
    pub fn texts(&self) -> usize {
        self.state.lock().unwrap().batches.iter().sum()
    }

    /// Batches that have reached an engine.
    pub fn batches(&self) -> usize {
        self.state.lock().unwrap().batches.len()
    }

    pub fn wait_for_batches(&self, count: usize) {
        let state = self.state.lock().unwrap();
        let (state, waited) = self.changed.wait_timeout_while(state, PATIENCE, |state| state.batches.len() < count).unwrap();
        assert!(!waited.timed_out(), "{} batches reached an engine, expected {count}", state.batches.len());
    }

    fn pass(&self, batch: &Batch) -> Result<(), BackendError> {
        let mut state = self.state.lock().unwrap();
        state.batches.push(batch.texts());
        self.changed.notify_all();
        if state.panics > 0 {
            state.panics -= 1;
            drop(state);
            panic!("the script panics");
        }
        if state.refusals > 0 {
            state.refusals -= 1;
            return Err(Scripted::refusal(batch));
        }
        let (_state, waited) = self.changed.wait_timeout_while(state, PATIENCE, |state| state.closed).unwrap();
        assert!(!waited.timed_out(), "a test left its gate closed");
        Ok(())
    }
}

/// One worker of a real engine on a real bundle, everything else as it comes.
pub fn config(bundle: &Path, kind: EngineKind) -> ServeConfig {
    ServeConfig {
        models: ModelsConfig { bundle: Some(bundle.to_owned()), ..ModelsConfig::default() },
        listen: "127.0.0.1:0".parse().unwrap(),
        admin: None,
        grpc: None,
        engine: EngineConfig { kind, options: tiny::options(), workers: NonZeroUsize::MIN },
        settings: Settings::default(),
        safety: SafetyConfig::default(),
        threads: ThreadPlan::choose(Cores { count: NonZeroUsize::MIN, affinity: None, quota: None }, Asked::default()),
        traces: None,
    }
}

/// A server to start.
pub struct Plan {
    pub settings: Settings,
    pub workers: usize,
    pub cost: Cost,
    pub gate: Arc<Gate>,
    /// Whether a worker whose engine panicked gets a new one.
    pub rebuilds: bool,
    /// Keys, origins and certificate.
    pub safety: SafetyConfig,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            workers: 1,
            cost: Cost::Padded,
            gate: Arc::default(),
            rebuilds: true,
            safety: SafetyConfig::default(),
        }
    }
}

impl Plan {
    pub fn queue_texts(mut self, texts: usize) -> Self {
        self.settings.queue.texts = NonZeroUsize::new(texts).unwrap();
        self
    }

    /// Soon gives up a client that stops in the middle.
    pub fn impatient(mut self) -> Self {
        self.settings.times.slow_client = Duration::from_millis(300);
        self
    }

    /// Lets in only these keys, each as it is configured.
    pub fn keys(mut self, keys: impl IntoIterator<Item = String>) -> Self {
        self.safety.access.keys = keys.into_iter().map(|key| key.parse().unwrap()).collect();
        self
    }

    pub fn start(self) -> Running {
        self.start_telling(model, Telemetry::new())
    }

    /// Serves what `model` makes, and tells `telemetry`.
    pub fn start_telling(self, model: impl Fn() -> ServedModel + Send + Sync + 'static, telemetry: Telemetry) -> Running {
        Running::start(self.service(model, telemetry, false))
    }

    pub fn start_with_admin(self) -> Running {
        Running::start_with_admin(self.service(model, Telemetry::new(), true))
    }

    fn service(self, model: impl Fn() -> ServedModel + Send + Sync + 'static, telemetry: Telemetry, admin: bool) -> Service {
        let models = ModelsConfig { bundle: Some("scripted".into()), ..ModelsConfig::default() };
        let (settings, safety) = (self.settings, self.safety.clone());
        let service = Service::start_telling(self.opener(move |_| Ok(model())), &models, settings, telemetry).unwrap();
        service.guarded(&safety, admin).unwrap()
    }

    /// The same over gRPC as well.
    pub fn start_with_grpc(self, telemetry: Telemetry) -> Running {
        Running::start_on(self.service(model, telemetry, false), None, Some(free()))
    }

    /// Gives every model that `model` makes of a folder a scripted engine behind this plan's gate.
    pub fn opener(self, model: impl Fn(&Path) -> Result<ServedModel, ServeError> + Send + Sync + 'static) -> Opener {
        let (gate, cost) = (self.gate, self.cost);
        let (workers, rebuilds) = (self.workers, self.rebuilds);
        Arc::new(move |folder| {
            let model = model(folder)?;
            let (gate, labels) = (Arc::clone(&gate), model.decider.labels().len());
            let backend = move || -> Box<dyn Backend> {
                let gate = Arc::clone(&gate);
                Box::new(Scripted::new(labels, cost, move |batch| gate.pass(batch)))
            };
            let backends = (0..workers).map(|_| backend()).collect();
            let factory: BackendFactory = Arc::new(move || {
                let gone = || BackendError::Model { engine: "scripted", reason: "no more".to_owned() };
                if rebuilds { Ok(backend()) } else { Err(gone()) }
            });
            Ok(Opened { model, backends, factory })
        })
    }
}

/// A server in this process. Dropping it stops it and waits.
pub struct Running {
    pub address: SocketAddr,
    /// Where it was started with one.
    pub admin: Option<SocketAddr>,
    /// The same.
    pub grpc: Option<SocketAddr>,
    agent: ureq::Agent,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Running {
    pub fn start(service: Service) -> Self {
        Self::start_on(service, None, None)
    }

    pub fn start_with_admin(service: Service) -> Self {
        Self::start_on(service, Some(free()), None)
    }

    fn start_on(service: Service, admin: Option<TcpListener>, grpc: Option<TcpListener>) -> Self {
        let api = free();
        let address = api.local_addr().unwrap();
        let [admin_address, grpc_address] = [&admin, &grpc].map(|socket| socket.as_ref().map(|socket| socket.local_addr().unwrap()));
        let sockets = Sockets { api, admin, grpc };
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve::run(sockets, service, async move {
                let _ = stopped.await;
            }))
        });
        let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into();
        Self { address, admin: admin_address, grpc: grpc_address, agent, stop: Some(stop), thread: Some(thread) }
    }

    /// Says "stop", and returns at once.
    pub fn say_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits for the end.
    pub fn join(&mut self) -> Result<(), ServeError> {
        self.thread.take().unwrap().join().unwrap()
    }

    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    pub fn classify(&self, text: &str) -> Reply {
        self.post("/v1/emotions", &json!({"input": text}))
    }

    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], b"")
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.send_to(self.address, (method, path), headers, body)
    }

    /// A change to the models.
    pub fn change(&self, path: &str, body: &Value) -> Reply {
        let headers = [("content-type", "application/json")];
        self.send_to(self.admin.unwrap(), ("POST", path), &headers, body.to_string().as_bytes())
    }

    pub fn get_admin(&self, path: &str) -> Reply {
        self.send_admin("GET", path, b"")
    }

    pub fn send_admin(&self, method: &str, path: &str, body: &[u8]) -> Reply {
        self.send_to(self.admin.unwrap(), (method, path), &[], body)
    }

    pub fn send_to(&self, address: SocketAddr, (method, path): (&str, &str), headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{address}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_vec()).unwrap();
        let request = self.agent.configure_request(request).allow_non_standard_methods(true).build();
        let mut response = self.agent.run(request).unwrap();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        Reply { status: response.status().as_u16(), headers, body: response.body_mut().read_to_string().unwrap() }
    }

    /// A connection for a test that writes its own bytes.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Sends bytes as they are on a fresh connection and reads until the server closes it.
    pub fn raw(&self, request: &[u8]) -> Reply {
        let mut stream = self.connect();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(request);
        Reply::read(stream)
    }

    /// The value of one metric series, zero when it is absent.
    /// Waits until more tokens wait than `before`, and returns how many do. A request counts here once it is queued, and
    /// among the texts of the queue already when it has its place.
    pub fn queues_beyond(&self, before: f64) -> f64 {
        let tokens = || self.metric("limbic_queue_tokens");
        until("another request waits", || tokens() > before);
        tokens()
    }

    pub fn metric(&self, series: &str) -> f64 {
        let page = if self.admin.is_some() { self.get_admin("/metrics") } else { self.get("/metrics") }.body;
        let line = page.lines().find_map(|line| line.strip_prefix(series).and_then(|rest| rest.strip_prefix(' ')));
        line.map_or(0.0, |value| value.parse().unwrap())
    }
}

fn free() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

impl Drop for Running {
    fn drop(&mut self) {
        self.say_stop();
        if let Some(thread) = self.thread.take() {
            // A failure here would hide the test's own.
            let _ = thread.join();
        }
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A reset after the answer loses nothing of it.
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).unwrap_or(0);
        let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        Self { status, headers: headers.collect(), body: body.to_owned() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

/// Waits until `holds`.
#[track_caller]
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
