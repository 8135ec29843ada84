//! Low-rank adapters (Hu et al. 2021, arXiv:2106.09685): what they are, how they begin, and their files,
//! which are those of Hugging Face's `peft`.
//!
//! A network knows nothing of them: [`Weights`](super::Weights) looks a dense layer up by name and finds
//! the base weight with the two matrices beside it.
//!
//! | to | use |
//! |---|---|
//! | begin one | [`Weights::with_adapter`](super::Weights::with_adapter) |
//! | take one out of trained weights | [`PeftAdapter::of`] |
//! | write it, read it | [`PeftAdapter::config_json`] and [`PeftAdapter::to_safetensors`], [`PeftAdapter::parse`] |
//! | put it on a base | [`Weights::with_saved_adapter`](super::Weights::with_saved_adapter) |
//! | fold it into the base | [`Weights::merged`](super::Weights::merged) |

mod attach;
mod config;
mod merge;
mod peft;
mod settings;

pub use config::{LoraBias, LoraConfig, Targets};
pub use peft::PeftAdapter;
pub use settings::PeftTask;

/// The name of the matrix that goes down to the rank, `[rank, inputs]`.
pub(crate) fn down_name(layer: &str) -> String {
    format!("{layer}.lora_A.weight")
}

/// The name of the matrix that comes up from the rank, `[outputs, rank]`.
pub(crate) fn up_name(layer: &str) -> String {
    format!("{layer}.lora_B.weight")
}
