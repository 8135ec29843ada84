//! Which parameters of a network are trained, and how the others are held.

use std::collections::BTreeSet;

use super::Storage;
use crate::nn::{Linear, ParamSpec};

/// How each parameter of a network is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// `None` when everything is trained.
    frozen: Option<Storage>,
    /// Weights of dense layers that are quantised.
    packed: BTreeSet<String>,
    trained: BTreeSet<String>,
}

/// How one parameter is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holding {
    /// `f32`, and moved by an optimiser.
    Trained,
    /// As it was read.
    Frozen(Storage),
}

impl Plan {
    /// Everything is trained.
    #[must_use]
    pub fn trained() -> Self {
        Self { frozen: None, packed: BTreeSet::new(), trained: BTreeSet::new() }
    }

    /// Everything is frozen: the weights of `linears` in `storage`, every other matrix or table as
    /// bfloat16 (as `f32` when that is what `storage` says), vectors as `f32`.
    #[must_use]
    pub fn frozen(storage: Storage, linears: &[Linear]) -> Self {
        let packed = linears.iter().map(|layer| format!("{}.weight", layer.name)).collect();
        Self { frozen: Some(storage), packed, trained: BTreeSet::new() }
    }

    /// As this plan, with these parameters trained, typically a new head's.
    #[must_use]
    pub fn and_trained(mut self, params: &[ParamSpec]) -> Self {
        self.trained.extend(params.iter().map(|spec| spec.name.clone()));
        self
    }

    pub(crate) fn holding(&self, spec: &ParamSpec) -> Holding {
        match self.frozen {
            None => Holding::Trained,
            Some(_) if self.trained.contains(&spec.name) => Holding::Trained,
            Some(_) if spec.shape.len() != 2 => Holding::Frozen(Storage::F32),
            Some(storage) if self.packed.contains(&spec.name) => Holding::Frozen(storage),
            Some(Storage::F32) => Holding::Frozen(Storage::F32),
            Some(_) => Holding::Frozen(Storage::Bf16),
        }
    }
}
