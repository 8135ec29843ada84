//! Gradients exist, for every parameter, and point where the loss falls.

use limbic::nn::{Eager, Loss, Missing, Mode, NnError, Path, Weights};
use limbic::spec::Pooling;

use crate::nn_support::{FAMILIES, POOLINGS, Tiny, norm, with_values};

/// Gradients of the fixture's loss over all its texts, on one path.
fn gradients(tiny: &Tiny, pooling: Pooling, weights: &Weights, path: Path) -> (f64, limbic::nn::Gradients) {
    let (ids, offsets) = tiny.settings.ragged();
    let mut ops = Eager::with_path(weights, Mode::Train { seed: 1 }, &ids, &offsets, path).unwrap();
    let output = tiny.classifier(pooling).forward(&mut ops).unwrap();
    let (loss, labels) = (tiny.settings.loss(), tiny.settings.labels());
    let logits = output.to_vec().unwrap();
    let mut gradient = vec![0.0; logits.len()];
    let share = 1.0 / tiny.settings.texts.len() as f32;
    let mut sum = 0.0;
    for ((logits, gradient), targets) in logits.chunks(labels).zip(gradient.chunks_mut(labels)).zip(&tiny.settings.targets) {
        sum += loss.row(logits, targets, gradient);
        gradient.iter_mut().for_each(|gradient| *gradient *= share);
    }
    (sum * f64::from(share), ops.backward(&output, gradient).unwrap())
}

fn is_key_bias(name: &str) -> bool {
    name.ends_with("key.bias") || name.ends_with("k_lin.bias")
}

#[test]
fn every_parameter_receives_a_gradient() {
    let mut seen = Vec::new();
    for (family, poolings) in FAMILIES {
        let tiny = Tiny::of(family);
        seen.push(0);
        for (&pooling, path) in poolings.iter().flat_map(|pooling| [(pooling, Path::Kernels), (pooling, Path::Composite)]) {
            let weights = tiny.weights(pooling);
            let (_, found) = gradients(&tiny, pooling, &weights, path);
            let whole = found.norm();
            assert!(whole > 0.1);
            for name in weights.names() {
                let gradient = found.get(&weights, name).unwrap_or_else(|| panic!("{name} got no gradient on {path:?}"));
                // A key's bias moves every score of a row alike: its true gradient is zero.
                let least = if is_key_bias(name) { 0.0 } else { 1e-4 * whole };
                assert!(norm(&gradient) > least, "{name} got {:e} of {whole:e} on {path:?}", norm(&gradient));
                *seen.last_mut().unwrap() += 1;
            }
        }
    }
    // Two layers of sixteen, five of the embeddings (DistilBERT: four), two of the head, twice; two
    // more of the first token's layer; on two paths. ModernBERT: three layers of six, the first without
    // its norm, table and two norms, two of the head, thrice; two more of its dense layer and norm, twice.
    let post_norm = |tables| 2 * ((2 * 16 + tables + 2) * 2 + 2);
    assert_eq!(seen, [post_norm(5), post_norm(5), post_norm(4), 2 * ((3 * 6 - 1 + 3 + 2) * 3 + 2 * 2)]);
}

#[test]
fn the_loss_changes_as_the_gradient_says() {
    let tiny = Tiny::read();
    let mut seen = 0;
    for (_, pooling) in POOLINGS {
        let weights = tiny.weights(pooling);
        let specs = tiny.classifier(pooling).params();
        let (_, found) = gradients(&tiny, pooling, &weights, Path::Kernels);
        for name in weights.names().filter(|name| name.contains("layer.1") || name.contains("embeddings")) {
            let gradient = found.get(&weights, name).unwrap();
            let length = norm(&gradient) as f32;
            if is_key_bias(name) {
                continue;
            }
            // Along the gradient, both ways: the difference is its length times the distance.
            let distance = 2e-2 / length.max(1.0);
            let at = |sign: f32| {
                let snapshot = weights.snapshot().unwrap();
                let values = snapshot.get(name).unwrap().1;
                let moved = values.iter().zip(&gradient).map(|(value, slope)| value + sign * distance * slope / length).collect();
                let moved = with_values(&weights, &specs, &[(name, moved)]);
                gradients(&tiny, pooling, &moved, Path::Kernels).0
            };
            let slope = (at(1.0) - at(-1.0)) / (2.0 * f64::from(distance));
            assert!((slope / f64::from(length) - 1.0).abs() < 5e-3, "{name}: {slope} along a gradient of {length}");
            seen += 1;
        }
    }
    assert_eq!(seen, 2 * (15 + 5));
}

