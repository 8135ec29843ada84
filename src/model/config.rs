//! A checkpoint's `config.json`, as far as it decides the computation.

use serde::Deserialize;
use thiserror::Error;

use super::encoder::BertConfig;
use crate::spec::Architecture;

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
    #[error("model_type is {found:?}: expected one of bert")]
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
        let json = |error: serde_json::Error| ConfigError::Json { reason: error.to_string() };
        let family: Family = serde_json::from_str(text).map_err(json)?;
        match family.model_type.as_str() {
            "bert" => {
                let config: BertConfig = serde_json::from_str(text).map_err(json)?;
                config.check()?;
                Ok(Self::Bert(config))
            }
            _ => Err(ConfigError::Architecture { found: family.model_type }),
        }
    }

    /// The family.
    #[must_use]
    pub fn architecture(&self) -> Architecture {
        match self {
            Self::Bert(_) => Architecture::Bert,
        }
    }

    /// The longest text the network has positions for, in tokens.
    #[must_use]
    pub fn max_positions(&self) -> usize {
        match self {
            Self::Bert(config) => config.max_position_embeddings,
        }
    }

    /// Entries of the word table: ids must lie below it.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        match self {
            Self::Bert(config) => config.vocab_size,
        }
    }
}
