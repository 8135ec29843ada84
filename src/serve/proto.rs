//! What `proto/` is compiled to: the messages of the Open Inference Protocol and of gRPC's health checks, with a client and a
//! server of each. Public, so that a client in Rust needs no compiler of its own. Refuses anything by hand.

/// The Open Inference Protocol, version 2.
#[allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub, reason = "generated")]
pub mod inference {
    tonic::include_proto!("inference");
}

/// gRPC's health checks.
#[allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub, reason = "generated")]
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}
