//! Networks that look at the past: kernels against candle, tokens against what follows them, a cache
//! against reading at once, segments that are run again against ones that are remembered.

use std::cell::Cell;
use std::rc::Rc;

use limbic::model::{CausalLm, ModelConfig};
use limbic::nn::{Attention, Direction, Eager, Embeddings, Gradients, KvCache, Mode, NnError, Ops, Path, Rows, Weights};

use crate::nn_support::{close, ragged};

const FAMILIES: [&str; 5] = ["llama", "qwen2", "qwen3", "gemma", "gemma2"];

/// A language model whose sizes are no multiples of anything, with windows, caps and dropout where its
/// family has them.
fn language(family: &str) -> (CausalLm, Weights) {
    let function = if family.starts_with("gemma") { "gelu_pytorch_tanh" } else { "silu" };
    let config = r#"{
        "model_type": "FAMILY", "vocab_size": 50, "hidden_size": 66, "intermediate_size": 70, "num_hidden_layers": 3,
        "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 22, "hidden_act": "FUNCTION", "hidden_activation": "FUNCTION",
        "max_position_embeddings": 200, "initializer_range": 0.15, "rms_norm_eps": 1e-6, "attention_dropout": 0.2,
        "use_sliding_window": true, "sliding_window": 9, "max_window_layers": 1, "query_pre_attn_scalar": 18.0,
        "attn_logit_softcapping": 5.0, "final_logit_softcapping": 4.0, "rope_scaling": {
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}}"#;
    let config = config.replace("FAMILY", family).replace("FUNCTION", function);
    let model = CausalLm::new(&ModelConfig::from_json(&config).unwrap()).unwrap();
    let weights = Weights::init(&model.params(), 5).unwrap();
    (model, weights)
}

fn texts() -> Vec<Vec<u32>> {
    [1, 70, 5, 33, 32, 2].iter().enumerate().map(|(text, &len)| (0..len).map(|at| (text as u32 * 31 + at * 7) % 50).collect()).collect()
}

/// Logits of every token.
fn run(model: &CausalLm, mut ops: Eager<'_>, slope: bool) -> (Vec<f32>, usize, Option<Gradients>) {
    let output = model.forward(&mut ops).unwrap();
    let logits = output.to_vec().unwrap();
    let held = ops.remembered_bytes();
    let slopes = (0..logits.len()).map(|index| (index as f32 * 0.7).sin() / 50.0).collect();
    let gradients = slope.then(|| ops.backward(&output, slopes).unwrap());
    (logits, held, gradients)
}

fn eager<'w>(weights: &'w Weights, mode: Mode, texts: &[Vec<u32>], path: Path) -> Eager<'w> {
    let (ids, offsets) = ragged(texts);
    Eager::with_path(weights, mode, &ids, &offsets, path).unwrap().with_marked((0..ids.len()).collect()).unwrap()
}

fn logits(model: &CausalLm, weights: &Weights, texts: &[Vec<u32>]) -> Vec<f32> {
    run(model, eager(weights, Mode::Eval, texts, Path::Kernels), false).0
}

#[test]
fn kernels_and_composite_agree() {
    let mut seen = 0;
    for family in FAMILIES {
        let (model, weights) = language(family);
        for mode in [Mode::Eval, Mode::Train { seed: 3 }] {
            let run = |path| run(&model, eager(&weights, mode, &texts(), path), mode != Mode::Eval);
            let ((logits, _, gradients), (expected, _, expected_gradients)) = (run(Path::Kernels), run(Path::Composite));
            close("logits", &logits, &expected, 1e-5, 0.0);
            let (Some(gradients), Some(expected)) = (gradients, expected_gradients) else { continue };
            let whole = expected.norm();
            for name in weights.names() {
                close(name, &gradients.get(&weights, name).unwrap(), &expected.get(&weights, name).unwrap(), 3e-5, 1e-6 * whole);
                seen += 1;
            }
        }
    }
    // Three layers of nine, table, norm, head; three biases a layer; two norms of heads a layer; Gemma
    // is tied; two more norms a layer.
    assert_eq!(seen, 30 + 39 + 36 + 29 + 35);
}

#[test]
fn a_token_knows_nothing_of_what_follows_and_a_text_nothing_of_others() {
    for family in FAMILIES {
        let (model, weights) = language(family);
        let whole = logits(&model, &weights, &texts());
        let width = model.vocabulary();
        let mut first = 0;
        for text in texts() {
            let alone = logits(&model, &weights, std::slice::from_ref(&text));
            assert_eq!(alone, whole[first * width..(first + text.len()) * width], "{family}: a text of {}", text.len());
            for length in [1, text.len().div_ceil(2), text.len()] {
                let mut cut = text[..length].to_vec();
                assert_eq!(logits(&model, &weights, std::slice::from_ref(&cut)), alone[..length * width], "{family}: {length}");
                cut.resize(text.len(), 49);
                let other = logits(&model, &weights, &[cut]);
                assert_eq!(other[..length * width], alone[..length * width], "{family}: {length} and others");
            }
            first += text.len();
        }
    }
}

