//! MLflow: one run on the server for one run here. Metrics are named `phase/figure`, parameters are
//! the recipe's keys, and the reports are kept as artifacts.
//!
//! A thread of its own speaks to the server. A run folder remembers its run on the server, so that a
//! run that was stopped continues there too, unless its recipe has changed since: a parameter cannot.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::client::{Client, Metric, NewRun, Refusal, RunPlace};
use super::outbox::{Closing, Outbox};
use super::{Ending, Point, Tracker, TrackingEnvironment, TrackingError, parameters};
use crate::train::recipe::Recipe;
use crate::train::{TrainError, files};

/// How fast figures are sent, and how long anything waits.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Figures are sent together about this often.
    pub flush: Duration,
    /// The pause after a failure, doubled with each that follows.
    pub rest: Duration,
    /// The longest pause.
    pub longest_rest: Duration,
    /// The longest that one request may take.
    pub request: Duration,
    /// The longest that the end of a run waits for what is still to be sent.
    pub closing: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { flush: seconds(5), rest: seconds(5), longest_rest: seconds(300), request: seconds(15), closing: seconds(30) }
    }
}

/// Fills the outbox that a thread empties.
pub(super) struct Mlflow {
    outbox: Arc<Outbox>,
    bound: Duration,
    last_words: Option<String>,
}

impl Mlflow {
    /// Starts the thread; the server is first spoken to there.
    ///
    /// # Errors
    /// [`TrackingError`] for an address or credentials that are none.
    pub(super) fn start(recipe: &Recipe, environment: &TrackingEnvironment, run: &Path, time: Duration) -> Result<Self, TrackingError> {
        let outbox = Arc::new(Outbox::default());
        let courier = Courier {
            client: Client::new(environment)?,
            outbox: Arc::clone(&outbox),
            pace: environment.pace,
            plan: Plan::new(recipe, environment, run, time),
            place: None,
        };
        let started = thread::Builder::new().name("mlflow".to_owned()).spawn(|| courier.work());
        if let Err(error) = started {
            outbox.say(format!("MLflow: no thread could be started ({error}); nothing is sent"));
            outbox.done();
        }
        Ok(Self { outbox, bound: environment.pace.closing, last_words: None })
    }
}

impl Tracker for Mlflow {
    /// The server keeps what a killed run said of steps that are now done again: it has no way back.
    fn begin(&mut self, _: &str, _: u64, _: Duration) -> Result<(), TrainError> {
        Ok(())
    }

    fn record(&mut self, point: &Point<'_>) -> Result<(), TrainError> {
        let finite = point.values.iter().filter(|(_, value)| value.is_finite());
        self.outbox.push(finite.map(|(name, value)| Metric {
            key: format!("{}/{name}", point.phase),
            value: *value,
            timestamp: milliseconds(point.time),
            step: point.step,
        }));
        Ok(())
    }

    fn close(&mut self, ending: &Ending, time: Duration) -> Result<(), TrainError> {
        let (status, artifacts) = match ending {
            Ending::Finished(files) => ("FINISHED", files.clone()),
            Ending::Stopped => ("KILLED", Vec::new()),
            Ending::Failed => ("FAILED", Vec::new()),
        };
        self.outbox.close(Some(Closing { status, time: milliseconds(time), artifacts }));
        let (done, lost) = self.outbox.wait_done(self.bound);
        if !done || lost > 0 {
            let late = if done { String::new() } else { format!(" within {} s", self.bound.as_secs_f64()) };
            self.last_words = Some(format!("MLflow: {lost} figures were not taken{late}; metrics.jsonl holds them all"));
        }
        Ok(())
    }

    fn complaint(&mut self) -> Option<String> {
        self.outbox.heard().or_else(|| self.last_words.take())
    }
}

impl Drop for Mlflow {
    fn drop(&mut self) {
        self.outbox.close(None);
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What a run on the server is made of.
struct Plan {
    identity: Identity,
    name: String,
    started: u64,
    parameters: Vec<(String, String)>,
    tags: Vec<(String, String)>,
    /// Where the run folder remembers its run on the server.
    memory: PathBuf,
}

/// Whose run it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    /// `sha256:` of the address, which may be nobody else's business.
    server: String,
    experiment: String,
    recipe: String,
}

/// `mlflow.json` of the run folder.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    identity: Identity,
    run: String,
    artifacts: String,
}

