//! Decoders beyond their classifiers, which `nn_parity` holds: the language models of transformers,
//! attention both ways, adapters of peft and which layers may carry them, and configurations that cannot be built.

use std::collections::BTreeSet;

use limbic::model::{CausalLm, Depth, ModelConfig, SequenceClassifier};
use limbic::nn::{Eager, Example, Missing, Mode, NnError, PeftAdapter, Plan, Storage, TokenCrossEntropy, Weights};
use limbic::spec::Pooling;
use serde_json::{Value, json};

use crate::nn_support::{DECODERS, Lesson, RELATIVE, Tiny, close, close_number};

/// A tiny family as a language model.
struct Writer {
    tiny: Tiny,
    model: CausalLm,
    weights: Weights,
    /// A target a token, NaN where it is not asked about.
    targets: Vec<Vec<f32>>,
}

impl Writer {
    fn of(family: &str) -> Self {
        let tiny = Tiny::of(family);
        let model = CausalLm::new(&tiny.config).unwrap();
        let weights = Weights::from_safetensors(&tiny.checkpoint(), &model.params(), Missing::Refuse).unwrap();
        let number = |target: &Option<u32>| target.map_or(f32::NAN, |id| id as f32);
        let targets = tiny.words.iter().map(|row| row.iter().map(number).collect()).collect();
        Self { tiny, model, weights, targets }
    }

    fn all() -> impl Iterator<Item = Self> {
        DECODERS.iter().map(|(family, _)| Self::of(family))
    }

    fn examples(&self) -> Vec<Example<'_>> {
        self.tiny.settings.texts.iter().zip(&self.targets).map(|(ids, targets)| Example { ids, targets }).collect()
    }

    fn loss(&self) -> TokenCrossEntropy {
        TokenCrossEntropy::new(self.model.vocabulary())
    }

    /// Logits behind every token.
    fn logits(&self) -> Vec<f32> {
        let (ids, offsets) = self.tiny.settings.ragged();
        let ops = Eager::new(&self.weights, Mode::Eval, &ids, &offsets).unwrap();
        let mut ops = ops.with_marked((0..ids.len()).collect()).unwrap();
        self.model.forward(&mut ops).unwrap().to_vec().unwrap()
    }

    fn check(&self) {
        let tiny = &self.tiny;
        let name = tiny.config.architecture().name();
        close(&format!("{name}: logits"), &self.logits(), tiny.tensor("words.logits"), RELATIVE, 0.0);
        let lesson = Lesson::new(|ops| self.model.forward(ops), self.loss(), self.examples());
        let (loss, stepper) = lesson.gradients(&self.weights);
        close_number(&format!("{name}: loss"), loss, tiny.found_of("words").loss, RELATIVE);
        let whole = stepper.sum().norm();
        let specs = self.model.params();
        for spec in &specs {
            let gradient = stepper.sum().get(&self.weights, &spec.name).unwrap_or_else(|| panic!("{} got no gradient", spec.name));
            let expected = tiny.tensor(&format!("words.gradient.{}", spec.name));
            close(&format!("{name}: {}", spec.name), &gradient, expected, RELATIVE, 1e-6 * whole);
        }
        assert_eq!(specs.len(), self.weights.names().len());
        lesson.check_steps(name, &self.weights, &tiny.settings, tiny.found_of("words"));
        close(&format!("{name}: logits after"), &self.logits(), tiny.tensor("words.logits_after"), RELATIVE, 0.0);
    }
}

#[test]
fn language_models_are_those_of_transformers() {
    assert_eq!(Writer::all().map(|writer| writer.check()).count(), 5);
}

#[test]
fn the_last_layer_is_the_word_table_or_a_matrix_of_its_own() {
    let heads: Vec<bool> = Writer::all().map(|writer| writer.model.params().iter().any(|spec| spec.name == "lm_head.weight")).collect();
    assert_eq!(heads, [false, true, false, false, false]);
}

#[test]
fn attention_both_ways_is_that_of_the_same_checkpoint_without_its_mask() {
    let tiny = Tiny::of("qwen2");
    let config = ModelConfig::from_json(&tiny.both_ways.to_string()).unwrap();
    let (ids, offsets) = tiny.settings.ragged();
    for pooling in [Pooling::LastToken, Pooling::Mean, Pooling::Cls] {
        let classifier = SequenceClassifier::new(&config, pooling, tiny.settings.labels()).unwrap();
        let weights = Weights::from_safetensors(&tiny.checkpoint(), &classifier.params(), Missing::Refuse).unwrap();
        let logits = classifier.forward(&mut Eager::new(&weights, Mode::Eval, &ids, &offsets).unwrap()).unwrap();
        let expected = tiny.tensor(&format!("both.{}.logits", pooling.name()));
        close(pooling.name(), &logits.to_vec().unwrap(), expected, RELATIVE, 0.0);
    }
    let refused = CausalLm::new(&config).unwrap_err().to_string();
    assert_eq!(refused, "is_causal is false: expected true for a language model");
}

