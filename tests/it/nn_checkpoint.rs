//! Weights as checkpoints have them: other names, other formats, and files that are none.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use limbic::nn::{Missing, NnError, Weights, join_safetensors, pickle_to_safetensors};
use limbic::spec::Pooling;
use proptest::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde::Deserialize;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::nn_support::{FAMILIES, Tiny, close, close_number, norm};
use crate::support::fixture;

#[derive(Deserialize)]
struct Told {
    shape: Vec<usize>,
    norm: f64,
    first: Vec<f32>,
}

#[derive(Deserialize)]
struct Pickle {
    tensors: BTreeMap<String, Told>,
}

fn pickle() -> Vec<u8> {
    std::fs::read(fixture("tiny-distilbert/pytorch_model.bin")).unwrap()
}

#[test]
fn a_pickle_holds_what_pytorch_wrote() {
    let expected: Pickle = serde_json::from_slice(&std::fs::read(fixture("pickle.json")).unwrap()).unwrap();
    let bytes = pickle_to_safetensors(&pickle()).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    // The integers of the position ids are there too.
    assert_eq!(file.len(), expected.tensors.len() + 1);
    for (name, told) in &expected.tensors {
        let view = file.tensor(name).unwrap();
        let values: Vec<f32> = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        assert_eq!(view.shape(), told.shape, "{name}");
        assert_eq!(values[..told.first.len()], told.first, "{name}");
        close_number(name, norm(&values), told.norm, 1e-6);
    }
}

/// An archive as `torch.save` writes one, around this pickle.
fn archive(pickle: &[u8], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("a/data.pkl", SimpleFileOptions::default().compression_method(method)).unwrap();
    archive.write_all(pickle).unwrap();
    archive.finish().unwrap().into_inner()
}

