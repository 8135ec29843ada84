//! How one parameter is held, and what an operation gets to see of it.

use std::sync::Arc;

use candle_core::{Device, Var};

use super::NnError;
use super::storage::{OnDevice, Packed};

/// One named parameter.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) held: Held,
}

/// Where a parameter's numbers are.
#[derive(Debug, Clone)]
pub(crate) enum Held {
    /// `f32`; an optimiser moves it where it is trained.
    Whole { var: Var, trained: bool },
    /// Frozen, in the processor's memory.
    Packed(Arc<Packed>),
    /// Frozen, in another device's.
    OnDevice(Arc<OnDevice>),
}

impl Entry {
    /// The variable, if an optimiser moves it.
    pub(crate) fn trained(&self) -> Option<&Var> {
        match &self.held {
            Held::Whole { var, trained: true } => Some(var),
            _ => None,
        }
    }

    /// Numbers in it.
    pub(crate) fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        match &self.held {
            Held::Whole { .. } => size_of::<f32>() * self.count(),
            Held::Packed(packed) => packed.memory(),
            Held::OnDevice(held) => held.memory(),
        }
    }

    /// The same numbers in a device's memory.
    pub(crate) fn to_device(&self, device: &Device) -> Result<Self, NnError> {
        let held = match &self.held {
            Held::Whole { var, trained } => {
                let var = Var::from_tensor(&var.as_detached_tensor().to_device(device)?.copy()?)?;
                Held::Whole { var, trained: *trained }
            }
            Held::Packed(packed) if device.is_cpu() => Held::Packed(packed.clone()),
            Held::Packed(packed) => Held::OnDevice(Arc::new(OnDevice::new(packed, device)?)),
            Held::OnDevice(held) if held.device().same_device(device) => Held::OnDevice(held.clone()),
            Held::OnDevice(_) => {
                let expected = "the processor's memory, or the same device";
                return Err(NnError::Setting { what: "where frozen weights lie", expected, found: "another device".to_owned() });
            }
        };
        Ok(Self { name: self.name.clone(), shape: self.shape.clone(), held })
    }
}

/// A parameter held whole, as an operation uses it: its place among the weights, and its numbers.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) place: usize,
    pub(crate) var: Var,
    /// Whether it gets a gradient.
    pub(crate) trained: bool,
}

/// A matrix or table as an operation uses it.
#[derive(Debug, Clone)]
pub(crate) enum Stored {
    Whole(Parameter),
    Packed(Arc<Packed>),
    OnDevice(Arc<OnDevice>),
}

impl Stored {
    /// Rows and columns.
    pub(crate) fn dims(&self) -> (usize, usize) {
        match self {
            Self::Whole(parameter) => (parameter.var.dims()[0], parameter.var.dims()[1]),
            Self::Packed(packed) => (packed.rows(), packed.columns()),
            Self::OnDevice(held) => (held.rows, held.columns),
        }
    }
}

/// What a dense layer's name leads to.
#[derive(Debug)]
pub(crate) struct LinearWeights {
    pub(crate) weight: Stored,
    pub(crate) bias: Option<Parameter>,
    pub(crate) adapter: Option<LowRank>,
}

/// The two matrices beside a dense layer's weight: it is `W + scale * up down`.
#[derive(Debug)]
pub(crate) struct LowRank {
    /// `[rank, inputs]`.
    pub(crate) down: Parameter,
    /// `[outputs, rank]`.
    pub(crate) up: Parameter,
    pub(crate) scale: f32,
    /// Probability that a number of its input is dropped in training.
    pub(crate) dropout: f64,
}
