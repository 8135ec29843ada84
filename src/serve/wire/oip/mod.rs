//! The Open Inference Protocol, version 2, over REST with the binary tensor extension, and over gRPC.
//!
//! One input, `text` (BYTES), and two outputs, `probabilities` (FP32) and `labels` (BYTES). Clients
//! add members of their own, so unknown ones are passed over here and only here. Specification:
//! Open Inference Protocol (`inference_rest.yaml`, `open_inference_grpc.proto`); Triton's "binary
//! tensor data", "classification", "schedule policy" and "model repository" extensions.
//!
//! | file | what it owns |
//! |---|---|
//! | `request` | the request: JSON, and what it says of the bytes behind it |
//! | `tensor` | BYTES in both forms |
//! | `answer` | the outputs in both forms |
//! | `message` | request and answer as messages |
//! | `metadata`, `health` | what the server and the model say of themselves |
//! | `repository` | which models there are, and what a change to that says |

mod answer;
mod health;
mod message;
mod metadata;
mod repository;
mod request;
mod tensor;

pub(crate) use answer::{InferAnswer, InferBody, Written};
pub(crate) use health::{ModelHealth, ServerHealth};
pub(crate) use message::{message, parse as parse_message};
pub(crate) use metadata::{model, server};
pub(crate) use repository::{IndexEntry, asks_ready, check_change, serving};
pub(crate) use request::InferRequest;
