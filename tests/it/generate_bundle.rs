//! Generators whole: a tiny language model in a bundle, asked by its engine, against every set scored
//! on its own and without a cache; and searches in networks against transformers.

use std::fs;
use std::path::Path;

use limbic::backend::generator::GeneratorBackend;
use limbic::backend::{self, Backend, EngineKind, Options, check_golden};
use limbic::bundle::{Bundle, BundleParts, BundleWriter, Generation, GoldenSet, PackedWeights};
use limbic::decide::Logits;
use limbic::generate::{
    BeamOptions, LabelMass, Reader, ScoredSet, Scores, Shared, Width, beam_search, greedy, label_masses, log_probabilities, read_answers,
};
use limbic::model::{CausalLm, ModelConfig};
use limbic::nn::{Eager, Missing, Mode, Weights};
use limbic::spec::{Architecture, LabelSet, Pooling, Precision};
use limbic::text::{AnswerCounts, Batch, Encoding, LabelSpelling, Prompt, TextEncoder};
use serde::Deserialize;
use serde_json::json;

use super::support::fixture;
use super::text_prompt::tokenizer;
use super::tiny;

const MAX_LENGTH: usize = 90;
const CONTEXT: usize = 128;

fn config() -> String {
    json!({
        "model_type": "llama", "vocab_size": 420, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": CONTEXT, "initializer_range": 0.4, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": true,
    })
    .to_string()
}

fn network() -> CausalLm {
    CausalLm::new(&ModelConfig::from_json(&config()).unwrap()).unwrap()
}

fn prompt() -> Prompt {
    let labels = LabelSet::new(tiny::LABELS).unwrap();
    Prompt::plain("<|role|>user\nWhich of {labels}?\n{text}<|turn|><|role|>assistant\n", &labels, "<|turn|>").unwrap()
}

/// The log-odds of every label, each set read from its first token on.
fn brute(network: &CausalLm, weights: &Weights, spelling: &LabelSpelling, prompt: &Encoding) -> Vec<f64> {
    let score = |bits: usize| {
        let held: Vec<bool> = (0..3).map(|label| bits >> label & 1 == 1).collect();
        let completion = spelling.completion(prompt, &held);
        let end = u32::try_from(completion.ids.len()).unwrap();
        let marked = (completion.first()..completion.ids.len()).collect();
        let mut eager = Eager::new(weights, Mode::Eval, &completion.ids, &[0, end]).unwrap().with_marked(marked).unwrap();
        let logits = network.forward(&mut eager).unwrap().to_vec().unwrap();
        let scores = Scores::new(420, [completion.answer.len()], logits);
        let each = completion.answer.iter().enumerate().map(|(place, &token)| log_probabilities(scores.behind(0, place))(token));
        ScoredSet { labels: (0..3).filter(|&label| held[label]).collect(), log_probability: each.sum() }
    };
    LabelMass::of(&(0..8).map(score).collect::<Vec<_>>(), 3).log_odds
}

fn parts() -> BundleParts {
    let network = network();
    let file = tiny::random_weights(&network.params(), 11);
    let weights = Weights::from_safetensors(&file, &network.params(), Missing::Refuse).unwrap();
    let generation = Generation { prompt: prompt(), beams: 8, negligible: 0.0 };
    let base = tiny::parts(Pooling::Mean, Precision::Fp32);
    let tokenizer_json = tokenizer("byte-level.json");
    let encoder = TextEncoder::with_prompt(&tokenizer_json, base.normalization, MAX_LENGTH, &generation.prompt).unwrap();
    let spelling = LabelSpelling::new(&encoder, base.decider.labels()).unwrap();
    let encodings = encoder.encode_all(&tiny::TEXTS).unwrap();
    let logits = encodings.iter().flat_map(|encoding| brute(&network, &weights, &spelling, encoding)).map(|odds| odds as f32).collect();
    let logits = Logits::new(3, logits).unwrap();
    let golden = GoldenSet {
        texts: tiny::TEXTS.iter().map(|text| (*text).to_owned()).collect(),
        ids: encodings.iter().map(|encoding| encoding.ids().to_vec()).collect(),
        probabilities: base.decider.probabilities(&logits),
        logits,
    };
    BundleParts {
        architecture: Architecture::Llama,
        pooling: Pooling::LastToken,
        max_length: MAX_LENGTH,
        config_json: config().into_bytes(),
        tokenizer_json,
        weights: PackedWeights::pack(&file, Precision::Fp32).unwrap(),
        graph: None,
        golden,
        generation: Some(generation),
        ..base
    }
}