impl Plan {
    fn new(recipe: &Recipe, environment: &TrackingEnvironment, run: &Path, time: Duration) -> Self {
        let address = environment.uri.as_ref().map_or("", |uri| uri.expose());
        let experiment = environment.experiment.clone().unwrap_or_else(|| recipe.bundle.name.clone());
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        Self {
            identity: Identity { server: format!("sha256:{:x}", Sha256::digest(address)), experiment, recipe: recipe.hash() },
            name: run.file_name().map_or_else(|| recipe.bundle.name.clone(), |name| name.to_string_lossy().into_owned()),
            started: milliseconds(time),
            parameters: parameters::of(recipe),
            tags: vec![tag("mlflow.source.name", "limbic-train"), tag("limbic.recipe", &recipe.hash())],
            memory: run.join("mlflow.json"),
        }
    }
}

/// Empties the outbox into the server.
struct Courier {
    client: Client,
    outbox: Arc<Outbox>,
    pace: Pace,
    plan: Plan,
    place: Option<RunPlace>,
}

impl Courier {
    fn work(mut self) {
        let (mut rest, mut complained) = (self.pace.rest, false);
        let sent = loop {
            let over = self.outbox.is_over();
            match self.send() {
                Ok(()) if over => {
                    // It answers again: should the end not reach it, that is news.
                    complained = false;
                    break Ok(());
                }
                Ok(()) => {
                    rest = self.pace.rest;
                    self.outbox.wait_full(self.pace.flush);
                }
                Err(Refusal::Later(reason)) if !over => {
                    if !complained {
                        let calm = "training goes on, and figures wait until it answers";
                        self.outbox.say(format!("MLflow: the tracking server cannot be used ({reason}); {calm}"));
                    }
                    complained = true;
                    self.outbox.rest(rest);
                    rest = (rest * 2).min(self.pace.longest_rest);
                }
                Err(refusal) => break Err(refusal),
            }
        };
        match sent.and_then(|()| self.end()) {
            Err(Refusal::Never { reason, .. }) => {
                self.outbox.say(format!("MLflow: the tracking server refuses ({reason}); nothing more is sent to it"));
            }
            Err(Refusal::Later(reason)) if !complained => {
                self.outbox.say(format!("MLflow: the tracking server cannot be used ({reason})"));
            }
            _ => {}
        }
        self.outbox.done();
    }

    /// Sends everything that waits.
    fn send(&mut self) -> Result<(), Refusal> {
        let run = self.run()?.id.clone();
        while let Some(metrics) = self.outbox.take() {
            if let Err(refusal) = self.client.log_metrics(&run, &metrics) {
                self.outbox.put_back(metrics);
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// The run on the server: the one found before, the one remembered, or a new one.
    fn run(&mut self) -> Result<&RunPlace, Refusal> {
        let place = match self.place.take() {
            Some(place) => place,
            None => match self.remembered()? {
                Some(place) => place,
                None => self.create()?,
            },
        };
        Ok(self.place.insert(place))
    }

    /// A memory that cannot be read, or whose run the server does not know any more, is none.
    fn remembered(&self) -> Result<Option<RunPlace>, Refusal> {
        let memory: Option<Memory> = files::read_json(&self.plan.memory).unwrap_or_default();
        let Some(memory) = memory.filter(|memory| memory.identity == self.plan.identity) else { return Ok(None) };
        match self.client.update(&memory.run, "RUNNING", None) {
            Ok(()) => Ok(Some(RunPlace { id: memory.run, artifacts: memory.artifacts })),
            Err(Refusal::Never { .. }) => Ok(None),
            Err(later) => Err(later),
        }
    }

    fn create(&self) -> Result<RunPlace, Refusal> {
        let Plan { identity, name, started, parameters, tags, memory } = &self.plan;
        let place = self.client.create_run(&NewRun { experiment: &identity.experiment, name, started: *started, tags })?;
        self.client.log_parameters(&place.id, parameters)?;
        let remembered = Memory { identity: identity.clone(), run: place.id.clone(), artifacts: place.artifacts.clone() };
        if let Err(error) = files::write_json(memory, &remembered) {
            self.outbox.say(format!("MLflow: {error}; a run that is stopped and continued will be a new one on the server"));
        }
        Ok(place)
    }

    fn end(&mut self) -> Result<(), Refusal> {
        let Some(Closing { status, time, artifacts }) = self.outbox.closing() else { return Ok(()) };
        let run = self.run()?.clone();
        let kept = self.keep(&run, &artifacts);
        let stated = self.client.update(&run.id, status, Some(time));
        kept.and(stated)
    }

    fn keep(&self, run: &RunPlace, artifacts: &[PathBuf]) -> Result<(), Refusal> {
        for path in artifacts {
            let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            match files::read(path) {
                Ok(bytes) if !self.client.log_artifact(run, &name, &bytes)? => {
                    self.outbox.say("MLflow: the server takes no artifacts; the reports stay in the run folder".to_owned());
                    break;
                }
                Ok(_) => {}
                Err(error) => self.outbox.say(format!("MLflow: {error}")),
            }
        }
        Ok(())
    }
}