#[test]
fn what_cannot_be_computed_is_refused_by_name() {
    let tiny = Tiny::read();
    let classifier = tiny.classifier(Pooling::Mean);
    let weights = tiny.weights(Pooling::Mean);
    let forward = |ids: &[u32], offsets: &[u32]| -> Result<(), NnError> {
        classifier.forward(&mut Eager::new(&weights, Mode::Eval, ids, offsets)?).map(drop)
    };
    forward(&[63; 24], &[0, 24]).unwrap();
    let check = |ids: &[u32], offsets: &[u32], expected: &str| {
        let error = forward(ids, offsets).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}: expected {expected}");
    };
    check(&[1, 64], &[0, 2], "entry 64 of table bert.embeddings.word_embeddings: expected below 64");
    check(&[1; 25], &[0, 25], "entry 24 of table bert.embeddings.position_embeddings: expected below 24");
    check(&[1; 3], &[0, 2], "up to 3 ids; found 2 at the end");
    check(&[], &[0], "found 1 entries");

    // The pooler's parameters are not among a mean-pooled network's.
    let pooled = tiny.classifier(Pooling::ClsTanh);
    let error = pooled.forward(&mut Eager::new(&weights, Mode::Eval, &[1], &[0, 1]).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "no parameter bert.pooler.dense.weight among the weights");

    let mut ops = Eager::new(&weights, Mode::Eval, &[1], &[0, 1]).unwrap();
    let output = classifier.forward(&mut ops).unwrap();
    assert!(matches!(ops.backward(&output, vec![0.0; 5]), Err(NnError::Rows { .. })));
}

/// A tensor of a checkpoint: name, type, shape, bytes.
type Part = (String, safetensors::Dtype, Vec<usize>, Vec<u8>);

#[test]
fn a_checkpoint_that_does_not_fit_is_refused_by_name() {
    let tiny = Tiny::read();
    let classifier = tiny.classifier(Pooling::Mean);
    let (specs, head) = (classifier.params(), classifier.head_params());
    let whole = tiny.checkpoint();
    let file = safetensors::SafeTensors::deserialize(&whole).unwrap();
    // The checkpoint with each tensor renamed, retyped, reshaped or left out as `change` says.
    let changed = |change: &dyn Fn(&str) -> Option<Part>| {
        let parts: Vec<_> = file.names().into_iter().filter_map(change).collect();
        let views = parts
            .iter()
            .map(|(name, dtype, shape, data)| (name.clone(), safetensors::tensor::TensorView::new(*dtype, shape.clone(), data).unwrap()));
        safetensors::serialize(views, None).unwrap()
    };
    let same = |name: &str| {
        let view = file.tensor(name).unwrap();
        (name.to_owned(), view.dtype(), view.shape().to_vec(), view.data().to_vec())
    };
    let read = |bytes: &[u8], missing| Weights::from_safetensors(bytes, &specs, missing);
    let refuse = |bytes: &[u8], missing, expected: &str| {
        let error = read(bytes, missing).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}: expected {expected}");
    };

    let table = "bert.embeddings.word_embeddings.weight";
    let missing = changed(&|name| (name != table && !name.starts_with("classifier")).then(|| same(name)));
    refuse(&missing, Missing::Refuse, "3 parameters are missing from the checkpoint: bert.embeddings.word_embeddings.weight, classifier");
    refuse(&missing, Missing::Init { seed: 1, allowed: &head }, "1 parameters are missing from the checkpoint: bert.embeddings");

    let shape = changed(&|name| {
        let (name, dtype, shape, data) = same(name);
        Some(if name == table { (name, dtype, vec![32, 64], data) } else { (name, dtype, shape, data) })
    });
    refuse(&shape, Missing::Refuse, "parameter bert.embeddings.word_embeddings.weight has shape [32, 64]: expected [64, 32]");

    let dtype = changed(&|name| {
        let (name, dtype, shape, data) = same(name);
        Some(if name == table { (name, safetensors::Dtype::I32, shape, data) } else { (name, dtype, shape, data) })
    });
    refuse(&dtype, Missing::Refuse, "is stored as I32: expected F32, F16 or BF16");

    let infinite = changed(&|name| {
        let (name, dtype, shape, mut data) = same(name);
        if name == table {
            data[4..8].copy_from_slice(&f32::INFINITY.to_le_bytes());
        }
        Some((name, dtype, shape, data))
    });
    refuse(&infinite, Missing::Refuse, "parameter bert.embeddings.word_embeddings.weight holds inf at 1");
    refuse(&whole[..whole.len() - 1], Missing::Refuse, "no safetensors file");
    refuse(b"", Missing::Refuse, "no safetensors file");

    // A bare encoder, in bfloat16, with the names of the first release.
    let bare = changed(&|name| {
        let (name, _, shape, data) = same(name);
        let name = name.strip_prefix("bert.")?.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        let data = data.as_chunks::<4>().0.iter().flat_map(|bytes| [bytes[2], bytes[3]]).collect();
        Some((name, safetensors::Dtype::BF16, shape, data))
    });
    let read = read(&bare, Missing::Init { seed: 1, allowed: &head }).unwrap().snapshot().unwrap();
    let truncated = |value: f32| f32::from_bits(value.to_bits() & 0xffff_0000);
    for name in ["bert.embeddings.LayerNorm.weight", "bert.encoder.layer.1.output.LayerNorm.bias", table] {
        let expected: Vec<f32> = tiny.tensor(&format!("weights.{name}")).iter().copied().map(truncated).collect();
        assert_eq!(read.get(name).unwrap().1, expected, "{name}");
    }
    assert_eq!(read.get("classifier.bias").unwrap().1, [0.0; 5]);
    assert!(norm(read.get("classifier.weight").unwrap().1) > 0.0);
}
