//! Engines: the golden check, one answer whatever the batch, and errors that leave them usable.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use limbic::backend::scripted::{Scripted, logit};
use limbic::backend::{self, Backend, BackendError, Cost, EngineKind, Options, check_golden, find_library};
use limbic::bundle::Bundle;
use limbic::spec::{Architecture, Pooling, Precision};
use limbic::text::{Batch, Encoding};

use super::support::repo_root;
use super::tiny;

fn open(kind: EngineKind, bundle: &Bundle) -> Box<dyn Backend> {
    backend::open(kind, bundle, &tiny::options()).unwrap()
}

/// Calls `with` for every engine, stored precision, family and pooling.
fn each(mut with: impl FnMut(&Bundle, &mut dyn Backend)) {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for precision in [Precision::Fp32, Precision::Int8Weights] {
        for (family, pooling) in tiny::cases() {
            let bundle = tiny::write(&dir.path().join("bundle"), &tiny::parts_of(family, pooling, precision));
            for kind in EngineKind::ALL {
                with(&bundle, open(kind, &bundle).as_mut());
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 4 * tiny::CASES);
}

#[test]
fn every_engine_gives_the_golden_answers() {
    each(|bundle, backend| {
        let report = check_golden(backend, bundle).unwrap();
        assert_eq!(report.texts, tiny::TEXTS.len());
        assert!(report.max_abs_logit_difference <= 1e-4, "{}: {report:?}", backend.name());
    });
}

#[test]
fn the_models_that_ship_answer_their_golden_texts_and_are_small() {
    for (name, labels) in [("tweet-emotion-minilm", 11), ("reddit-emotion-minilm", 28)] {
        let folder = repo_root().join("models").join(name).join("bundle");
        let bundle = Bundle::open(&folder).unwrap();
        assert_eq!((bundle.name(), bundle.labels().len()), (name, labels));
        let bytes: u64 = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
        assert!(bytes <= 30 << 20, "{name}: {bytes} bytes");
        for kind in EngineKind::ALL {
            check_golden(open(kind, &bundle).as_mut(), &bundle).unwrap();
        }
    }
}

#[test]
fn a_text_has_the_same_probabilities_alone_and_in_any_batch() {
    each(|bundle, backend| {
        let encoder = bundle.text_encoder();
        let alone: Vec<Vec<f32>> = tiny::TEXTS
            .iter()
            .map(|text| {
                let logits = backend.forward(&tiny::batch(&encoder, [*text])).unwrap();
                bundle.decider().probabilities(&logits).row(0).to_vec()
            })
            .collect();
        for size in [2, 3, 5, tiny::TEXTS.len()] {
            for (group, expected) in tiny::TEXTS.chunks(size).zip(alone.chunks(size)) {
                let logits = backend.forward(&tiny::batch(&encoder, group.iter().copied())).unwrap();
                let probabilities = bundle.decider().probabilities(&logits);
                for (row, expected) in expected.iter().enumerate() {
                    for (found, expected) in probabilities.row(row).iter().zip(expected) {
                        assert!((found - expected).abs() <= 1e-5, "{} in {size}s: {found} is not {expected}", backend.name());
                    }
                }
            }
        }
    });
}

#[test]
fn an_id_beyond_the_vocabulary_is_an_error_and_the_engine_stays_usable() {
    each(|bundle, backend| {
        let stray = Encoding::new(vec![2, 1_000_000, 3], false).unwrap();
        let refused = backend.forward(&Batch::new([&stray]).unwrap());
        assert!(matches!(refused, Err(BackendError::Forward { texts: 1, .. })), "{}: {refused:?}", backend.name());
        // Rotary positions do not end.
        if matches!(bundle.architecture(), Architecture::Bert | Architecture::Roberta | Architecture::DistilBert) {
            let long = Encoding::new(vec![2; 4096], false).unwrap();
            let refused = backend.forward(&Batch::new([&long]).unwrap());
            assert!(matches!(refused, Err(BackendError::Forward { .. })), "{}: {refused:?}", backend.name());
        }
        check_golden(backend, bundle).unwrap();
    });
}

#[test]
fn wrong_answers_do_not_pass_the_golden_check() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = tiny::write(&dir.path().join("bundle"), &tiny::parts(Pooling::Mean, Precision::Fp32));
    let refused = check_golden(&mut Scripted::silent(3), &bundle);
    assert!(matches!(refused, Err(BackendError::Golden { engine: "scripted", text: 0, .. })), "{refused:?}");
}

#[test]
fn a_missing_or_foreign_library_says_what_to_run() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = tiny::write(&dir.path().join("bundle"), &tiny::parts(Pooling::Mean, Precision::Fp32));
    let message = |library: Option<PathBuf>| {
        let refused = backend::open(EngineKind::Onnx, &bundle, &Options { library, intra_threads: 1 });
        refused.map(|_| ()).unwrap_err().to_string()
    };
    let foreign = dir.path().join("libonnxruntime.so");
    std::fs::write(&foreign, "no library").unwrap();
    for library in [None, Some(dir.path().join("absent.so")), Some(foreign)] {
        let message = message(library.clone());
        assert!(message.contains("run scripts/setup"), "{library:?}: {message}");
    }
    let nowhere = find_library(None, &[dir.path().to_owned()]).unwrap_err().to_string();
    assert!(nowhere.contains(&dir.path().display().to_string()) && nowhere.contains("scripts/setup"), "{nowhere}");
    let named = find_library(Some(Path::new("absent.so")), &[]).unwrap_err().to_string();
    assert!(named.starts_with("absent.so: no such file"), "{named}");
}

#[test]
fn engines_have_names() {
    for kind in EngineKind::ALL {
        assert_eq!(kind.name().parse::<EngineKind>().unwrap(), kind);
    }
    assert_eq!("torch".parse::<EngineKind>().unwrap_err().to_string(), "expected engine onnx or candle, found \"torch\"");
}

#[test]
fn a_script_waits_refuses_and_answers_by_ids() {
    let (gate, wait) = mpsc::channel::<bool>();
    let mut scripted =
        Scripted::new(2, Cost::Padded, move |batch| if wait.recv().unwrap() { Ok(()) } else { Err(Scripted::refusal(batch)) });
    let encodings = [vec![1, 2, 3], vec![3, 2, 1]].map(|ids| Encoding::new(ids, false).unwrap());
    let batch = Batch::new(&encodings).unwrap();
    gate.send(false).unwrap();
    assert!(matches!(scripted.forward(&batch), Err(BackendError::Forward { texts: 2, .. })));
    gate.send(true).unwrap();
    let logits = scripted.forward(&batch).unwrap();
    assert_eq!(logits.row(1), [logit(&[3, 2, 1], 0), logit(&[3, 2, 1], 1)]);
    assert_ne!(logits.row(0), logits.row(1));
}
