//! The network again, as an ONNX graph of a few kilobytes, and the proof that it is the same.
//!
//! [`onnx`] records the one definition in `model` through [`OnnxGraph`]; the weights stay in the
//! bundle's file. [`verify()`] runs both engines on the bundle's golden texts and refuses a bundle
//! whose engines differ by more than its stated tolerance. The only room that knows protobuf.

mod error;
mod graph;
mod proto;
mod verify;

pub use error::ExportError;
pub use graph::{OnnxGraph, Recorded, Rows};
pub use verify::{EngineParity, ParityReport, VerifyError, verify};

use prost::Message;

use crate::bundle::{GRAPH_INPUTS, GRAPH_OUTPUT, Graph, Layout};
use crate::model::SequenceClassifier;
use proto::{FLOAT, GraphProto, INT64, ModelProto, OperatorSetIdProto, value_info};

/// The ONNX operator set of a recorded graph: the first with `Gelu`.
pub const OPSET: u32 = 20;
/// The version of the file format that goes with [`OPSET`] (ONNX 1.15).
const IR_VERSION: i64 = 9;

/// Records `network` over weights laid out by `layout` in the file the graph is to call
/// `location` (see [`crate::bundle::weights_location`]).
///
/// Inputs are `input_ids` and `attention_mask`, `i64 [batch, sequence]`; the output is `logits`,
/// `f32 [batch, labels]`.
///
/// # Errors
/// [`ExportError::Parameter`] when the weights lack a parameter of the network.
pub fn onnx(network: &SequenceClassifier, layout: &Layout, location: &str) -> Result<Graph, ExportError> {
    let mut graph = OnnxGraph::new(layout, location);
    let logits = network.forward(&mut graph)?;
    let (node, initializer) = graph.finish(&logits, GRAPH_OUTPUT);
    let graph = GraphProto {
        node,
        name: "limbic".to_owned(),
        initializer,
        input: GRAPH_INPUTS.iter().map(|name| value_info(name, INT64, &[Err("batch"), Err("sequence")])).collect(),
        output: vec![value_info(GRAPH_OUTPUT, FLOAT, &[Err("batch"), Ok(graph::signed(network.labels()))])],
    };
    let opset = OperatorSetIdProto { domain: Some(String::new()), version: Some(i64::from(OPSET)) };
    let model = ModelProto {
        ir_version: Some(IR_VERSION),
        opset_import: vec![opset],
        producer_name: "limbic".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
    };
    Ok(Graph { bytes: model.encode_to_vec(), opset: OPSET })
}