/// Logits of the next parts of the cached texts, and the cache with them.
fn go_on(model: &CausalLm, weights: &Weights, parts: &[Vec<u32>], path: Path, cache: KvCache) -> (Vec<f32>, KvCache) {
    let mut ops = eager(weights, Mode::Eval, parts, path).with_cache(cache).unwrap();
    let logits = model.forward(&mut ops).unwrap().to_vec().unwrap();
    (logits, ops.into_cache().unwrap())
}

/// Reads texts in parts of this many tokens, after a first part that is longer from text to text, and
/// holds every logit against those of the whole.
fn check_parts(family: &str, path: Path, part: usize) {
    let (model, weights) = language(family);
    let width = model.vocabulary();
    let texts: Vec<Vec<u32>> = [70_u32, 71, 72].iter().map(|&len| (0..len).map(|at| (len * 31 + at * 7) % 50).collect()).collect();
    let whole: Vec<Vec<f32>> = texts.iter().map(|text| logits(&model, &weights, std::slice::from_ref(text))).collect();
    let (mut cache, mut at) = (KvCache::new(), [0, 0, 0]);
    while at[0] < 70 {
        let ends: Vec<usize> = (0..3).map(|text| (at[0] + part).min(70) + text).collect();
        let parts: Vec<Vec<u32>> = (0..3).map(|text| texts[text][at[text]..ends[text]].to_vec()).collect();
        let found;
        (found, cache) = go_on(&model, &weights, &parts, path, cache);
        let expected: Vec<f32> = (0..3).flat_map(|text| whole[text][at[text] * width..ends[text] * width].to_vec()).collect();
        match path {
            Path::Kernels => assert_eq!(found, expected, "{family}: {part} tokens from {at:?}"),
            Path::Composite => close(&format!("{family}: {part} tokens from {at:?}"), &found, &expected, 2e-5, 0.0),
        }
        at.copy_from_slice(&ends);
        assert_eq!(cache.lengths(), at);
    }
}

#[test]
fn a_text_read_in_parts_is_the_text_read_at_once() {
    for family in FAMILIES {
        // Token by token, a page's worth, a page and one, half and half.
        for part in [1, 32, 33, 35] {
            check_parts(family, Path::Kernels, part);
        }
        check_parts(family, Path::Composite, 35);
    }
    check_parts("gemma2", Path::Composite, 1);
}

/// The logits of the last tokens of texts, each text read by itself and at once.
fn last_logits(model: &CausalLm, weights: &Weights, texts: &[Vec<u32>], tokens: &[Vec<u32>]) -> Vec<f32> {
    let last = |(text, tokens): (&Vec<u32>, &Vec<u32>)| {
        let whole = logits(model, weights, std::slice::from_ref(text));
        whole[whole.len() - tokens.len() * model.vocabulary()..].to_vec()
    };
    texts.iter().zip(tokens).flat_map(last).collect()
}

#[test]
fn forked_sequences_share_what_they_share_and_go_their_own_ways() {
    let (model, weights) = language("qwen3");
    let prefix: Vec<Vec<u32>> = [70_u32, 40].iter().map(|&len| (0..len).map(|at| (len + at * 7) % 50).collect()).collect();
    let rows = [1, 0, 0, 0];
    let tails = [[vec![1], vec![2, 3], vec![4], vec![5, 6, 7]], [vec![8, 9], vec![1], vec![2], vec![3]]];
    for (path, off) in [(Path::Kernels, 0.0), (Path::Composite, 2e-5)] {
        let (_, begun) = go_on(&model, &weights, &prefix, path, KvCache::new());
        let (alone, mut cache) = (begun.bytes(), begun.fork(&rows));
        assert_eq!(cache.lengths(), [40, 70, 70, 70]);
        assert_eq!(cache.bytes(), alone, "{path:?}: a fork holds nothing of its own");
        let mut read: Vec<Vec<u32>> = rows.iter().map(|&row| prefix[row].clone()).collect();
        for parts in &tails {
            let found;
            (found, cache) = go_on(&model, &weights, parts, path, cache);
            read.iter_mut().zip(parts).for_each(|(read, part)| read.extend(part));
            close("forked", &found, &last_logits(&model, &weights, &read, parts), off, 0.0);
        }
        if path == Path::Kernels {
            // Pages hold 32 tokens: three and two at first. Each of the four then writes into one of its
            // own; before it lies one of the first, and two that the three others share.
            assert_eq!(cache.bytes(), (4 + 1 + 2) * alone / 5);
        }
        // The cache that was forked stands where it stood.
        let next = [vec![7], vec![8]];
        let longer: Vec<Vec<u32>> = prefix.iter().zip(&next).map(|(prefix, next)| [&prefix[..], next].concat()).collect();
        let (found, _) = go_on(&model, &weights, &next, path, begun);
        close("begun", &found, &last_logits(&model, &weights, &longer, &next), off, 0.0);
    }
}

