//! The server: HTTP in, calibrated emotions out.
//!
//! | file | what it owns |
//! |---|---|
//! | [`args`], [`config`] | the command line as typed, then as resolved |
//! | [`boot`] | bundle to [`Service`]: open, verify, warm |
//! | [`registry`] | the models and their versions, changes to them, the folder they come from, shadows |
//! | [`threads`] | how many threads of each kind, from what the container has |
//! | `app`, `shutdown` | listening, and stopping in order |
//! | `held` | a chunked body that was not read to its end |
//! | `edge` | what every request gets: id, a look at its key, error shape, headers, counters, one log line |
//! | `page` | the page at `/`, as plain files |
//! | `routes`, `wire` | the paths and gRPC's methods; their JSON and messages, checked going in and ordered going out |
//! | [`proto`] | the messages and services that `proto/` is compiled to |
//! | [`engine`], [`batching`] | admission, the queue, the workers; which texts go together |
//! | [`error`] | everything that can go wrong with a request, and its status |
//! | `openapi` | the API described: a document a port, and a page to read it on |
//! | [`access`], [`secret`] | keys and their rates, for every transport; words that are never shown |
//! | [`tls`], [`cors`], `headers` | the certificate and its renewal; which pages may read answers; what every answer carries |
//! | `label_sets` | the label sets that answers can be given in, as published data |
//! | [`telemetry`] | the metrics, the drift of scores, traces to a collector |
//! | [`probe`] | the client side of a health check |
//!
//! A request walks left to right with one wait: JSON, checked request, permit, encode on the
//! blocking pool, ticket, logits, decide, JSON. It never panics the process, never blocks an
//! async worker, and its text is never logged.

pub mod access;
pub mod args;
pub mod batching;
pub mod boot;
pub mod config;
pub mod cors;
pub mod engine;
pub mod error;
pub mod model;
pub mod probe;
pub mod proto;
pub mod registry;
pub mod secret;
pub mod telemetry;
pub mod threads;
pub mod tls;

mod app;
mod clock;
mod edge;
mod headers;
mod held;
mod label_sets;
mod openapi;
mod page;
mod routes;
mod shutdown;
mod wire;

pub use app::{Sockets, run};
pub use boot::{ServeError, Service};
pub use config::{ModelsConfig, SafetyConfig, ServeConfig, Settings};
