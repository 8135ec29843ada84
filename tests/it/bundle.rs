//! Bundles: what is written opens again, and nothing broken opens.
//!
//! Every case breaks one thing in a good bundle. A case that reaches past the hashes seals the
//! bundle again, as somebody would who writes a bundle by hand.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use limbic::bundle::{self, Bundle, BundleError, BundleWriter};
use limbic::spec::{Pooling, Precision};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::tiny;

const FILES: [&str; 6] = ["bundle.json", "config.json", "golden.json", "model.onnx", "model.safetensors", "tokenizer.json"];

/// Breaks a good bundle with `broken`, opens it, and expects an error that names `file` and says
/// `saying`.
fn check(case: &str, precision: Precision, file: &str, saying: &str, broken: impl FnOnce(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    let path = tiny::bundle(dir.path(), precision);
    broken(&path);
    match Bundle::open(&path) {
        Ok(_) => panic!("{case}: a broken bundle opened"),
        Err(error) => {
            assert_eq!(error.path(), path.join(file), "{case}: {error}");
            let message = error.to_string();
            assert!(message.starts_with(&path.join(file).display().to_string()), "{case}: {message}");
            assert!(message.contains(saying), "{case}: {message:.600} does not say {saying:?}");
        }
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Edits the manifest, then states sizes, hashes and id as they are now.
fn reseal(path: &Path, edit: impl FnOnce(&mut Value)) {
    let at = path.join("bundle.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&at).unwrap()).unwrap();
    for file in FILES.iter().filter(|file| **file != "bundle.json") {
        let content = fs::read(path.join(file)).unwrap();
        manifest["files"][file] = json!({ "sha256": hash(&content), "bytes": content.len() });
    }
    edit(&mut manifest);
    // The id is taken over sorted names.
    if let Some(files) = manifest["files"].as_object_mut() {
        files.sort_keys();
    }
    manifest["id"] = "".into();
    let id = format!("sha256:{}", hash(manifest.to_string().as_bytes()));
    manifest["id"] = id.into();
    fs::write(at, manifest.to_string()).unwrap();
}

/// Edits one JSON file and seals the bundle again.
fn edit_json(path: &Path, file: &str, edit: impl FnOnce(&mut Value)) {
    let at = path.join(file);
    let mut value: Value = serde_json::from_slice(&fs::read(&at).unwrap()).unwrap();
    edit(&mut value);
    fs::write(at, value.to_string()).unwrap();
    reseal(path, |_| {});
}

/// Replaces the only place where `from` stands in a file by `to`, and seals the bundle again.
fn replace_bytes(path: &Path, file: &str, from: &[u8], to: &[u8]) {
    let at = path.join(file);
    let mut bytes = fs::read(&at).unwrap();
    let found = bytes.windows(from.len()).position(|window| window == from).expect("the bytes to replace are there");
    bytes.splice(found..found + from.len(), to.iter().copied());
    fs::write(at, bytes).unwrap();
    reseal(path, |_| {});
}

#[test]
fn a_bundle_opens_as_it_was_written() {
    for precision in [Precision::Fp32, Precision::Int8Weights] {
        let parts = tiny::parts(Pooling::Mean, precision);
        let dir = tempfile::tempdir().unwrap();
        let written = tiny::write(&dir.path().join("bundle"), &parts);
        let opened = Bundle::open(&dir.path().join("bundle")).unwrap();
        assert_eq!(opened.id(), written.id());
        assert!(opened.id().len() == 71 && opened.id().starts_with("sha256:"), "{}", opened.id());
        assert_eq!((opened.name(), opened.version(), opened.created()), ("tiny", "0.1.0", 1_700_000_000));
        assert_eq!(opened.labels().names(), tiny::LABELS);
        assert_eq!(opened.decider(), &parts.decider);
        assert_eq!(opened.golden(), &parts.golden);
        assert_eq!(opened.card().metrics, parts.metrics);
        assert_eq!(opened.card().scores, parts.scores);
        assert_eq!(opened.card().provenance, parts.provenance);
        assert_eq!(opened.weights_fp32(), *parts.weights.image());
        assert_eq!(opened.graph().unwrap(), parts.graph.unwrap().bytes);
        assert_eq!(opened.config_json().as_bytes(), parts.config_json);
        assert_eq!(opened.files().map(|file| file.name.as_str()).collect::<Vec<_>>(), FILES[1..]);
        let again = tiny::write(&dir.path().join("again"), &tiny::parts(Pooling::Mean, precision));
        assert_eq!(again.id(), written.id(), "the same parts make the same bundle");
        let card = bundle::render(&opened);
        for word in ["joy", "0.5000 [0.4000, 0.6000]", opened.id(), "out_of_fold (60 rows)", "model.safetensors"] {
            assert!(card.contains(word), "the card lacks {word:?}:\n{card}");
        }
    }
}

/// Bundles were written before there was a `scores`: they open, and have the ids they always had.
#[test]
fn a_bundle_without_scores_opens() {
    let dir = tempfile::tempdir().unwrap();
    let path = tiny::bundle(dir.path(), Precision::Fp32);
    reseal(&path, |manifest| drop(manifest.as_object_mut().unwrap().shift_remove("scores")));
    let opened = Bundle::open(&path).unwrap();
    assert_eq!(opened.card().scores, None);
    let parts = bundle::BundleParts { scores: None, ..tiny::parts(Pooling::Mean, Precision::Fp32) };
    assert_eq!(tiny::write(&dir.path().join("again"), &parts).id(), opened.id());
    assert!(!fs::read_to_string(dir.path().join("again/bundle.json")).unwrap().contains("scores"));
}

#[test]
fn a_missing_empty_cut_grown_or_altered_file_is_named() {
    for file in FILES {
        let bundle = |case: &str, saying: &str, broken: &dyn Fn(&Path)| {
            check(&format!("{case} {file}"), Precision::Int8Weights, file, saying, |path| broken(&path.join(file)));
        };
        let manifest = file == "bundle.json";
        let saying = |plain: &'static str, of_manifest: &'static str| if manifest { of_manifest } else { plain };
        let change = |at: &Path, change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = fs::read(at).unwrap();
            change(&mut bytes);
            fs::write(at, bytes).unwrap();
        };
        bundle("missing", "found nothing", &|at| fs::remove_file(at).unwrap());
        bundle("a folder for", "found a folder", &|at| {
            fs::remove_file(at).unwrap();
            fs::create_dir(at).unwrap();
        });
        bundle("empty", saying("found 0", "EOF"), &|at| fs::write(at, "").unwrap());
        bundle("truncated", saying("bytes, found", "EOF"), &|at| change(at, &|bytes| bytes.truncate(bytes.len() / 2)));
        bundle("grown", saying("bytes, found", "trailing characters"), &|at| change(at, &|bytes| bytes.push(b'x')));
        bundle("not text", saying("sha256", "expected value"), &|at| change(at, &|bytes| bytes.fill(0xff)));
        // A digit of the labels' place for the manifest, any bit elsewhere.
        bundle("one bit flipped in", "sha256", &|at| {
            change(at, &|bytes| {
                let place = bytes.windows(4).position(|four| four == b"1700").map_or(bytes.len() / 2, |found| found + 3);
                bytes[place] ^= 1;
            });
        });
    }
}

#[test]
fn a_manifest_that_cannot_be_is_refused_by_member() {
    let mut seen = 0;
    let mut manifest = |case: &str, saying: &str, edit: &dyn Fn(&mut Value)| {
        seen += 1;
        check(case, Precision::Fp32, "bundle.json", saying, |path| reseal(path, edit));
    };
    manifest("unknown member", "unknown field `extra`", &|m| m["extra"] = 1.into());
    manifest("unknown inner member", "unknown field `extra`", &|m| m["precision"]["thresholds"]["extra"] = 1.into());
    manifest("missing member", "missing field `labels`", &|m| drop(m.as_object_mut().unwrap().shift_remove("labels")));
    manifest("ill-typed member", "invalid type", &|m| m["max_length"] = "long".into());
    manifest("negative size", "invalid value", &|m| m["max_length"] = (-1).into());
    manifest("later schema", "schema_version: expected 1, found 2", &|m| m["schema_version"] = 2.into());
    manifest("unknown task", "unknown variant", &|m| m["task"] = "regression".into());
    manifest("foreign activation", "activation", &|m| m["activation"] = "softmax".into());
    manifest("unknown pooling", "unknown variant", &|m| m["pooling"] = "max".into());
    manifest("no name", "name: expected", &|m| m["name"] = "".into());
    manifest("no label", "labels", &|m| m["labels"] = json!([]));
    manifest("same label twice", "labels", &|m| m["labels"] = json!(["joy", "joy", "anger"]));
    manifest("one label more", "expected 4 calibrators", &|m| m["labels"] = json!(["joy", "sadness", "anger", "fear"]));
    manifest("one label fewer", "expected 2", &|m| m["labels"] = json!(["joy", "sadness"]));
    manifest("one threshold fewer", "thresholds", &|m| m["precision"]["thresholds"]["values"] = json!([0.5, 0.5]));
    manifest("no-number threshold", "invalid type: null", &|m| m["precision"]["thresholds"]["values"][1] = Value::Null);
    manifest("threshold above one", "thresholds", &|m| m["precision"]["thresholds"]["values"][1] = 1.5.into());
    manifest("unknown calibrator", "unknown variant", &|m| m["precision"]["calibrators"][0]["kind"] = "platt".into());
    manifest("falling calibrator", "calibrators", &|m| m["precision"]["calibrators"][0]["a"] = (-1.0).into());
    manifest("no tolerance", "precision.tolerance", &|m| m["precision"]["tolerance"] = 0.0.into());
    manifest("too long texts", "max_length: expected at most 64", &|m| m["max_length"] = 65.into());
    manifest("foreign graph file", "onnx", &|m| m["onnx"]["file"] = "../model.onnx".into());
    manifest("foreign weights file", "onnx", &|m| m["onnx"]["weights"] = "other.safetensors".into());
    manifest("foreign input", "onnx", &|m| m["onnx"]["inputs"][0] = "tokens".into());
    manifest("figure of no label", "metrics[0].labels", &|m| m["metrics"][0]["tuned"]["labels"] = json!({ "fear": {} }));
    manifest("interval upside down", "metrics[0].macro_f1", &|m| {
        m["metrics"][0]["tuned"]["overall"]["macro_f1"]["interval"] = json!([0.6, 0.4])
    });
    manifest("set measured twice", "metrics[1].name", &|m| {
        let set = m["metrics"][0].clone();
        m["metrics"].as_array_mut().unwrap().push(set);
    });
    let bins = "scores.labels.\"joy\"";
    manifest("bins of no label", "scores.labels.\"fear\"", &|m| {
        m["scores"]["labels"]["fear"] = m["scores"]["labels"]["joy"].clone();
        m["scores"]["labels"].as_object_mut().unwrap().sort_keys();
    });
    manifest("a label without bins", bins, &|m| drop(m["scores"]["labels"].as_object_mut().unwrap().shift_remove("joy")));
    manifest("no bin", bins, &|m| m["scores"]["labels"]["joy"] = json!([]));
    manifest("bins that fall", bins, &|m| m["scores"]["labels"]["joy"][1]["from"] = 0.0.into());
    manifest("bins from above 0", bins, &|m| m["scores"]["labels"]["joy"][0]["from"] = 0.1.into());
    manifest("a bin without rows", bins, &|m| m["scores"]["labels"]["joy"][0]["rows"] = 0.into());
    manifest("a share above one", bins, &|m| m["scores"]["labels"]["joy"][2]["held"] = 1.5.into());
    manifest("unlisted file", "golden.json", &|m| drop(m["files"].as_object_mut().unwrap().shift_remove("golden.json")));
    manifest("unknown file", "a file that bundles have", &|m| m["files"]["run.sh"] = json!({ "sha256": "", "bytes": 1 }));
    manifest("listed graph without a signature", "4 files", &|m| m["onnx"] = Value::Null);
    for name in ["../config.json", "/etc/passwd", "..", "a/b", "a\\b", ".hidden", "a\0b", ""] {
        manifest(&format!("escaping name {name:?}"), "a plain file name", &|m| m["files"][name] = json!({ "sha256": "", "bytes": 1 }));
    }
    manifest("immense file", "at most", &|m| m["files"]["model.safetensors"]["bytes"] = u64::MAX.into());
    assert_eq!(seen, 46);
}

#[test]
fn a_manifest_of_nan_or_of_endless_depth_is_refused() {
    let text = |case: &str, saying: &str, edit: &dyn Fn(String) -> String| {
        check(case, Precision::Fp32, "bundle.json", saying, |path| {
            let at = path.join("bundle.json");
            fs::write(&at, edit(fs::read_to_string(&at).unwrap())).unwrap();
        });
    };
    let threshold = |by: &'static str| move |text: String| text.replacen("0.45", by, 1);
    text("NaN", "expected value", &threshold("NaN"));
    text("infinity", "number out of range", &threshold("1e999"));
    text("depth", "invalid type", &|_| "[".repeat(100_000));
    text("depth inside", "line", &|text| text.replacen("\"out_of_fold\"", &"[".repeat(100_000), 1));
    text("balanced depth", "invalid type", &|text| text.replacen("\"out_of_fold\"", &("[".repeat(100_000) + &"]".repeat(100_000)), 1));
}

#[test]
fn files_that_disagree_with_the_manifest_are_refused() {
    let config = |case: &str, saying: &str, edit: &dyn Fn(&mut Value)| {
        check(case, Precision::Fp32, "config.json", saying, |path| edit_json(path, "config.json", edit));
    };
    config("another family", "unknown variant", &|c| c["model_type"] = "mamba".into());
    config("ill-typed size", "invalid type", &|c| c["vocab_size"] = "many".into());
    config("no object", "line 1", &|c| *c = json!([[[]]]));
    check("depth", Precision::Fp32, "config.json", "line 1", |path| {
        fs::write(path.join("config.json"), "[".repeat(100_000)).unwrap();
        reseal(path, |_| {});
    });
    check("no tokenizer", Precision::Fp32, "tokenizer.json", "tokenizer", |path| edit_json(path, "tokenizer.json", |t| *t = json!({})));
    check("tokenizer depth", Precision::Fp32, "tokenizer.json", "tokenizer", |path| {
        fs::write(path.join("tokenizer.json"), "[".repeat(100_000)).unwrap();
        reseal(path, |_| {});
    });
    let golden = |case: &str, saying: &str, edit: &dyn Fn(&mut Value)| {
        check(case, Precision::Fp32, "golden.json", saying, |path| edit_json(path, "golden.json", edit));
    };
    golden("no texts", "texts: expected between 1", &|g| g["texts"] = json!([]));
    golden("one logit fewer", "texts[2].logits", &|g| g["texts"][2]["logits"] = json!([0.0, 0.0]));
    golden("one probability more", "texts[2].probabilities", &|g| g["texts"][2]["probabilities"] = json!([0.1, 0.1, 0.1, 0.1]));
    golden("other ids", "texts[1].ids", &|g| g["texts"][1]["ids"] = json!([2, 5, 3]));
    golden("ids beyond the table", "ids below 407", &|g| g["texts"][1]["ids"] = json!([2, 407, 3]));
    golden("no ids", "texts[1].ids", &|g| g["texts"][1]["ids"] = json!([]));
    golden("other probabilities", "texts[3].probabilities[1]", &|g| g["texts"][3]["probabilities"][1] = 0.999.into());
    golden("a probability above one", "probabilities", &|g| g["texts"][3]["probabilities"][1] = 1.5.into());
    golden("an immense logit", "number out of range", &|g| g["texts"][0]["logits"][0] = 1e300.into());
    golden("unknown member", "unknown field", &|g| g["made_by"] = "hand".into());
}

#[test]
fn broken_weights_are_refused() {
    let weights = |case: &str, precision: Precision, saying: &str, change: &dyn Fn(&mut Vec<u8>)| {
        check(case, precision, "model.safetensors", saying, |path| {
            let at = path.join("model.safetensors");
            let mut bytes = fs::read(&at).unwrap();
            change(&mut bytes);
            fs::write(at, bytes).unwrap();
            reseal(path, |_| {});
        });
    };
    for precision in [Precision::Fp32, Precision::Int8Weights] {
        weights("empty", precision, "header", &|bytes| bytes.clear());
        weights("seven bytes", precision, "header", &|bytes| bytes.truncate(7));
        for length in [u64::MAX, 1 << 62, 99_000_000, 0] {
            weights(&format!("header of {length}"), precision, "header", &|bytes| bytes[..8].copy_from_slice(&length.to_le_bytes()));
        }
        weights("data cut", precision, "header", &|bytes| bytes.truncate(bytes.len() - 1));
        weights("data grown", precision, "header", &|bytes| bytes.push(0));
        weights("header depth", precision, "header", &|bytes| bytes[8..1000].fill(b'['));
        weights("overlapping offsets", precision, "header", &|bytes| {
            rename(bytes, "\"data_offsets\":[0,", "\"data_offsets\":[4,");
        });
        weights("immense shape", precision, "header", &|bytes| rename(bytes, "\"shape\":[3]", "\"shape\":[9]"));
    }
    weights("bytes in fp32", Precision::Fp32, "type F32", &|bytes| {
        rename(bytes, "\"dtype\":\"F32\",\"shape\":[3]", "\"dtype\":\"U32\",\"shape\":[3]");
    });
    weights("scale lost", Precision::Int8Weights, "the scales of a byte matrix", &|bytes| {
        rename(bytes, "\"classifier.weight.scale\"", "\"classifier.weight.skale\"");
    });
    weights("scale of NaN", Precision::Int8Weights, "finite numbers", &|bytes| {
        let header = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap() + 8;
        bytes[header..].fill(0xff);
    });
}

/// Replaces text in a header by text of the same length.
fn rename(bytes: &mut [u8], from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let found = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap_or_else(|| panic!("no {from} in the header"));
    bytes[found..found + from.len()].copy_from_slice(to.as_bytes());
}

#[test]
fn a_graph_that_reads_other_places_is_refused() {
    let graph = |case: &str, saying: &str, from: &str, to: &str| {
        check(case, Precision::Fp32, "model.onnx", saying, |path| replace_bytes(path, "model.onnx", from.as_bytes(), to.as_bytes()));
    };
    graph("escaping location", "weights in \"model.safetensors\"", "model.safetensors", "../../etc/passwd1");
    // Field 8 of a tensor is its name, field 1 of an entry its key.
    graph("a name that the weights lack", "no such tensor", "\x42\x11classifier.weight", "\x42\x11classifier.wright");
    graph("another tensor's place", "offset, length, type, shape", "\x42\x11classifier.weight", "\x42\x0fclassifier.bias\x62\x00");
    graph("an unknown key", "location, offset or length", "\x0a\x06offset", "\x0a\x06basset");
}

#[test]
fn links_may_stay_inside_the_folder_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = tiny::bundle(dir.path(), Precision::Fp32);
    let (config, outside) = (path.join("config.json"), dir.path().join("config.json"));
    fs::rename(&config, path.join("..data")).unwrap();
    symlink("..data", &config).unwrap();
    Bundle::open(&path).unwrap();
    let linked = dir.path().join("linked");
    symlink(&path, &linked).unwrap();
    Bundle::open(&linked).unwrap();
    fs::rename(path.join("..data"), &outside).unwrap();
    fs::remove_file(&config).unwrap();
    symlink(&outside, &config).unwrap();
    let refused = Bundle::open(&path).map(|_| ()).unwrap_err();
    assert!(matches!(&refused, BundleError::NotAFile { path, .. } if *path == config), "{refused}");
    let missing = Bundle::open(&dir.path().join("absent")).map(|_| ()).unwrap_err();
    assert!(matches!(missing, BundleError::Missing { .. }), "{missing}");
}

#[test]
fn a_commit_replaces_a_bundle_whole_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("bundle");
    let names = || {
        let mut names: Vec<String> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let first = tiny::parts(Pooling::Mean, Precision::Fp32);
    let second = bundle::BundleParts { version: "0.2.0".to_owned(), ..first.clone() };
    tiny::write(&target, &first);
    let staged = BundleWriter::stage(&target, &second).unwrap();
    assert_eq!(Bundle::open(&target).unwrap().version(), "0.1.0", "staging leaves what stands");
    assert_eq!(names().len(), 2);
    drop(staged);
    assert_eq!(names(), ["bundle"], "a staged bundle that is dropped leaves nothing");
    let committed = BundleWriter::stage(&target, &second).unwrap().commit().unwrap();
    assert_eq!((committed.version(), committed.path()), ("0.2.0", target.as_path()));
    assert_eq!(Bundle::open(&target).unwrap().id(), committed.id());
    assert_eq!(names(), ["bundle"]);

    fs::write(target.join("notes.txt"), "mine").unwrap();
    let refused = BundleWriter::stage(&target, &first).unwrap().commit().map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("notes.txt"), "{refused}");
    assert_eq!(fs::read_to_string(target.join("notes.txt")).unwrap(), "mine");
    assert_eq!(names(), ["bundle"]);
}

#[test]
fn parts_that_disagree_are_never_staged() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |case: &str, saying: &str, edit: &dyn Fn(&mut bundle::BundleParts)| {
        let mut parts = tiny::parts(Pooling::Mean, Precision::Fp32);
        edit(&mut parts);
        let error = BundleWriter::stage(&dir.path().join("bundle"), &parts).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(saying), "{case}: {error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{case} left something behind");
    };
    refused("a text more", "rows of ids", &|parts| parts.golden.texts.push("one more".to_owned()));
    refused("too long", "max_length", &|parts| parts.max_length = 65);
    refused("no name", "name", &|parts| parts.name.clear());
    refused("no config", "config.json", &|parts| parts.config_json.clear());
    refused("graph of other weights", "model.onnx", &|parts| {
        parts.weights = tiny::parts(Pooling::ClsTanh, Precision::Fp32).weights;
    });
    refused("bins for fewer labels", "scores.labels", &|parts| drop(parts.scores.as_mut().unwrap().labels.pop()));
    refused("broken graph", "model.onnx", &|parts| parts.graph.as_mut().unwrap().bytes.truncate(100));
}