#[test]
fn a_cache_that_does_not_fit_is_refused() {
    let (model, weights) = language("llama");
    let (_, cache) = go_on(&model, &weights, &[vec![1, 2], vec![3]], Path::Kernels, KvCache::new());
    let one = [vec![1]];
    let with = |mode, path, rows: &[usize]| eager(&weights, mode, &one, path).with_cache(cache.fork(rows));
    let check = |result: Result<(), NnError>, expected: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}: expected {expected}");
    };
    let train = Mode::Train { seed: 1 };
    check(with(train, Path::Kernels, &[0]).map(drop), "expected an interpreter in evaluation, found one in training");
    check(with(Mode::Eval, Path::Kernels, &[0, 1]).map(drop), "expected 1 sequences, found 2");
    let mut other = with(Mode::Eval, Path::Composite, &[0]).unwrap();
    check(model.forward(&mut other).map(drop), "expected one of this interpreter, found one of the kernels");

    let attend = |shape: Attention| {
        let mut ops = with(Mode::Eval, Path::Kernels, &[0]).unwrap();
        let x = ops.embed(&tables(&model)).unwrap();
        ops.attention(&shape, &x, &x, &x).map(drop)
    };
    check(attend(Attention::both(3, 22)), "expected an attention that looks at the past");
    let past = Attention { direction: Direction::Past, ..Attention::both(3, 22) };
    check(attend(past), "expected (3, 22) as (key heads, head width) of layer 0, found (2, 22)");

    assert!(with(Mode::Eval, Path::Kernels, &[0]).unwrap().into_cache().is_none(), "no network ran");
    assert!(eager(&weights, Mode::Eval, &one, Path::Kernels).into_cache().is_none(), "no cache was given");
}

/// The word table alone.
fn tables(model: &CausalLm) -> Embeddings {
    Embeddings { words: model.decoder().words().clone(), positions: None, first_position: 0, segments: None, scale: None }
}

#[test]
fn segments_that_are_run_again_give_the_same_gradients() {
    let mode = Mode::Train { seed: 9 };
    for family in FAMILIES {
        let (model, weights) = language(family);
        for path in [Path::Kernels, Path::Composite] {
            let (expected, held, whole) = run(&model, eager(&weights, mode, &texts(), path), true);
            let checkpointed = eager(&weights, mode, &texts(), path).with_checkpointing();
            let (found, less, gradients) = run(&model, checkpointed, true);
            let (gradients, whole) = (gradients.unwrap(), whole.unwrap());
            assert_eq!(found, expected, "{family} on {path:?}");
            for name in weights.names() {
                let (found, expected) = (gradients.get(&weights, name).unwrap(), whole.get(&weights, name).unwrap());
                match path {
                    Path::Kernels => assert_eq!(found, expected, "{family}: {name}"),
                    Path::Composite => close(name, &found, &expected, 1e-5, 1e-6 * whole.norm()),
                }
            }
            if path == Path::Kernels {
                // Embeddings, each layer's result, the last normalised rows, those asked about, logits.
                let rows = texts().concat().len() * size_of::<f32>();
                let logits = if family == "gemma2" { 2 } else { 1 } * model.vocabulary();
                assert_eq!(less, rows * ((1 + 3 + 1 + 1) * 66 + logits), "{family}");
                assert!(held > 5 * less, "{family}: {held} bytes remembered, {less} with checkpoints");
            }
        }
    }
}

#[test]
fn a_segment_is_run_twice_where_asked_and_once_elsewhere() {
    let (model, weights) = language("llama");
    let count = |mode, checkpointing: bool, path| {
        let runs = Rc::new(Cell::new(0));
        let mut ops = eager(&weights, mode, &texts(), path);
        if checkpointing {
            ops = ops.with_checkpointing();
        }
        let x = ops.embed(&tables(&model)).unwrap();
        let counted = runs.clone();
        let inside = move |ops: &mut Eager<'_>, x: &Rows| {
            counted.set(counted.get() + 1);
            ops.dropout(0.5, x)
        };
        let y = ops.segment(&x, inside).unwrap();
        let z = ops.segment(&y, |_, y| Ok(y.clone())).unwrap();
        assert_eq!(z.to_vec().unwrap(), y.to_vec().unwrap());
        if mode != Mode::Eval {
            let slope = vec![1.0; z.rows() * z.width()];
            let gradients = ops.backward(&z, slope).unwrap();
            assert!(gradients.norm() > 1.0, "{path:?}");
        }
        runs.get()
    };
    for path in [Path::Kernels, Path::Composite] {
        assert_eq!(count(Mode::Train { seed: 1 }, true, path), 2);
        assert_eq!(count(Mode::Train { seed: 1 }, false, path), 1);
        assert_eq!(count(Mode::Eval, true, path), 1);
    }
}
