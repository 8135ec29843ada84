//! A decoder and a head that tells the next word.

use super::{Decoder, DecoderConfig};
use crate::model::{ConfigError, ModelConfig, Reach};
use crate::nn::{Decode, Linear, ParamSpec, UnaryOp};

/// A network that gives a row of logits over the vocabulary for every token that is asked about:
/// what may stand behind it.
#[derive(Debug, Clone)]
pub struct CausalLm {
    decoder: Decoder,
    /// The last layer; the word table where there is none.
    head: Option<Linear>,
    /// Bound of the logits.
    soft_cap: Option<f64>,
}

impl CausalLm {
    /// Names the parameters as Hugging Face's `...ForCausalLM` of the family names them.
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration cannot be built, is an encoder's, or lets tokens see
    /// what stands behind them.
    pub fn new(config: &ModelConfig) -> Result<Self, ConfigError> {
        let ModelConfig::Decoder(config) = config else {
            let expected = "llama, qwen2, qwen3, gemma or gemma2 for a language model";
            return Err(ConfigError::value("model_type", expected, config.architecture().name()));
        };
        let decoder = Decoder::new(config)?;
        if !config.is_causal {
            return Err(ConfigError::value("is_causal", "true for a language model", false));
        }
        Ok(Self { decoder, head: head(config), soft_cap: config.final_logit_softcapping.filter(|_| config.family().capped) })
    }

    /// The decoder below the head.
    #[must_use]
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Logits a token.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.decoder.words().rows
    }

    /// Every parameter, in checkpoint order.
    #[must_use]
    pub fn params(&self) -> Vec<ParamSpec> {
        [self.decoder.params(), self.head.as_ref().map_or_else(Vec::new, Linear::params)].concat()
    }

    /// Every dense layer but the head, from the input on: what an adapter may stand beside.
    #[must_use]
    pub fn linears(&self) -> Vec<Linear> {
        self.decoder.linears()
    }

    /// Logits of the word behind each token asked about, `[tokens asked about, vocabulary]`.
    ///
    /// # Errors
    /// The interpreter's own.
    pub fn forward<O: Decode>(&self, ops: &mut O) -> Result<O::Value, O::Error> {
        let tokens = self.decoder.forward(ops, Reach::Tokens)?;
        let asked = ops.marked(&tokens)?;
        let logits = match &self.head {
            Some(head) => ops.linear(head, &asked)?,
            None => ops.decode(self.decoder.words(), None, &asked)?,
        };
        match self.soft_cap {
            Some(cap) => ops.unary(UnaryOp::SoftCap(cap), &logits),
            None => Ok(logits),
        }
    }
}

fn head(config: &DecoderConfig) -> Option<Linear> {
    let (inputs, outputs, init) = (config.hidden_size, config.vocab_size, config.init());
    (!config.tied()).then(|| Linear { name: "lm_head".to_owned(), inputs, outputs, bias: false, init })
}
