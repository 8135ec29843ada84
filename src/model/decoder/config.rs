//! The members of a decoder's `config.json` that decide the computation.
//!
//! They are read as `transformers` reads them, a family's defaults included; what this definition
//! cannot compute is refused by name.

use serde::Deserialize;

use super::family::{Family, Windows};
use super::rope::RopeConfig;
use crate::model::ConfigError;
use crate::model::config::{check_rates, check_sizes};
use crate::nn::{Direction, Init, RmsNorm, Rotary, UnaryOp};
use crate::spec::Architecture;

/// A layer that looks at the whole text before it, and one that looks through a window.
const LAYER_TYPES: [&str; 2] = ["full_attention", "sliding_attention"];

/// The members of a decoder's `config.json`, of any family; a member that a family does not have is
/// not looked at.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DecoderConfig {
    /// The family.
    pub model_type: Architecture,
    /// Entries of the word table.
    pub vocab_size: usize,
    /// Width of a token vector.
    pub hidden_size: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Heads of the queries a layer.
    pub num_attention_heads: usize,
    /// Heads of keys and values, a divisor of the queries'; as many as those when absent.
    pub num_key_value_heads: Option<usize>,
    /// Width of a head, even; when absent the family's own, or `hidden_size` over the heads.
    pub head_dim: Option<usize>,
    /// The feed-forward block's function, but in Gemma 2.
    pub hidden_act: Option<String>,
    /// The same in Gemma 2; in Gemma it may only repeat `hidden_act`.
    pub hidden_activation: Option<String>,
    /// Longest text in tokens.
    pub max_position_embeddings: usize,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// Added to the mean of squares in normalisations.
    pub rms_norm_eps: f64,
    /// Base of the rotations.
    #[serde(default = "rope_theta")]
    pub rope_theta: f64,
    /// How the rotations were stretched, if they were.
    pub rope_scaling: Option<RopeConfig>,
    /// Base and stretching in one, as `transformers` 5 writes them.
    pub rope_parameters: Option<RopeConfig>,
    /// Share of a head that is turned; only all of it can be built.
    pub partial_rotary_factor: Option<f64>,
    /// Whether a language model's last layer is the word table; the family's own way when absent.
    pub tie_word_embeddings: Option<bool>,
    /// Whether the attention block's dense layers have a bias; Qwen 2 has its own way.
    #[serde(default)]
    pub attention_bias: bool,
    /// Whether the feed-forward block's dense layers have a bias. Llama only.
    #[serde(default)]
    pub mlp_bias: bool,
    /// Dropout on attention weights, in `[0, 1)`.
    #[serde(default)]
    pub attention_dropout: f64,
    /// Whether a token sees only what stands before it. `false` is for checkpoints that were trained
    /// on as embedding models with attention both ways, whose published classes are code of their own
    /// (gte-Qwen2); the stock classes of `transformers` do not read it.
    #[serde(default = "yes")]
    pub is_causal: bool,
    /// Whether Qwen's upper layers look through a window.
    #[serde(default)]
    pub use_sliding_window: bool,
    /// Tokens that such a layer looks at, its own among them.
    pub sliding_window: Option<usize>,
    /// Qwen's layers below this one look at everything.
    pub max_window_layers: Option<usize>,
    /// `full_attention` or `sliding_attention`, one a layer; when absent the family's own way.
    pub layer_types: Option<Vec<String>>,
    /// Gemma 2: scores are divided by its root.
    #[serde(default = "query_pre_attn_scalar")]
    pub query_pre_attn_scalar: f64,
    /// Gemma 2: bound of attention scores; none when `null`.
    #[serde(default = "attention_cap")]
    pub attn_logit_softcapping: Option<f64>,
    /// Gemma 2: bound of a language model's logits; none when `null`.
    #[serde(default = "logit_cap")]
    pub final_logit_softcapping: Option<f64>,
}

fn rope_theta() -> f64 {
    10_000.0
}

fn yes() -> bool {
    true
}

fn query_pre_attn_scalar() -> f64 {
    256.0
}