fn opened(parts: &BundleParts, folder: &Path) -> Result<Bundle, String> {
    let staged = BundleWriter::stage(&folder.join("bundle"), parts).map_err(|error| error.to_string())?;
    staged.commit().map_err(|error| error.to_string())
}

#[test]
fn an_engine_gives_what_sets_one_by_one_give() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = opened(&parts(), dir.path()).unwrap();
    assert_eq!(bundle.generation(), Some(&Generation { prompt: prompt(), beams: 8, negligible: 0.0 }));
    let mut engine = backend::open(EngineKind::Candle, &bundle, &Options::default()).unwrap();
    let report = check_golden(&mut *engine, &bundle).unwrap();
    assert_eq!(report.texts, tiny::TEXTS.len());
    let logits = bundle.golden().logits.values();
    let spread = logits.iter().copied().fold(f32::MIN, f32::max) - logits.iter().copied().fold(f32::MAX, f32::min);
    let inside = logits.iter().filter(|logit| logit.abs() < 11.9).count();
    assert!(spread > 0.5 && inside > 20, "the model says nothing: {spread}, {inside} of {}", logits.len());
}

#[test]
fn a_text_is_answered_as_if_it_were_alone() {
    let dir = tempfile::tempdir().unwrap();
    let bundle =
        opened(&BundleParts { generation: Some(Generation { prompt: prompt(), beams: 3, negligible: 0.01 }), ..parts() }, dir.path());
    // Three beams miss some of what the golden answers count; the bundle itself is well.
    let bundle = bundle.unwrap();
    let mut engine = GeneratorBackend::open(&bundle).unwrap();
    let encodings = bundle.text_encoder().encode_all(&tiny::TEXTS).unwrap();
    let together = engine.forward(&Batch::new(&encodings).unwrap()).unwrap();
    for (row, encoding) in encodings.iter().enumerate() {
        assert_eq!(engine.forward(&Batch::new([encoding]).unwrap()).unwrap().values(), together.row(row), "text {row}");
    }
}

#[test]
fn what_prompts_share_may_be_read_before() {
    let network = network();
    let weights = Weights::from_safetensors(&tiny::random_weights(&network.params(), 11), &network.params(), Missing::Refuse).unwrap();
    let parts = parts();
    let encoder = TextEncoder::with_prompt(&parts.tokenizer_json, parts.normalization, MAX_LENGTH, &prompt()).unwrap();
    let spelling = LabelSpelling::new(&encoder, parts.decider.labels()).unwrap();
    let encodings = encoder.encode_all(&tiny::TEXTS[..4]).unwrap();
    let prompts: Vec<&[u32]> = encodings.iter().map(Encoding::ids).collect();
    let width = Width { beams: 8, negligible: 0.0 };
    let shared = Shared::read(&network, &weights, encoder.around().0).unwrap();
    let mut plain = Reader::new(&network, &weights, CONTEXT);
    let expected = label_masses(&mut plain, &prompts, &spelling, width).unwrap();
    let mut reader = Reader::new(&network, &weights, CONTEXT).beginning_with(&shared);
    assert_eq!(label_masses(&mut reader, &prompts, &spelling, width).unwrap(), expected);
    // A prompt that begins otherwise is read whole.
    let other: &[u32] = &[9, 8, 7];
    assert_eq!(
        label_masses(&mut reader, &[other], &spelling, width).unwrap(),
        label_masses(&mut plain, &[other], &spelling, width).unwrap()
    );
    let answers = read_answers(&mut reader, &prompts, &spelling).unwrap();
    let counts = AnswerCounts::of(&answers);
    assert_eq!((counts.answers, counts.truncated + counts.unparsed), (4, 4), "a random model writes lists");
    let long = vec![9; CONTEXT - spelling.longest() + 1];
    let refused = label_masses(&mut reader, &[&long], &spelling, width).unwrap_err().to_string();
    assert!(refused.contains(&format!("expected at most {CONTEXT} together")), "{refused}");
}

