//! The recorded graph against the eager network: one model, two engines.

use std::fs;

use limbic::backend::Backend;
use limbic::bundle::{Bundle, BundleWriter, Layout, PackedWeights, weights_location};
use limbic::export::{self, ExportError, ParityReport, VerifyError};
use limbic::spec::{Pooling, Precision};
use limbic::text::{Batch, Encoding};

use super::support::{base_model, onnxruntime};
use super::tiny;

const POOLINGS: [Pooling; 2] = [Pooling::Mean, Pooling::ClsTanh];

/// Both engines on the golden texts of a bundle of these parts, in every batch shape.
fn check(parts: &limbic::bundle::BundleParts) -> ParityReport {
    let graph = parts.graph.as_ref().unwrap();
    assert!(graph.bytes.len() < 64_000, "the graph has {} bytes: it should hold no weights", graph.bytes.len());
    let dir = tempfile::tempdir().unwrap();
    let staged = BundleWriter::stage(&dir.path().join("bundle"), parts).unwrap();
    let report = export::verify(staged.bundle(), &onnxruntime()).unwrap();
    assert_eq!((report.texts, report.engines.len()), (parts.golden.texts.len(), 2));
    assert!(report.engines.iter().all(|engine| engine.max_abs_logit_difference <= 1e-4), "{report:?}");
    let spread = parts.golden.logits.values().iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    assert!(spread > 0.1, "logits near zero prove nothing: the largest is {spread}");
    report
}

#[test]
fn both_engines_agree_on_a_tiny_network_of_every_family() {
    let mut seen = 0;
    for (family, pooling) in tiny::cases() {
        for precision in [Precision::Fp32, Precision::Int8Weights] {
            check(&tiny::parts_of(family, pooling, precision));
            seen += 1;
        }
    }
    assert_eq!(seen, 2 * tiny::CASES);
}

#[test]
fn decoders_answer_alike_whichever_side_is_padded() {
    let (dir, mut seen) = (tempfile::tempdir().unwrap(), 0);
    for (family, poolings) in tiny::DECODERS {
        for &pooling in poolings {
            let bundle = tiny::write(&dir.path().join("bundle"), &tiny::parts_of(family, pooling, Precision::Fp32));
            let golden = bundle.golden();
            let encodings: Vec<Encoding> = golden.ids.iter().map(|ids| Encoding::new(ids.clone(), false).unwrap()).collect();
            // Texts of all lengths in one batch, so that most are padded.
            let logits = tiny::onnx(&bundle).with_padding_left().forward(&Batch::new(&encodings).unwrap()).unwrap();
            for (found, expected) in logits.values().iter().zip(golden.logits.values()) {
                assert!((found - expected).abs() <= 1e-4, "{family}, {pooling:?}: {found} is not {expected}");
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 6);
    // An encoder's graph does not: what is tested above can fail.
    let bundle = tiny::write(&dir.path().join("bundle"), &tiny::parts(Pooling::ClsTanh, Precision::Fp32));
    let encodings: Vec<Encoding> = bundle.golden().ids.iter().map(|ids| Encoding::new(ids.clone(), false).unwrap()).collect();
    let logits = tiny::onnx(&bundle).with_padding_left().forward(&Batch::new(&encodings).unwrap()).unwrap();
    let pairs = logits.values().iter().zip(bundle.golden().logits.values());
    assert!(pairs.map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max) > 1e-2);
}

#[test]
fn both_engines_agree_on_minilm() {
    let folder = base_model();
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let (config_json, tokenizer_json) = (read("config.json"), read("tokenizer.json"));
    for pooling in POOLINGS {
        let network = tiny::network(&config_json, pooling, 11);
        let weights = tiny::with_fresh_head(&read("model.safetensors"), &network);
        let seed = tiny::Seed {
            name: "minilm",
            config_json: config_json.clone(),
            tokenizer_json: tokenizer_json.clone(),
            pooling,
            max_length: 128,
        };
        check(&tiny::with_golden(seed, &network, &weights, Precision::Fp32));
    }
}

#[test]
fn a_bundle_whose_engines_differ_is_refused() {
    let mut parts = tiny::parts(Pooling::Mean, Precision::Fp32);
    parts.tolerance = 1e-12;
    let dir = tempfile::tempdir().unwrap();
    let staged = BundleWriter::stage(&dir.path().join("bundle"), &parts).unwrap();
    let refused = export::verify(staged.bundle(), &onnxruntime());
    assert!(matches!(refused, Err(VerifyError::Parity { .. })), "{refused:?}");
    parts.graph = None;
    let bundle: Bundle = tiny::write(&dir.path().join("plain"), &parts);
    assert!(matches!(export::verify(&bundle, &onnxruntime()), Err(VerifyError::NoGraph)));
}

#[test]
fn a_network_that_the_weights_do_not_fit_is_refused_by_name() {
    let parts = tiny::parts(Pooling::Mean, Precision::Fp32);
    let location = weights_location(Precision::Fp32);
    let export = |pooling, labels, layout: &Layout| export::onnx(&tiny::network(&parts.config_json, pooling, labels), layout, location);
    let name = |result: Result<_, ExportError>| match result {
        Err(ExportError::Parameter { name, .. }) => name,
        other => panic!("expected a refused parameter, found {:?}", other.map(|_: limbic::bundle::Graph| ())),
    };
    assert_eq!(name(export(Pooling::ClsTanh, 3, parts.weights.layout())), "bert.pooler.dense.weight");
    assert_eq!(name(export(Pooling::Mean, 4, parts.weights.layout())), "classifier.weight");
    assert_eq!(name(export(Pooling::Mean, 3, &Layout::default())), "bert.embeddings.word_embeddings.weight");
}

#[test]
fn stored_bytes_stay_near_the_weights_they_were_rounded_from() {
    let parts = tiny::parts(Pooling::ClsTanh, Precision::Fp32);
    let plain = parts.weights.image();
    let packed = PackedWeights::pack(plain, Precision::Int8Weights).unwrap();
    assert!(packed.file().len() * 3 < plain.len(), "{} bytes for {}", packed.file().len(), plain.len());
    assert_eq!(packed.layout().iter().len(), parts.weights.layout().iter().len());
    let mut steps = Vec::new();
    for (name, span) in packed.layout().iter() {
        let from = parts.weights.layout().get(name).unwrap();
        assert_eq!(span.shape, from.shape, "{name}");
        let (was, is) = (floats(&plain[from.offset..][..from.bytes]), floats(&packed.image()[span.offset..][..span.bytes]));
        if span.shape.len() != 2 {
            assert_eq!(was, is, "{name}");
            continue;
        }
        for (was, is) in was.chunks_exact(span.shape[1]).zip(is.chunks_exact(span.shape[1])) {
            let largest = was.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            let squares: f32 = was.iter().zip(is).map(|(was, is)| (was - is).powi(2)).sum();
            let error = (squares / was.len() as f32).sqrt();
            // A step of an unclipped row is largest / 127, and nothing is further than half a step
            // away; a clipped row was chosen because it is nearer.
            steps.push(error / (largest / 127.0));
            assert!(error <= 0.5 * largest / 127.0, "{name}: {error} for rows up to {largest}");
        }
    }
    assert!(steps.len() > 500, "compared {} rows only", steps.len());
    // Uniform rounding is off by 1 / sqrt(12) of a step.
    let mean = steps.iter().sum::<f32>() / steps.len() as f32;
    assert!(mean <= 0.29, "{mean} steps");
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}
