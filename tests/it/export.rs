//! The recorded graph against the eager network: one model, two engines.

use limbic::backend::Backend;
use limbic::bundle::BundleWriter;
use limbic::spec::{Pooling, Precision};

use super::tiny;

#[test]
fn a_recorded_graph_opens_in_onnx_runtime_and_is_small() {
    for pooling in [Pooling::Mean, Pooling::ClsTanh] {
        let parts = tiny::parts(pooling, Precision::Fp32);
        let graph = parts.graph.as_ref().unwrap();
        assert!(graph.bytes.len() < 30_000, "{} bytes", graph.bytes.len());
        let dir = tempfile::tempdir().unwrap();
        let staged = BundleWriter::stage(&dir.path().join("b"), &parts).unwrap();
        let mut backend = tiny::onnx(staged.bundle());
        let batch = tiny::batch(&staged.bundle().text_encoder(), tiny::TEXTS);
        let logits = backend.forward(&batch).unwrap();
        let spread = logits.values().iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        assert!(spread > 0.1, "logits are all near zero: {spread}");
    }
}