/// `{"w": _rebuild_tensor_v2(arguments)}` as a pickle.
fn tensor_of(arguments: &[u8]) -> Vec<u8> {
    [b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n", arguments, b"Rs."].concat()
}

#[test]
fn what_is_no_pickle_of_tensors_is_refused_and_never_run() {
    let stored = |pickle: &[u8]| archive(pickle, CompressionMethod::Stored);
    // ("storage", FloatStorage, "0", "cpu", 4), offset 0, shape (2, 2), strides (2, 1).
    let lost = b"((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQK\0(K\x02K\x02t(K\x02K\x01t\x89}t";
    let cases: [(&str, Vec<u8>, &str); 9] = [
        ("nothing", vec![], "expected a zip archive"),
        ("the old format", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".to_vec(), "expected a zip archive"),
        ("half a file", pickle()[..70_000].to_vec(), "expected a zip archive"),
        ("a call", stored(b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R."), "expected a dictionary of tensors, found something else"),
        ("a call in a dictionary", stored(b"\x80\x02}X\x01\0\0\0wcposix\nsystem\nX\x04\0\0\0true\x85Rs."), "found none"),
        ("an unknown instruction", stored(b"\x80\x02\xff."), "data.pkl: unknown op-code 255"),
        ("a tensor without arguments", stored(&tensor_of(b")")), "the reader panicked"),
        ("a tensor without numbers", stored(&tensor_of(lost)), "a/data/0: "),
        (
            "no pickle",
            ZipWriter::new(Cursor::new(Vec::new())).finish().unwrap().into_inner(),
            "expected one data.pkl in the archive, found 0",
        ),
    ];
    let mut seen = 0;
    for (what, bytes, told) in cases {
        let error = pickle_to_safetensors(&bytes).expect_err(what).to_string();
        assert!(error.starts_with("no PyTorch weights: ") && error.contains(told), "{what}: {error}");
        seen += 1;
    }
    assert_eq!(seen, 9);
}

#[test]
fn a_tensor_beyond_its_storage_is_refused() {
    let bytes = pickle();
    // Shapes stand in the pickle as pairs of small integers: 32 x 32 becomes 32 x 255.
    let place = bytes.windows(5).position(|window| window == b"K K \x86").expect("a square matrix");
    let mut grown = bytes;
    grown[place + 1] = 255;
    let error = pickle_to_safetensors(&grown).expect_err("a matrix that is larger than its storage").to_string();
    assert!(error.contains("does not lie within") || error.contains("checksum"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_change_of_a_pickle_is_fatal(place in 0..8_000_usize, byte: u8) {
        let mut bytes = pickle();
        bytes[place] = byte;
        let _ = pickle_to_safetensors(&bytes);
    }
}

/// A file with every tensor renamed or left out as `name` says, and `more` beside them.
fn renamed(checkpoint: &[u8], name: impl Fn(&str) -> Option<String>, more: &[&str]) -> Vec<u8> {
    let file = SafeTensors::deserialize(checkpoint).unwrap();
    let extra = TensorView::new(safetensors::Dtype::I64, vec![1], &[0; 8]).unwrap();
    let mut tensors: BTreeMap<String, TensorView<'_>> = more.iter().map(|name| ((*name).to_owned(), extra.clone())).collect();
    tensors.extend(file.iter().filter_map(|(old, view)| Some((name(old)?, view))));
    safetensors::serialize(tensors, None).unwrap()
}

#[test]
fn bare_encoders_and_other_heads_are_read_by_name() {
    let extras = ["lm_head.bias", "pooler.dense.bias", "embeddings.position_ids", "vocab_projector.weight"];
    let mut seen = 0;
    for (family, _) in FAMILIES {
        let tiny = Tiny::of(family);
        let classifier = tiny.classifier(Pooling::Mean);
        let (specs, head) = (classifier.params(), classifier.head_params());
        let missing = Missing::Init { seed: 1, allowed: &head };
        let prefix = if family == "modernbert" { "model" } else { family };
        let bare = renamed(&tiny.checkpoint(), |name| name.strip_prefix(&format!("{prefix}.")).map(str::to_owned), &extras);
        let (found, expected) = (Weights::from_safetensors(&bare, &specs, missing).unwrap(), tiny.weights(Pooling::Mean));
        let (found, expected) = (found.snapshot().unwrap(), expected.snapshot().unwrap());
        for (name, _, values) in expected.iter().filter(|(name, ..)| name.starts_with(prefix)) {
            close(name, found.get(name).unwrap().1, values, 0.0, 0.0);
            seen += 1;
        }
        let table = specs[0].name.clone();
        let lacking = renamed(&tiny.checkpoint(), |name| (name != table).then(|| name.to_owned()), &extras);
        let error = Weights::from_safetensors(&lacking, &specs, missing).unwrap_err().to_string();
        assert_eq!(error, format!("1 parameters are missing from the checkpoint: {table}"));
    }
    assert_eq!(seen, [5, 5, 4].map(|tables| 2 * 16 + tables).iter().sum::<usize>() + 3 * 6 - 1 + 3);
}

#[test]
fn shards_are_joined_and_overlaps_refused() {
    let tiny = Tiny::read();
    let whole = tiny.checkpoint();
    let part = |second: bool| renamed(&whole, |name| (name.contains("layer.1") == second).then(|| name.to_owned()), &[]);
    let specs = tiny.classifier(Pooling::Mean).params();
    let joined = Weights::from_safetensors(&join_safetensors(&[part(false), part(true)]).unwrap(), &specs, Missing::Refuse).unwrap();
    assert_eq!(joined.snapshot().unwrap(), tiny.weights(Pooling::Mean).snapshot().unwrap());
    let twice = join_safetensors(&[part(false), whole.clone()]);
    assert!(matches!(&twice, Err(NnError::Safetensors { reason }) if reason.contains("stands in two files")), "{twice:?}");
    assert!(matches!(join_safetensors(&[whole, vec![1, 2]]), Err(NnError::Safetensors { .. })));
}
