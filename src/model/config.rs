//! A checkpoint's `config.json`, as far as it decides the computation.

use serde::Deserialize;
use thiserror::Error;

use super::Backbone;
use super::decoder::{Decoder, DecoderConfig};
use super::encoder::{BertConfig, DistilBertConfig, ModernBert, ModernBertConfig, RobertaConfig};
use crate::nn::Init;
use crate::spec::{Architecture, Pooling};

/// Sizes above this are taken for a broken file.
const LARGEST: usize = 1 << 24;

/// Why a model configuration was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// Not JSON, or a member missing or of the wrong type.
    #[error("model configuration: {reason}")]
    Json {
        /// What the parser said.
        reason: String,
    },
    /// A family that this version cannot build.
    #[error(
        "model_type is {found:?}: expected one of bert, roberta, xlm-roberta, camembert, distilbert, modernbert, llama, qwen2, qwen3, \
         gemma, gemma2"
    )]
    Architecture {
        /// The family named.
        found: String,
    },
    /// A member whose value cannot be built.
    #[error("{member} is {found}: expected {expected}")]
    Value {
        /// The member.
        member: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A pooling that the family has no head for.
    #[error("pooling is {}: expected {expected} for {}", found.name(), architecture.name())]
    Pooling {
        /// The family.
        architecture: Architecture,
        /// The poolings it has.
        expected: &'static str,
        /// The one asked for.
        found: Pooling,
    },
}

impl ConfigError {
    pub(crate) fn value(member: &'static str, expected: &'static str, found: impl ToString) -> Self {
        Self::Value { member, expected, found: found.to_string() }
    }
}

/// The configuration of a network, by family.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelConfig {
    /// BERT and `MiniLM`.
    Bert(BertConfig),
    /// RoBERTa and everything of its shape.
    Roberta(RobertaConfig),
    /// DistilBERT.
    DistilBert(DistilBertConfig),
    /// ModernBERT.
    ModernBert(ModernBertConfig),
    /// Llama, Qwen 2 and 3, Gemma and Gemma 2: one definition, whose configuration says which.
    Decoder(Box<DecoderConfig>),
}

impl ModelConfig {
    /// Reads the text of a Hugging Face `config.json` and checks it.
    ///
    /// # Errors
    /// [`ConfigError`] naming the member at fault.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        #[derive(Deserialize)]
        struct Family {
            model_type: String,
        }
        let Family { model_type } = parse(text)?;
        let Ok(architecture) = serde_json::from_value(model_type.as_str().into()) else {
            return Err(ConfigError::Architecture { found: model_type });
        };
        let config = match architecture {
            Architecture::Bert => Self::Bert(parse(text)?),
            Architecture::Roberta => Self::Roberta(parse(text)?),
            Architecture::DistilBert => Self::DistilBert(parse(text)?),
            Architecture::ModernBert => Self::ModernBert(parse(text)?),
            Architecture::Llama | Architecture::Qwen2 | Architecture::Qwen3 | Architecture::Gemma | Architecture::Gemma2 => {
                Self::Decoder(parse(text)?)
            }
        };
        config.check()?;
        Ok(config)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Bert(config) => config.check(),
            Self::Roberta(config) => config.check(),
            Self::DistilBert(config) => config.check(),
            Self::ModernBert(config) => config.check(),
            Self::Decoder(config) => config.check(),
        }
    }

    /// The family.
    #[must_use]
    pub fn architecture(&self) -> Architecture {
        match self {
            Self::Bert(_) => Architecture::Bert,
            Self::Roberta(_) => Architecture::Roberta,
            Self::DistilBert(_) => Architecture::DistilBert,
            Self::ModernBert(_) => Architecture::ModernBert,
            Self::Decoder(config) => config.model_type,
        }
    }

    /// The longest text the network has positions for, in tokens.
    #[must_use]
    pub fn max_positions(&self) -> usize {
        match self {
            Self::Bert(config) => config.max_position_embeddings,
            Self::Roberta(config) => config.bert.max_position_embeddings - config.first_position(),
            Self::DistilBert(config) => config.max_position_embeddings,
            Self::ModernBert(config) => config.max_position_embeddings,
            Self::Decoder(config) => config.max_position_embeddings,
        }
    }

    /// Entries of the word table: ids must lie below it.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        match self {
            Self::Bert(config) => config.vocab_size,
            Self::Roberta(config) => config.bert.vocab_size,
            Self::DistilBert(config) => config.vocab_size,
            Self::ModernBert(config) => config.vocab_size,
            Self::Decoder(config) => config.vocab_size,
        }
    }

    /// Width of a token vector.
    pub(super) fn width(&self) -> usize {
        match self {
            Self::Bert(config) => config.hidden_size,
            Self::Roberta(config) => config.bert.hidden_size,
            Self::DistilBert(config) => config.dim,
            Self::ModernBert(config) => config.hidden_size,
            Self::Decoder(config) => config.hidden_size,
        }
    }

    /// How fresh weights begin.
    pub(super) fn init(&self) -> Init {
        match self {
            Self::Bert(config) => config.init(),
            Self::Roberta(config) => config.bert.init(),
            Self::DistilBert(config) => config.init(),
            Self::ModernBert(config) => config.init(),
            Self::Decoder(config) => config.init(),
        }
    }

    /// The network below a head.
    pub(super) fn backbone(&self) -> Result<Backbone, ConfigError> {
        self.check()?;
        Ok(match self {
            Self::Bert(config) => Backbone::PostNorm(config.encoder()),
            Self::Roberta(config) => Backbone::PostNorm(config.encoder()),
            Self::DistilBert(config) => Backbone::PostNorm(config.encoder()),
            Self::ModernBert(config) => Backbone::ModernBert(ModernBert::new(config)),
            Self::Decoder(config) => Backbone::Decoder(Decoder::new(config)?),
        })
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ConfigError> {
    serde_json::from_str(text).map_err(|error| ConfigError::Json { reason: error.to_string() })
}

/// Refuses a size that is zero or absurd.
pub(super) fn check_sizes(sizes: &[(&'static str, usize)]) -> Result<(), ConfigError> {
    match sizes.iter().find(|(_, size)| *size == 0 || *size > LARGEST) {
        Some(&(member, size)) => Err(ConfigError::value(member, "between 1 and 16777216", size)),
        None => Ok(()),
    }
}

/// Refuses a dropout rate outside `[0, 1)`.
pub(super) fn check_rates(rates: &[(&'static str, f64)]) -> Result<(), ConfigError> {
    match rates.iter().find(|(_, rate)| !(0.0..1.0).contains(rate)) {
        Some(&(member, rate)) => Err(ConfigError::value(member, "at least 0 and below 1", rate)),
        None => Ok(()),
    }
}

/// Refuses heads that do not share the width evenly.
pub(super) fn check_heads(member: &'static str, heads: usize, width: usize) -> Result<(), ConfigError> {
    if width.is_multiple_of(heads) { Ok(()) } else { Err(ConfigError::value(member, "a divisor of the width", heads)) }
}

/// Refuses any other word than the one that can be built.
pub(super) fn check_word(member: &'static str, found: &str, expected: &'static str) -> Result<(), ConfigError> {
    if found == expected { Ok(()) } else { Err(ConfigError::value(member, expected, format!("{found:?}"))) }
}
