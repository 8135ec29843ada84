//! A real language model, of 260 000 parameters: what it writes is what transformers writes with it.
//!
//! Its weights are a megabyte and stay out of the repository: they are read from the folder of published weights, in
//! the `legacy` format of llama2.c, and are the very ones that the expected stories were made with.

use limbic::model::{CausalLm, ModelConfig};
use limbic::nn::{Eager, KvCache, Missing, Mode, Weights};
use limbic::text::{Normalization, TextEncoder};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::support::{fixture, weights};

/// Of stories260K.bin.
const PUBLISHED: &str = "b0a507e7ad0f626624f17112325e66691f9076d622e1d3274d103d00299f2696";
/// Its header of seven numbers says what stands here, and the digest that it does.
const HEADER: usize = 28;
const LAYERS: usize = 5;
const VOCABULARY: usize = 512;
const WIDTH: usize = 64;
const INNER: usize = 172;
const HEAD: usize = 8;

#[derive(Deserialize)]
struct Expected {
    made_by: String,
    stories: Vec<Story>,
}

#[derive(Deserialize)]
struct Story {
    prompt: String,
    given: Vec<u32>,
    written: Vec<u32>,
}

fn expected() -> Vec<Story> {
    let expected: Expected = serde_json::from_slice(&std::fs::read(fixture("stories260K/expected.json")).unwrap()).unwrap();
    assert_eq!((expected.made_by.as_str(), expected.stories.len()), ("scripts/fixtures/stories.py", 4));
    expected.stories
}

/// A safetensors file of llama2.c's numbers, under the names of Hugging Face checkpoints.
fn checkpoint(published: &[u8]) -> Vec<u8> {
    let mut rest = &published[HEADER..];
    let mut take = |shape: [usize; 2]| {
        let (matrix, others) = rest.split_at(4 * shape[0] * shape[1]);
        rest = others;
        (shape, matrix.to_vec())
    };
    let mut tensors = vec![("model.embed_tokens".to_owned(), take([VOCABULARY, WIDTH]))];
    let parts = [
        ("input_layernorm", [1, WIDTH]),
        ("self_attn.q_proj", [WIDTH, WIDTH]),
        ("self_attn.k_proj", [WIDTH / 2, WIDTH]),
        ("self_attn.v_proj", [WIDTH / 2, WIDTH]),
        ("self_attn.o_proj", [WIDTH, WIDTH]),
        ("post_attention_layernorm", [1, WIDTH]),
        ("mlp.gate_proj", [INNER, WIDTH]),
        ("mlp.down_proj", [WIDTH, INNER]),
        ("mlp.up_proj", [INNER, WIDTH]),
    ];
    for (part, shape) in parts {
        for layer in 0..LAYERS {
            let (shape, matrix) = take(shape);
            let turned = matches!(part, "self_attn.q_proj" | "self_attn.k_proj");
            let matrix = if turned { halves(&matrix) } else { matrix };
            tensors.push((format!("model.layers.{layer}.{part}"), (shape, matrix)));
        }
    }
    tensors.push(("model.norm".to_owned(), take([1, WIDTH])));
    let view = |shape: [usize; 2], bytes| {
        let shape = if shape[0] == 1 { vec![shape[1]] } else { shape.to_vec() };
        TensorView::new(Dtype::F32, shape, bytes).unwrap()
    };
    let views = tensors.iter().map(|(name, (shape, bytes))| (format!("{name}.weight"), view(*shape, bytes.as_slice())));
    safetensors::serialize(views, None).unwrap()
}

/// Rows of each head from pairs that turn together, side by side, to all firsts and then all seconds.
fn halves(matrix: &[u8]) -> Vec<u8> {
    const ROW: usize = 4 * WIDTH;
    let order = |rows: &[u8]| -> Vec<u8> {
        let row = |index: usize| rows[index * ROW..][..ROW].to_vec();
        (0..HEAD).step_by(2).chain((1..HEAD).step_by(2)).flat_map(row).collect()
    };
    matrix.chunks_exact(HEAD * ROW).flat_map(order).collect()
}

/// The model and its weights, where they are on this machine.
fn model(test: &str) -> Option<(CausalLm, Weights)> {
    let published = std::fs::read(weights(test)?.join("stories260K/stories260K.bin")).unwrap();
    assert_eq!(format!("{:x}", Sha256::digest(&published)), PUBLISHED);
    let config = ModelConfig::from_json(&std::fs::read_to_string(fixture("stories260K/config.json")).unwrap()).unwrap();
    let model = CausalLm::new(&config).unwrap();
    let weights = Weights::from_safetensors(&checkpoint(&published), &model.params(), Missing::Refuse).unwrap();
    assert_eq!(weights.count(), 260_032);
    Some((model, weights))
}

/// The likeliest word behind each text of `new`, and the cache with those texts in it.
fn best(model: &CausalLm, weights: &Weights, cache: KvCache, new: &[Vec<u32>]) -> (Vec<u32>, KvCache) {
    let ends: Vec<u32> = new
        .iter()
        .scan(0, |end, text| {
            Some({
                *end += text.len() as u32;
                *end
            })
        })
        .collect();
    let offsets = [&[0], ends.as_slice()].concat();
    let ops = Eager::new(weights, Mode::Eval, &new.concat(), &offsets).unwrap().with_cache(cache).unwrap();
    let mut ops = ops.with_marked(ends.iter().map(|&end| end as usize - 1).collect()).unwrap();
    let logits = model.forward(&mut ops).unwrap().to_vec().unwrap();
    let best = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap() as u32;
    (logits.chunks_exact(model.vocabulary()).map(best).collect(), ops.into_cache().unwrap())
}

#[test]
fn stories_are_those_of_transformers() {
    let Some((model, weights)) = model("stories_are_those_of_transformers") else { return };
    let stories = expected();
    // All at once: prompts of unlike lengths, then a word each.
    let mut new: Vec<Vec<u32>> = stories.iter().map(|story| story.given.clone()).collect();
    let (mut cache, mut written) = (KvCache::new(), vec![Vec::new(); stories.len()]);
    for _ in 0..stories[0].written.len() {
        let (words, further) = best(&model, &weights, cache, &new);
        for (written, &word) in written.iter_mut().zip(&words) {
            written.push(word);
        }
        (new, cache) = (words.into_iter().map(|word| vec![word]).collect(), further);
    }
    for (story, written) in stories.iter().zip(&written) {
        assert_eq!(written, &story.written, "behind {:?}", story.prompt);
    }
}

#[test]
fn prompts_have_the_tokens_of_transformers() {
    let tokenizer = std::fs::read(fixture("stories260K/tokenizer.json")).unwrap();
    let encoder = TextEncoder::from_json(&tokenizer, Normalization::None, 64).unwrap();
    for story in expected() {
        assert_eq!(encoder.encode(&story.prompt).unwrap().ids(), story.given, "{:?}", story.prompt);
    }
}
