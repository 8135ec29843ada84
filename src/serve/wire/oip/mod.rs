//! The Open Inference Protocol, version 2, over REST, with the binary tensor extension.
//!
//! One input, `text` (BYTES), and two outputs, `probabilities` (FP32) and `labels` (BYTES). Clients
//! add members of their own, so unknown ones are passed over here and only here. Specification:
//! Open Inference Protocol (`inference_rest.yaml`); Triton's "binary tensor data", "classification"
//! and "schedule policy" extensions.
//!
//! | file | what it owns |
//! |---|---|
//! | `request` | the request: JSON, and what it says of the bytes behind it |
//! | `tensor` | BYTES in both forms |
//! | `answer` | the outputs in both forms |
//! | `metadata` | what the server and the model say of themselves |

mod answer;
mod metadata;
mod request;
mod tensor;

pub(crate) use answer::{InferAnswer, Written};
pub(crate) use metadata::{model, server};
pub(crate) use request::InferRequest;
