//! What tells the families of decoders from each other, as data.

use crate::spec::Architecture;

/// Which layers of a family look through a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Windows {
    /// None.
    None,
    /// Those from `max_window_layers` on, where `use_sliding_window` says so.
    Upper,
    /// Every other one, the first among them.
    Alternate,
}

/// A family, beside what its configurations state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Family {
    /// Whether a language model's last layer is the word table where its configuration says nothing.
    pub(super) tied: bool,
    /// Width of a head where its configuration says nothing; else the heads share the token's width.
    pub(super) head_width: Option<usize>,
    /// Whether queries, keys and values have a bias, and the attention's output none, whatever the
    /// configuration says.
    pub(super) query_bias: bool,
    /// Whether the feed-forward block may have biases.
    pub(super) mlp_bias: bool,
    /// Whether the heads of queries and keys are normalised.
    pub(super) head_norms: bool,
    /// Gemma's ways: embeddings times the root of their width, normalisations by one plus the weight.
    pub(super) gemma: bool,
    /// Gemma 2's: both blocks' outputs normalised too, scores and logits bounded.
    pub(super) capped: bool,
    /// Which layers look through a window.
    pub(super) windows: Windows,
}

const LLAMA: Family = Family {
    tied: false,
    head_width: None,
    query_bias: false,
    mlp_bias: true,
    head_norms: false,
    gemma: false,
    capped: false,
    windows: Windows::None,
};
const QWEN2: Family = Family { query_bias: true, mlp_bias: false, windows: Windows::Upper, ..LLAMA };
const QWEN3: Family = Family { head_width: Some(128), head_norms: true, query_bias: false, ..QWEN2 };
const GEMMA: Family = Family { tied: true, head_width: Some(256), mlp_bias: false, gemma: true, ..LLAMA };
const GEMMA2: Family = Family { capped: true, windows: Windows::Alternate, ..GEMMA };

impl Family {
    /// Of a decoder.
    pub(super) fn of(architecture: Architecture) -> Option<Self> {
        match architecture {
            Architecture::Llama => Some(LLAMA),
            Architecture::Qwen2 => Some(QWEN2),
            Architecture::Qwen3 => Some(QWEN3),
            Architecture::Gemma => Some(GEMMA),
            Architecture::Gemma2 => Some(GEMMA2),
            Architecture::Bert | Architecture::Roberta | Architecture::DistilBert | Architecture::ModernBert => None,
        }
    }
}
