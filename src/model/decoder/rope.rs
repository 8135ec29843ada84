//! `rope_scaling` and `rope_parameters` of a configuration: how rotations were stretched.

use serde::Deserialize;

use crate::model::ConfigError;
use crate::nn::RotaryScaling;

/// How rotations were stretched, by `transformers`' names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RopeConfig {
    /// `default`, `linear` or `llama3`.
    pub rope_type: Option<String>,
    /// The same under its older name.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Base of the rotations, where it stands here.
    pub rope_theta: Option<f64>,
    /// By how much turns are slowed, at least 1.
    pub factor: Option<f64>,
    /// `llama3`: turns over the first context at or below which a point is slow.
    pub low_freq_factor: Option<f64>,
    /// `llama3`: turns at or above which a point is fast.
    pub high_freq_factor: Option<f64>,
    /// `llama3`: positions of the first context.
    pub original_max_position_embeddings: Option<usize>,
}

impl RopeConfig {
    /// What becomes of the rotations.
    pub(super) fn scaling(&self) -> Result<Option<RotaryScaling>, ConfigError> {
        let kind = self.kind.as_deref().or(self.rope_type.as_deref());
        match kind {
            Some("default") => Ok(None),
            Some("linear") => Ok(Some(RotaryScaling::Linear { factor: self.factor()? })),
            Some("llama3") => self.llama3().map(Some),
            other => {
                let found = other.map_or_else(|| "absent".to_owned(), |kind| format!("{kind:?}"));
                Err(ConfigError::value("rope_type", "default, linear or llama3", found))
            }
        }
    }

    fn factor(&self) -> Result<f64, ConfigError> {
        let factor = number("rope_scaling.factor", self.factor)?;
        if factor >= 1.0 { Ok(factor) } else { Err(ConfigError::value("rope_scaling.factor", "at least 1", factor)) }
    }

    fn llama3(&self) -> Result<RotaryScaling, ConfigError> {
        let low_freq_factor = number("rope_scaling.low_freq_factor", self.low_freq_factor)?;
        let high_freq_factor = number("rope_scaling.high_freq_factor", self.high_freq_factor)?;
        if low_freq_factor >= high_freq_factor {
            return Err(ConfigError::value("rope_scaling.high_freq_factor", "above low_freq_factor", high_freq_factor));
        }
        match self.original_max_position_embeddings {
            None | Some(0) => {
                let found = self.original_max_position_embeddings.map_or_else(|| "absent".to_owned(), |size| size.to_string());
                Err(ConfigError::value("rope_scaling.original_max_position_embeddings", "at least 1", found))
            }
            Some(original_positions) => {
                Ok(RotaryScaling::Llama3 { factor: self.factor()?, low_freq_factor, high_freq_factor, original_positions })
            }
        }
    }
}

/// A member that must be there, above zero.
fn number(member: &'static str, stated: Option<f64>) -> Result<f64, ConfigError> {
    match stated {
        Some(number) if number > 0.0 && number.is_finite() => Ok(number),
        Some(number) => Err(ConfigError::value(member, "a number above 0", number)),
        None => Err(ConfigError::value(member, "a number above 0", "absent")),
    }
}
