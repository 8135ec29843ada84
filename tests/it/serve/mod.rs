//! The server, over real sockets on the loopback interface.
//!
//! Most tests put a scripted engine behind it, whose logits follow from a text's ids alone and
//! which computes when the test says so. Those about the whole walk use the tiny bundle.

mod access;
mod binary;
mod bounds;
mod bulk;
mod collector;
mod configuration;
mod cors;
mod crowd;
mod drift;
mod errors;
mod exposition;
pub mod families;
mod faults;
mod grpc;
pub mod harness;
mod heads;
mod lifecycle;
mod limits;
mod load;
mod metrics;
mod models;
mod oip;
mod openapi;
mod page;
mod parts;
mod policy;
mod repository;
mod shadow;
mod shapes;
mod swaps;
mod tls;
mod traces;
mod zoo;