#[test]
fn bundles_that_cannot_ask_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let good = parts();
    let check = |change: &dyn Fn(&mut BundleParts, &mut Generation), told: &str| {
        let (mut parts, mut generation) = (good.clone(), Generation { prompt: prompt(), beams: 8, negligible: 0.0 });
        change(&mut parts, &mut generation);
        parts.generation = Some(generation);
        let refused = opened(&parts, dir.path()).expect_err(told);
        assert!(refused.contains(told), "{refused}: expected {told}");
    };
    check(&|_, generation| generation.beams = 0, "generation.beams");
    check(&|_, generation| generation.negligible = 1.0, "generation.negligible");
    check(&|_, generation| generation.prompt.end = "</s>".to_owned(), "no token \"</s>\"");
    check(&|parts, _| parts.max_length = CONTEXT - 4, "positions without the");
    check(&|parts, _| parts.max_length = 20, "expected fewer than the maximum length of 20");
    let classifier = tiny::bundle(dir.path(), Precision::Fp32);
    let refused = GeneratorBackend::open(&Bundle::open(&classifier).unwrap()).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("how its model is asked"), "{refused}");
}

#[derive(Deserialize)]
struct Searches {
    networks: Vec<NetworkCase>,
}

#[derive(Deserialize)]
struct NetworkCase {
    family: String,
    prompt: Vec<u32>,
    end: u32,
    most: usize,
    greedy: Vec<u32>,
    beams: usize,
    found: Vec<FoundCase>,
}

#[derive(Deserialize)]
struct FoundCase {
    tokens: Vec<u32>,
    score: f64,
}

/// A language model of a fixture of scripts/fixtures/decoders.py.
fn decoder(family: &str) -> (CausalLm, Weights) {
    let bytes = fs::read(fixture(&format!("{family}_tiny.safetensors"))).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let stated: serde_json::Value = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["fixture"]).unwrap();
    let network = CausalLm::new(&ModelConfig::from_json(&stated["config"].to_string()).unwrap()).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let named = network.params().into_iter().map(|spec| {
        let view = file.tensor(&format!("weights.{}", spec.name)).unwrap();
        (spec.name, view)
    });
    let weights = safetensors::serialize(named, None).unwrap();
    let weights = Weights::from_safetensors(&weights, &network.params(), Missing::Refuse).unwrap();
    (network, weights)
}

#[test]
fn networks_are_searched_as_by_transformers() {
    let Searches { networks } = serde_json::from_slice(&fs::read(fixture("tiny-prompt/search.json")).unwrap()).unwrap();
    assert_eq!(networks.len(), 12);
    for family in ["llama", "gemma2"] {
        let (network, weights) = decoder(family);
        let mut reader = Reader::new(&network, &weights, 24);
        let cases: Vec<&NetworkCase> = networks.iter().filter(|case| case.family == family).collect();
        let prompts: Vec<&[u32]> = cases.iter().map(|case| case.prompt.as_slice()).collect();
        let expected: Vec<Vec<u32>> = cases.iter().map(|case| case.greedy.clone()).collect();
        assert_eq!(greedy(&mut reader, &prompts, cases[0].end, cases[0].most).unwrap(), expected, "{family}");
        for case in cases {
            let options = BeamOptions { beams: case.beams, length_penalty: 1.0, most: case.most };
            let found = beam_search(&mut reader, &case.prompt, case.end, options).unwrap();
            assert_eq!(found.len(), case.found.len());
            for (found, expected) in found.iter().zip(&case.found) {
                assert_eq!(found.tokens, expected.tokens, "{family}: {:?}", case.prompt);
                assert!((found.score - expected.score).abs() < 1e-4, "{family}: {} is not {}", found.score, expected.score);
            }
        }
    }
}