#[test]
fn adapters_may_stand_beside_every_dense_layer_but_the_head() {
    for (family, _) in DECODERS {
        let tiny = Tiny::of(family);
        let (classifier, writer) = (tiny.classifier(Pooling::LastToken), CausalLm::new(&tiny.config).unwrap());
        let names: BTreeSet<String> = classifier.linears().into_iter().map(|linear| linear.name).collect();
        assert_eq!(names.len(), 2 * 7);
        assert!(names.contains("model.layers.1.mlp.down_proj") && !names.contains("score"), "{names:?}");
        assert_eq!(writer.linears(), classifier.linears());
        assert_eq!(classifier.head_params().iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), ["score.weight"]);
        // Those that peft adapts when it is told "all-linear".
        let adapted: BTreeSet<String> = serde_json::from_value(tiny.peft["target_modules"].clone()).unwrap();
        assert_eq!(names, adapted);
    }
    // An encoder's pooler comes with its checkpoint, a head does not.
    let bert = Tiny::of("bert").classifier(Pooling::ClsTanh).linears();
    assert_eq!((bert.len(), bert[12].name.as_str()), (2 * 6 + 1, "bert.pooler.dense"));
    assert_eq!(Tiny::of("roberta").classifier(Pooling::ClsTanh).linears().len(), 2 * 6);
    assert_eq!(Tiny::of("modernbert").classifier(Pooling::ClsGeluNorm).linears().len(), 3 * 4 + 1);
}

#[test]
fn parameters_say_how_deep_they_stand() {
    let check = |name: &str, depth| assert_eq!(Depth::of(name), depth, "{name}");
    check("model.embed_tokens.weight", Depth::Embeddings);
    check("model.layers.11.self_attn.q_proj.weight", Depth::Layer(11));
    check("base_model.model.model.layers.3.mlp.up_proj.lora_A.weight", Depth::Layer(3));
    check("model.norm.weight", Depth::Top);
    check("score.weight", Depth::Top);
    check("lm_head.weight", Depth::Top);
}

/// A family, the members of its configuration that are changed, and what is said of it.
type Refused<'a> = (&'a str, &'a [(&'a str, Value)], &'a str);

/// What is said of a family's configuration with these members changed.
fn refusal(family: &str, changes: &[(&str, Value)]) -> String {
    let mut config = Tiny::of(family).config_json;
    for (member, value) in changes {
        config[member] = value.clone();
    }
    ModelConfig::from_json(&config.to_string()).map_or_else(|error| error.to_string(), |_| "nothing".to_owned())
}