#[expect(clippy::unnecessary_wraps, reason = "serde's default of an optional member")]
fn attention_cap() -> Option<f64> {
    Some(50.0)
}

#[expect(clippy::unnecessary_wraps, reason = "serde's default of an optional member")]
fn logit_cap() -> Option<f64> {
    Some(30.0)
}

impl DecoderConfig {
    /// Refuses what this definition cannot compute.
    ///
    /// # Errors
    /// [`ConfigError::Value`] naming the member, what was expected and what was found.
    pub fn check(&self) -> Result<(), ConfigError> {
        if Family::of(self.model_type).is_none() {
            return Err(ConfigError::value("model_type", "llama, qwen2, qwen3, gemma or gemma2", self.model_type.name()));
        }
        check_sizes(&[
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.key_heads()),
            ("max_position_embeddings", self.max_position_embeddings),
        ])?;
        self.check_heads()?;
        self.function()?;
        check_rates(&[("attention_dropout", self.attention_dropout)])?;
        if !(self.rms_norm_eps > 0.0 && self.rms_norm_eps < 1.0) {
            return Err(ConfigError::value("rms_norm_eps", "between 0 and 1", self.rms_norm_eps));
        }
        if let Some(share) = self.partial_rotary_factor.filter(|share| *share != 1.0) {
            return Err(ConfigError::value("partial_rotary_factor", "1: whole heads are turned", share));
        }
        self.rotary()?;
        self.check_caps()?;
        self.check_windows()
    }

    fn check_heads(&self) -> Result<(), ConfigError> {
        if !self.num_attention_heads.is_multiple_of(self.key_heads()) {
            return Err(ConfigError::value("num_key_value_heads", "a divisor of num_attention_heads", self.key_heads()));
        }
        let stated = self.head_dim.or(self.family().head_width);
        if stated.is_none() && !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let expected = "a divisor of hidden_size where head_dim is not stated";
            return Err(ConfigError::value("num_attention_heads", expected, self.num_attention_heads));
        }
        check_sizes(&[("head_dim", self.head_width())])?;
        if self.head_width().is_multiple_of(2) { Ok(()) } else { Err(ConfigError::value("head_dim", "an even width", self.head_width())) }
    }

    fn check_caps(&self) -> Result<(), ConfigError> {
        let numbers = [
            ("query_pre_attn_scalar", Some(self.query_pre_attn_scalar)),
            ("attn_logit_softcapping", self.attn_logit_softcapping),
            ("final_logit_softcapping", self.final_logit_softcapping),
        ];
        match numbers.into_iter().find(|(_, number)| number.is_some_and(|number| !(number > 0.0 && number.is_finite()))) {
            Some((member, number)) => Err(ConfigError::value(member, "a number above 0", number.unwrap_or_default())),
            None => Ok(()),
        }
    }

    fn check_windows(&self) -> Result<(), ConfigError> {
        let family = self.family();
        if family.windows != Windows::None {
            self.check_layer_types()?;
        }
        if family.windows == Windows::Upper && self.use_sliding_window && self.layer_types.is_none() && self.max_window_layers.is_none() {
            return Err(ConfigError::value("max_window_layers", "a number of layers where use_sliding_window is true", "absent"));
        }
        if !(0..self.num_hidden_layers).any(|layer| self.slides(layer)) {
            return Ok(());
        }
        if family.windows == Windows::Upper && !self.use_sliding_window {
            return Err(ConfigError::value("use_sliding_window", "true where layer_types has sliding_attention", false));
        }
        if !self.is_causal {
            return Err(ConfigError::value("is_causal", "true where layers look through a window", false));
        }
        match self.sliding_window {
            Some(size) => check_sizes(&[("sliding_window", size)]),
            None => Err(ConfigError::value("sliding_window", "a number of tokens", "absent")),
        }
    }

    fn check_layer_types(&self) -> Result<(), ConfigError> {
        let Some(types) = &self.layer_types else { return Ok(()) };
        if types.len() != self.num_hidden_layers {
            return Err(ConfigError::value("layer_types", "one a layer", format!("{} of them", types.len())));
        }
        match types.iter().find(|kind| !LAYER_TYPES.contains(&kind.as_str())) {
            Some(kind) => Err(ConfigError::value("layer_types", "full_attention or sliding_attention", format!("{kind:?}"))),
            None => Ok(()),
        }
    }

    /// Whether this layer looks through the window.
    fn slides(&self, layer: usize) -> bool {
        let own = match self.family().windows {
            Windows::None => return false,
            Windows::Upper => self.use_sliding_window && self.max_window_layers.is_some_and(|first| layer >= first),
            Windows::Alternate => layer.is_multiple_of(2),
        };
        self.layer_types.as_ref().map_or(own, |types| types.get(layer).is_some_and(|kind| kind == LAYER_TYPES[1]))
    }

    /// Tokens that this layer looks at, where not at all.
    pub(super) fn window(&self, layer: usize) -> Option<usize> {
        self.sliding_window.filter(|_| self.slides(layer))
    }

    /// What the family is, of a configuration that was checked.
    pub(super) fn family(&self) -> Family {
        Family::of(self.model_type).expect("a configuration is checked before it is built; anything else, this is a bug")
    }

    pub(super) fn key_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    pub(super) fn head_width(&self) -> usize {
        self.head_dim.or(self.family().head_width).unwrap_or(self.hidden_size / self.num_attention_heads)
    }

    /// What scores are multiplied by.
    pub(super) fn score_scale(&self) -> f64 {
        let scalar = if self.family().capped { self.query_pre_attn_scalar } else { self.head_width() as f64 };
        1.0 / scalar.sqrt()
    }

    pub(super) fn direction(&self) -> Direction {
        if self.is_causal { Direction::Past } else { Direction::Both }
    }

    /// Whether a language model's last layer is the word table.
    pub(super) fn tied(&self) -> bool {
        self.tie_word_embeddings.unwrap_or(self.family().tied)
    }

    /// How tokens are turned by position.
    pub(super) fn rotary(&self) -> Result<Rotary, ConfigError> {
        let stated = self.rope_parameters.as_ref().or(self.rope_scaling.as_ref());
        let base = stated.and_then(|stated| stated.rope_theta).unwrap_or(self.rope_theta);
        if !(base > 1.0 && base.is_finite()) {
            return Err(ConfigError::value("rope_theta", "a number above 1", base));
        }
        let scaling = stated.map_or(Ok(None), RopeConfig::scaling)?;
        Ok(Rotary { head_width: self.head_width(), base, scaling })
    }

    /// The feed-forward block's function.
    pub(super) fn function(&self) -> Result<UnaryOp, ConfigError> {
        let (member, stated) = match self.model_type {
            Architecture::Gemma2 => ("hidden_activation", &self.hidden_activation),
            _ => ("hidden_act", &self.hidden_act),
        };
        if let (Architecture::Gemma, Some(other)) = (self.model_type, &self.hidden_activation)
            && self.hidden_act.as_ref() != Some(other)
        {
            return Err(ConfigError::value("hidden_activation", "null, or what hidden_act says", format!("{other:?}")));
        }
        match stated.as_deref() {
            Some("silu") => Ok(UnaryOp::Silu),
            Some("gelu") => Ok(UnaryOp::Gelu),
            Some("gelu_pytorch_tanh") => Ok(UnaryOp::GeluTanh),
            Some("relu") => Ok(UnaryOp::Relu),
            other => {
                let found = other.map_or_else(|| "absent".to_owned(), |name| format!("{name:?}"));
                Err(ConfigError::value(member, "silu, gelu, gelu_pytorch_tanh or relu", found))
            }
        }
    }

    /// How fresh weights begin.
    pub(in crate::model) fn init(&self) -> Init {
        Init::Normal(self.initializer_range)
    }

    /// A normalisation of this many numbers.
    pub(super) fn norm(&self, name: String, width: usize) -> RmsNorm {
        RmsNorm { name, width, epsilon: self.rms_norm_eps, unit_offset: self.family().gemma }
    }
}
