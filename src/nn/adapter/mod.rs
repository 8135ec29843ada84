//! Low-rank adapters (Hu et al. 2021, arXiv:2106.09685): what they are, how they begin, and their files,
//! which are those of Hugging Face's `peft`.
//!
//! A network knows nothing of them: [`Weights`](super::Weights) looks a dense layer up by name and finds
//! the base weight with the two matrices beside it.

mod config;

pub use config::{LoraBias, LoraConfig, Targets};

/// An adapter as `peft` keeps it: its configuration and its numbers.
///
/// | to | use |
/// |---|---|
/// | begin one | `Weights::with_adapter(self, linears: &[Linear], config: &LoraConfig, seed: u64) -> Result<Weights, NnError>` |
/// | take one out of trained weights | `PeftAdapter::of(weights: &Weights, base: &str) -> Result<PeftAdapter, NnError>` |
/// | write it | `adapter.config_json() -> String`, `adapter.to_safetensors() -> Result<Vec<u8>, NnError>` |
/// | read it | `PeftAdapter::parse(config_json: &str, safetensors: &[u8]) -> Result<PeftAdapter, NnError>` |
/// | put it on a base | `Weights::with_saved_adapter(self, linears: &[Linear], adapter: &PeftAdapter) -> Result<Weights, NnError>` |
/// | fold it into the base | `Weights::merged(&self, storage: Storage /* F32 or Bf16 */) -> Result<Weights, NnError>` |
#[derive(Debug, Clone, PartialEq)]
pub struct PeftAdapter {
    /// What `base_model_name_or_path` says.
    pub base: String,
    /// What the adapter is.
    pub config: LoraConfig,
}
