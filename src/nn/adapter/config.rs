//! What a low-rank adapter is: its rank and scale, and which layers carry it.

/// The settings of a low-rank adapter, by the names that `peft` gives them.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraConfig {
    /// Rank of the two matrices, at least 1 (`r`).
    pub rank: usize,
    /// What the product is scaled by, before it is divided by the rank (`lora_alpha`).
    pub alpha: f64,
    /// Probability that a number of the adapter's input is dropped in training, in `[0, 1)` (`lora_dropout`).
    pub dropout: f64,
    /// Whether alpha is divided by the root of the rank instead (Kalajdzievski 2023, arXiv:2312.03732; `use_rslora`).
    pub rs_lora: bool,
    /// Which dense layers carry the adapter (`target_modules`).
    pub targets: Targets,
    /// Which biases are trained along (`bias`).
    pub bias: LoraBias,
    /// Layers that are trained whole and kept with the adapter, by the end of their names (`modules_to_save`):
    /// a classifier's head. Of several at least one has to be there.
    pub modules_to_save: Vec<String>,
}

/// Which dense layers carry an adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// Those of these names, or whose names end in a dot and one of them; each has to name a layer.
    Names(Vec<String>),
    /// All, as `peft`'s `all-linear`.
    AllLinear,
}

/// Which biases are trained along with an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoraBias {
    /// None.
    None,
    /// Every bias of the network.
    All,
    /// Those of the layers that carry the adapter.
    LoraOnly,
}

impl LoraConfig {
    /// What the product of the two matrices is multiplied by.
    #[must_use]
    pub fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.rs_lora { rank.sqrt() } else { rank }
    }
}
