//! What a low-rank adapter is: its rank and scale, and which layers carry it.

use std::collections::BTreeSet;

use crate::nn::{Linear, NnError};

/// The settings of a low-rank adapter, by the names that `peft` gives them.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraConfig {
    /// Rank of the two matrices, at least 1 (`r`).
    pub rank: usize,
    /// What the product is scaled by, before it is divided by the rank; above 0 (`lora_alpha`).
    pub alpha: f64,
    /// Probability that a number of the adapter's input is dropped in training, in `[0, 1)` (`lora_dropout`).
    pub dropout: f64,
    /// Whether alpha is divided by the root of the rank instead (Kalajdzievski 2023, arXiv:2312.03732; `use_rslora`).
    pub rs_lora: bool,
    /// Which dense layers carry the adapter (`target_modules`).
    pub targets: Targets,
    /// Which biases are trained along (`bias`).
    pub bias: LoraBias,
    /// Layers that are trained whole and kept with the adapter, by the end of their paths (`modules_to_save`):
    /// a classifier's head. Where any is named, at least one has to be there.
    pub modules_to_save: Vec<String>,
}

/// Which dense layers carry an adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// Those of these paths, or whose paths end in a dot and one of them; each has to name a layer.
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

    pub(crate) fn check(&self) -> Result<(), NnError> {
        let checks = [
            ("r", self.rank >= 1, "at least 1", self.rank.to_string()),
            ("lora_alpha", self.alpha > 0.0 && self.alpha.is_finite(), "above 0", self.alpha.to_string()),
            ("lora_dropout", (0.0..1.0).contains(&self.dropout), "at least 0 and below 1", self.dropout.to_string()),
        ];
        match checks.into_iter().find(|(_, right, ..)| !right) {
            None => Ok(()),
            Some((what, _, expected, found)) => Err(NnError::adapter(what, expected, found)),
        }
    }

    /// The layers that carry the adapter, in the order given.
    pub(crate) fn select<'l>(&self, linears: &'l [Linear]) -> Result<Vec<&'l Linear>, NnError> {
        let Targets::Names(names) = &self.targets else { return Ok(linears.iter().collect()) };
        for name in names {
            if !linears.iter().any(|layer| is_at_end(&layer.name, name)) {
                let paths: BTreeSet<&str> = linears.iter().map(|layer| last(&layer.name)).collect();
                let expected = format!("the end of a dense layer's path, such as {}", paths.into_iter().collect::<Vec<_>>().join(", "));
                return Err(NnError::adapter("target_modules", expected, name));
            }
        }
        Ok(linears.iter().filter(|layer| names.iter().any(|name| is_at_end(&layer.name, name))).collect())
    }

    /// Whether a parameter belongs to a layer that is trained whole.
    pub(crate) fn saves(&self, parameter: &str) -> bool {
        let ancestors = parameter.match_indices('.').map(|(dot, _)| &parameter[..dot]);
        ancestors.into_iter().any(|path| self.modules_to_save.iter().any(|module| is_at_end(path, module)))
    }
}

/// Whether a path is `name`, or ends in a dot and it.
fn is_at_end(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn last(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, leaf)| leaf)
}