#[test]
fn what_cannot_be_built_is_refused_by_name() {
    let cases: [Refused<'_>; 22] = [
        (
            "llama",
            &[("model_type", json!("mistral"))],
            "model_type is \"mistral\": expected one of bert, roberta, xlm-roberta, camembert, distilbert, modernbert, llama, qwen2, qwen3, gemma, gemma2",
        ),
        ("llama", &[("num_key_value_heads", json!(4))], "num_key_value_heads is 4: expected a divisor of num_attention_heads"),
        ("llama", &[("num_key_value_heads", json!(null))], "nothing"),
        ("llama", &[("head_dim", json!(null))], "num_attention_heads is 6: expected a divisor of hidden_size where head_dim is not stated"),
        ("llama", &[("head_dim", json!(5))], "head_dim is 5: expected an even width"),
        ("llama", &[("hidden_act", json!("swish"))], "hidden_act is \"swish\": expected silu, gelu, gelu_pytorch_tanh or relu"),
        ("llama", &[("vocab_size", json!(0))], "vocab_size is 0: expected between 1 and 16777216"),
        ("llama", &[("rms_norm_eps", json!(0))], "rms_norm_eps is 0: expected between 0 and 1"),
        ("llama", &[("rope_theta", json!(1))], "rope_theta is 1: expected a number above 1"),
        ("llama", &[("partial_rotary_factor", json!(0.5))], "partial_rotary_factor is 0.5: expected 1: whole heads are turned"),
        ("llama", &[("attention_dropout", json!(1))], "attention_dropout is 1: expected at least 0 and below 1"),
        (
            "llama",
            &[("rope_scaling", json!({"rope_type": "yarn", "factor": 4}))],
            "rope_type is \"yarn\": expected default, linear or llama3",
        ),
        ("llama", &[("rope_scaling", json!({"type": "linear"}))], "rope_scaling.factor is absent: expected a number above 0"),
        (
            "llama",
            &[("rope_parameters", json!({"rope_type": "default", "rope_theta": 0.5}))],
            "rope_theta is 0.5: expected a number above 1",
        ),
        ("qwen2", &[("layer_types", json!(["full_attention"]))], "layer_types is 1 of them: expected one a layer"),
        (
            "qwen2",
            &[("layer_types", json!(["full_attention", "linear"]))],
            "layer_types is \"linear\": expected full_attention or sliding_attention",
        ),
        (
            "qwen2",
            &[("use_sliding_window", json!(false))],
            "use_sliding_window is false: expected true where layer_types has sliding_attention",
        ),
        ("qwen2", &[("sliding_window", json!(null))], "sliding_window is absent: expected a number of tokens"),
        ("qwen2", &[("is_causal", json!(false))], "is_causal is false: expected true where layers look through a window"),
        ("gemma", &[("hidden_activation", json!("gelu"))], "hidden_activation is \"gelu\": expected null, or what hidden_act says"),
        ("gemma2", &[("attn_logit_softcapping", json!(0))], "attn_logit_softcapping is 0: expected a number above 0"),
        ("gemma2", &[("attn_logit_softcapping", json!(null)), ("final_logit_softcapping", json!(null))], "nothing"),
    ];
    for (family, changes, expected) in cases {
        assert_eq!(refusal(family, changes), expected, "{family}: {changes:?}");
    }
    let tiny = Tiny::of("gemma2");
    let refused = SequenceClassifier::new(&tiny.config, Pooling::Cls, 3).unwrap_err().to_string();
    assert_eq!(refused, "pooling is cls: expected last_token or mean for gemma2");
    let refused = CausalLm::new(&Tiny::of("bert").config).unwrap_err().to_string();
    assert_eq!(refused, "model_type is bert: expected llama, qwen2, qwen3, gemma or gemma2 for a language model");
}

/// A family's classifier with the adapter that peft made for it.
fn check_adapter(family: &str) {
    let tiny = Tiny::of(family);
    let classifier = tiny.classifier(Pooling::LastToken);
    let linears = classifier.linears();
    let plan = Plan::frozen(Storage::F32, &linears).and_trained(&classifier.head_params());
    let base = Weights::from_shards([Ok::<_, NnError>(tiny.checkpoint())], &classifier.params(), Missing::Refuse, &plan).unwrap();
    let adapter = PeftAdapter::parse(&tiny.peft.to_string(), &tiny.file("peft.weights.")).unwrap();
    let weights = base.with_saved_adapter(&linears, &adapter).unwrap();
    let logits = |weights: &Weights| {
        let (ids, offsets) = tiny.settings.ragged();
        classifier.forward(&mut Eager::new(weights, Mode::Eval, &ids, &offsets).unwrap()).unwrap().to_vec().unwrap()
    };
    close(&format!("{family}: logits"), &logits(&weights), tiny.tensor("peft.logits"), RELATIVE, 0.0);
    let merged = weights.merged(Storage::F32).unwrap();
    close(&format!("{family}: logits when merged"), &logits(&merged), tiny.tensor("peft.logits"), RELATIVE, 0.0);

    let lesson = Lesson::new(|ops| classifier.forward(ops), tiny.settings.loss(), tiny.settings.examples());
    let (loss, stepper) = lesson.gradients(&weights);
    close_number(&format!("{family}: loss"), loss, tiny.found_of("peft").loss, RELATIVE);
    let names: Vec<&str> = weights.trainable().collect();
    assert_eq!(names.len(), 2 * linears.len() + 1, "{family}");
    for name in names {
        let gradient = stepper.sum().get(&weights, name).unwrap_or_else(|| panic!("{family}: {name} got no gradient"));
        let expected = tiny.tensor(&format!("peft.gradient.base_model.model.{name}"));
        close(&format!("{family}: {name}"), &gradient, expected, RELATIVE, 1e-6 * stepper.sum().norm());
    }
    lesson.check_steps(&format!("{family} with an adapter"), &weights, &tiny.settings, tiny.found_of("peft"));
    close(&format!("{family}: logits after"), &logits(&weights), tiny.tensor("peft.logits_after"), RELATIVE, 0.0);
}

#[test]
fn adapters_of_peft_answer_and_learn_as_they_do_there() {
    assert_eq!(DECODERS.map(|(family, _)| check_adapter(family)).len(), 5);
}
