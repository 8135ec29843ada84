//! MLflow's REST API 2.0, as far as a run needs it.
//!
//! <https://mlflow.org/docs/latest/rest-api.html>; artifacts go through the server's own proxy, where
//! it offers one. A request has one bound on its whole time. No message names the address.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Response;

use super::{Secret, TrackingEnvironment, TrackingError};

/// Longest answer that is read.
const MOST_BYTES: u64 = 1 << 20;
/// Longest part of a server's message that is told.
const MOST_LETTERS: usize = 300;
/// Most metrics of one request, by the API's own limit.
pub(super) const MOST_METRICS: usize = 1000;
/// Most parameters of one request, by the API's own limit.
const MOST_PARAMETERS: usize = 100;
/// Longest value of a parameter, by the API's own limit.
const LONGEST_PARAMETER: usize = 6000;

/// Why a request came to nothing.
#[derive(Debug)]
pub(super) enum Refusal {
    /// No answer, or one that asks to come again: it may be otherwise later.
    Later(String),
    /// An answer that will stay the same.
    Never {
        /// MLflow's error code, or the status.
        code: String,
        /// In words.
        reason: String,
    },
}

/// One value of one metric.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Metric {
    pub(super) key: String,
    pub(super) value: f64,
    /// Milliseconds since 1970.
    pub(super) timestamp: u64,
    pub(super) step: u64,
}

/// A run on the server.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RunPlace {
    pub(super) id: String,
    /// Where its artifacts lie, a URI.
    pub(super) artifacts: String,
}

/// What a new run is told.
pub(super) struct NewRun<'a> {
    pub(super) experiment: &'a str,
    pub(super) name: &'a str,
    /// Milliseconds since 1970.
    pub(super) started: u64,
    pub(super) tags: &'a [(String, String)],
}

/// Speaks to one server.
pub(super) struct Client {
    agent: Agent,
    base: Secret,
    authorization: Option<Secret>,
}

impl Client {
    pub(super) fn new(environment: &TrackingEnvironment) -> Result<Self, TrackingError> {
        let uri = environment.uri.as_ref().ok_or(TrackingError::NoServer)?.expose().trim_end_matches('/');
        let host = uri.strip_prefix("http://").or_else(|| uri.strip_prefix("https://")).ok_or(TrackingError::Address)?;
        if host.contains('@') {
            return Err(TrackingError::Userinfo);
        }
        if host.is_empty() || host.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
            return Err(TrackingError::Address);
        }
        let config = Agent::config_builder()
            .timeout_global(Some(environment.pace.request))
            .http_status_as_error(false)
            // A credential is for the address that it was given with, and for no other.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("limbic-train/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.into(), base: Secret::new(uri.to_owned()), authorization: authorization(environment)? })
    }

    /// The experiment's id; it is created when there is none of the name.
    pub(super) fn experiment(&self, name: &str) -> Result<String, Refusal> {
        let id = |answer: &Value| text(answer, "/experiment/experiment_id");
        match self.get("experiments/get-by-name", ("experiment_name", name)) {
            Err(Refusal::Never { code, .. }) if code == "RESOURCE_DOES_NOT_EXIST" => {}
            found => return id(&found?),
        }
        match self.post("experiments/create", &json!({ "name": name })) {
            // Somebody else was faster.
            Err(Refusal::Never { code, .. }) if code == "RESOURCE_ALREADY_EXISTS" => {
                id(&self.get("experiments/get-by-name", ("experiment_name", name))?)
            }
            created => text(&created?, "/experiment_id"),
        }
    }

    pub(super) fn create_run(&self, run: &NewRun<'_>) -> Result<RunPlace, Refusal> {
        let body = json!({
            "experiment_id": self.experiment(run.experiment)?,
            "run_name": run.name,
            "start_time": run.started,
            "tags": pairs(run.tags),
        });
        let answer = self.post("runs/create", &body)?;
        Ok(RunPlace { id: text(&answer, "/run/info/run_id")?, artifacts: text(&answer, "/run/info/artifact_uri")? })
    }

    /// States a run's status, and with `ended` when it ended, in milliseconds since 1970.
    pub(super) fn update(&self, run: &str, status: &str, ended: Option<u64>) -> Result<(), Refusal> {
        let mut body = json!({ "run_id": run, "status": status });
        if let Some(ended) = ended {
            body["end_time"] = json!(ended);
        }
        self.post("runs/update", &body).map(|_| ())
    }

    pub(super) fn log_parameters(&self, run: &str, parameters: &[(String, String)]) -> Result<(), Refusal> {
        let short = |(key, value): &(String, String)| (key.clone(), value.chars().take(LONGEST_PARAMETER).collect());
        for some in parameters.chunks(MOST_PARAMETERS) {
            let params: Vec<(String, String)> = some.iter().map(short).collect();
            self.post("runs/log-batch", &json!({ "run_id": run, "params": pairs(&params) }))?;
        }
        Ok(())
    }

    /// At most [`MOST_METRICS`], all of them finite.
    pub(super) fn log_metrics(&self, run: &str, metrics: &[Metric]) -> Result<(), Refusal> {
        let one = |metric: &Metric| json!({ "key": metric.key, "value": metric.value, "timestamp": metric.timestamp, "step": metric.step });
        let metrics: Vec<Value> = metrics.iter().map(one).collect();
        self.post("runs/log-batch", &json!({ "run_id": run, "metrics": metrics })).map(|_| ())
    }

    /// Keeps a file with the run. Whether the server takes any: one that does not proxy artifacts has none.
    pub(super) fn log_artifact(&self, run: &RunPlace, name: &str, bytes: &[u8]) -> Result<bool, Refusal> {
        let Some(place) = run.artifacts.strip_prefix("mlflow-artifacts:") else { return Ok(false) };
        // `mlflow-artifacts:/path`, or with the server's own host: `mlflow-artifacts://host/path`.
        let path = match place.strip_prefix("//") {
            Some(rest) => rest.split_once('/').map_or("", |(_, path)| path),
            None => place.trim_start_matches('/'),
        };
        let url = format!("{}/api/2.0/mlflow-artifacts/artifacts/{path}/{name}", self.base.expose());
        let mut request = self.agent.put(url).header("content-type", "application/octet-stream");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization.expose());
        }
        read(request.send(bytes)).map(|_| true)
    }

    fn get(&self, path: &str, (key, value): (&str, &str)) -> Result<Value, Refusal> {
        let mut request = self.agent.get(self.url(path)).query(key, value);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization.expose());
        }
        read(request.call())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, Refusal> {
        let mut request = self.agent.post(self.url(path)).header("content-type", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization.expose());
        }
        read(request.send(body.to_string()))
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/2.0/mlflow/{path}", self.base.expose())
    }
}

