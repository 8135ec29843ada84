//! Weights begun or read: every parameter packed as its numbers come, a shard at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Var};
use rayon::prelude::*;

use super::checkpoint::Checkpoint;
use super::held::{Entry, Held};
use super::params::{Init, ParamSpec};
use super::random::{fold_name, normal};
use super::storage::{Holding, Packed};
use super::{NnError, Plan, Storage, Weights};

/// What to do about parameters that a checkpoint does not have.
#[derive(Debug, Clone, Copy)]
pub enum Missing<'a> {
    /// Any is an error.
    Refuse,
    /// Those named here begin fresh; any other is an error. A parameter named here that the
    /// checkpoint does have, in the right shape, is read from it.
    Init {
        /// Fresh values grow from this seed and the parameter's name.
        seed: u64,
        /// The parameters that may be fresh, typically a new head's.
        allowed: &'a [ParamSpec],
    },
    /// As [`Missing::Init`], but those named here begin fresh even where the checkpoint has them:
    /// another task's head is of no use.
    Replace {
        /// Fresh values grow from this seed and the parameter's name.
        seed: u64,
        /// The parameters that begin fresh.
        fresh: &'a [ParamSpec],
    },
}

impl Missing<'_> {
    fn may_be_fresh(&self, spec: &ParamSpec) -> bool {
        let (Self::Init { allowed: fresh, .. } | Self::Replace { fresh, .. }) = self else { return false };
        fresh.iter().any(|fresh| fresh.name == spec.name)
    }

    fn seed(&self) -> u64 {
        match self {
            Self::Refuse => 0,
            Self::Init { seed, .. } | Self::Replace { seed, .. } => *seed,
        }
    }
}

impl Weights {
    /// Reads the parameters named by `specs` from a safetensors file's bytes, all to be trained; other
    /// tensors in it are left alone.
    ///
    /// A name is found with or without its family's prefix (`bert.`, `roberta.`, `distilbert.`, `model.`), and
    /// with the old endings `gamma` and `beta` of layer normalisation. F16 and BF16 are widened to
    /// `f32`.
    ///
    /// # Errors
    /// [`NnError::Safetensors`] for other bytes; [`NnError::Missing`], [`NnError::Shape`],
    /// [`NnError::DType`] or [`NnError::NotFinite`] naming the parameter.
    pub fn from_safetensors(bytes: &[u8], specs: &[ParamSpec], missing: Missing<'_>) -> Result<Self, NnError> {
        Self::from_shards([Ok::<_, NnError>(bytes)], specs, missing, &Plan::trained())
    }

    /// As [`Weights::from_safetensors`], from one or several files, each parameter held as `plan` says.
    ///
    /// A shard is let go before the next is asked for, and a frozen matrix is packed as it is read, so
    /// that a network is never in memory as a whole but in the form it is kept in.
    ///
    /// # Errors
    /// As [`Weights::from_safetensors`]; [`NnError::Duplicate`] when a parameter stands in two shards;
    /// the shards' own.
    pub fn from_shards<B: AsRef<[u8]>, E: From<NnError>>(
        shards: impl IntoIterator<Item = Result<B, E>>,
        specs: &[ParamSpec],
        missing: Missing<'_>,
        plan: &Plan,
    ) -> Result<Self, E> {
        let mut begun = Begun::default();
        let replaced = |spec: &ParamSpec| matches!(missing, Missing::Replace { .. }) && missing.may_be_fresh(spec);
        for shard in shards {
            let shard = shard?;
            let file = Checkpoint::parse(shard.as_ref())?;
            for spec in specs.iter().filter(|spec| !replaced(spec)) {
                if let Some(tensor) = file.find(spec)? {
                    begun.hold(spec, plan, |start, out| tensor.read(start, out))?;
                }
            }
        }
        let (fresh, absent): (Vec<_>, Vec<_>) =
            specs.iter().filter(|spec| !begun.has(&spec.name)).partition(|spec| missing.may_be_fresh(spec));
        if !absent.is_empty() {
            return Err(missing_error(&absent).into());
        }
        fresh.into_iter().try_for_each(|spec| begun.begin(spec, missing.seed(), plan))?;
        Ok(begun.finish())
    }

    /// Every parameter fresh, as its [`Init`] says, from `seed` and its name alone: adding a
    /// parameter to a network changes no other. All are trained.
    ///
    /// # Errors
    /// [`NnError::Duplicate`] when a name stands twice.
    pub fn init(specs: &[ParamSpec], seed: u64) -> Result<Self, NnError> {
        Self::init_as(specs, seed, &Plan::trained())
    }

    /// As [`Weights::init`], each parameter held as `plan` says, and packed as it is made.
    ///
    /// # Errors
    /// [`NnError::Duplicate`] when a name stands twice.
    pub fn init_as(specs: &[ParamSpec], seed: u64, plan: &Plan) -> Result<Self, NnError> {
        let mut begun = Begun::default();
        specs.iter().try_for_each(|spec| begun.begin(spec, seed, plan))?;
        Ok(begun.finish())
    }
}

fn missing_error(absent: &[&ParamSpec]) -> NnError {
    let shown = absent.iter().take(5).map(|spec| spec.name.as_str()).collect::<Vec<_>>().join(", ");
    let names = if absent.len() > 5 { format!("{shown}, ...") } else { shown };
    NnError::Missing { count: absent.len(), names }
}

/// The parameters so far.
#[derive(Default)]
struct Begun(BTreeMap<String, (Vec<usize>, Held)>);

impl Begun {
    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Takes one in, whose numbers `read` writes in ascending order.
    fn hold(
        &mut self,
        spec: &ParamSpec,
        plan: &Plan,
        mut read: impl FnMut(usize, &mut [f32]) -> Result<(), NnError>,
    ) -> Result<(), NnError> {
        let holding = plan.holding(spec);
        let held = match holding {
            Holding::Trained | Holding::Frozen(Storage::F32) => {
                let mut values = vec![0.0; spec.shape.iter().product()];
                read(0, &mut values)?;
                Held::Whole { var: Var::from_vec(values, &spec.shape[..], &Device::Cpu)?, trained: holding == Holding::Trained }
            }
            Holding::Frozen(storage) => Held::Packed(Arc::new(Packed::new(storage, [spec.shape[0], spec.shape[1]], read)?)),
        };
        match self.0.insert(spec.name.clone(), (spec.shape.clone(), held)) {
            None => Ok(()),
            Some(_) => Err(NnError::Duplicate { name: spec.name.clone() }),
        }
    }

    /// Takes a fresh one in.
    fn begin(&mut self, spec: &ParamSpec, seed: u64, plan: &Plan) -> Result<(), NnError> {
        let key = fold_name(seed, &spec.name);
        self.hold(spec, plan, |start, out| {
            match spec.init {
                Init::Zeros => out.fill(0.0),
                Init::Ones => out.fill(1.0),
                Init::Normal(deviation) => out.par_iter_mut().enumerate().for_each(|(at, out)| {
                    *out = (normal(key, (start + at) as u64) * deviation) as f32;
                }),
            }
            Ok(())
        })
    }

    fn finish(self) -> Weights {
        let entries = self.0.into_iter().map(|(name, (shape, held))| Entry { name, shape, held }).collect();
        Weights::from_sorted(entries, Device::Cpu)
    }
}
