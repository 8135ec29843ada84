//! Where a parameter stands between input and output, read off its name.
//!
//! The names are the checkpoints' own, and all families here number their layers as `.layer.3.` or
//! `layers.3.` and say `embeddings` or `embed_tokens` of what lies below them.

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Tables and what normalises them: nearest to the input.
    Embeddings,
    /// This layer, counted from zero at the input.
    Layer(usize),
    /// Above all layers: a last normalisation, a pooler, a head.
    Top,
}

impl Depth {
    /// Of the parameter with this name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let parts: Vec<&str> = name.split('.').collect();
        let number = |pair: &[&str]| if matches!(pair[0], "layer" | "layers") { pair[1].parse().ok() } else { None };
        match parts.windows(2).find_map(number) {
            Some(layer) => Self::Layer(layer),
            None if parts.iter().any(|part| part.ends_with("embeddings") || *part == "embed_tokens") => Self::Embeddings,
            None => Self::Top,
        }
    }
}