/// As MLflow's own clients: a name and password before a token.
fn authorization(environment: &TrackingEnvironment) -> Result<Option<Secret>, TrackingError> {
    match (&environment.username, &environment.password, &environment.token) {
        (Some(name), Some(password), _) => {
            let pair = STANDARD.encode(format!("{}:{}", name.expose(), password.expose()));
            Ok(Some(Secret::new(format!("Basic {pair}"))))
        }
        (None, None, token) => Ok(token.as_ref().map(|token| Secret::new(format!("Bearer {}", token.expose())))),
        _ => Err(TrackingError::HalfOfAPair),
    }
}

fn pairs(pairs: &[(String, String)]) -> Vec<Value> {
    pairs.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}

fn text(answer: &Value, place: &str) -> Result<String, Refusal> {
    let found = answer.pointer(place).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| Refusal::Never { code: "FORM".to_owned(), reason: format!("its answer has no {place}") })
}

fn read(answer: Result<Response<ureq::Body>, ureq::Error>) -> Result<Value, Refusal> {
    let mut answer = answer.map_err(|error| Refusal::Later(cause(&error)))?;
    let status = answer.status();
    let body = answer.body_mut().with_config().limit(MOST_BYTES).read_to_vec().map_err(|error| Refusal::Later(cause(&error)))?;
    let found: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(found);
    }
    let code = found["error_code"].as_str().map_or_else(|| status.as_u16().to_string(), str::to_owned);
    let words: String = found["message"].as_str().unwrap_or_default().chars().take(MOST_LETTERS).collect();
    let reason = format!("status {} {code} {words}", status.as_u16()).trim_end().to_owned();
    let later = status.is_server_error() || [408, 429].contains(&status.as_u16());
    Err(if later { Refusal::Later(reason) } else { Refusal::Never { code, reason } })
}

/// What stood against a request, without its address.
fn cause(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.kind().to_string(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::HostNotFound => "no such host".to_owned(),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => "no secure connection".to_owned(),
        _ => "no answer".to_owned(),
    }
}
