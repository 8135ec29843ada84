//! The numbers that fits begin with, read a file at a time: of a base in several files no more than one
//! is in memory beside the weights that are made of them.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::base::WeightsFormat;
use super::learner::network;
use super::{TrainError, files};
use crate::nn::{Missing, NnError, ParamSpec, Plan, Weights, pickle_to_safetensors};

/// A checkpoint's numbers, with the checkpoint's own names.
#[derive(Debug, Clone)]
pub(super) enum Shards {
    /// Files on this disk, at least one.
    Files { paths: Vec<PathBuf>, format: WeightsFormat },
    /// One safetensors file, in memory.
    Whole(Arc<[u8]>),
}

/// What reading them can fail with.
struct Refused(TrainError);

impl From<NnError> for Refused {
    fn from(source: NnError) -> Self {
        Self(network("base model")(source))
    }
}

impl Shards {
    /// The parameters as a network asks for them, each held as `plan` says.
    pub(super) fn weights(&self, params: &[ParamSpec], missing: Missing<'_>, plan: &Plan) -> Result<Weights, TrainError> {
        let read = |at| self.shard(at).map_err(Refused);
        Weights::from_shards((0..self.count()).map(read), params, missing, plan).map_err(|Refused(error)| error)
    }

    /// `sha256:` of the files as they are, end to end.
    pub(super) fn digest(&self) -> Result<String, TrainError> {
        let mut hash = Sha256::new();
        match self {
            Self::Files { paths, .. } => paths.iter().try_for_each(|path| files::read(path).map(|bytes| hash.update(bytes)))?,
            Self::Whole(bytes) => hash.update(bytes),
        }
        Ok(format!("sha256:{:x}", hash.finalize()))
    }

    fn count(&self) -> usize {
        if let Self::Files { paths, .. } = self { paths.len() } else { 1 }
    }

    fn shard(&self, at: usize) -> Result<Cow<'_, [u8]>, TrainError> {
        match self {
            Self::Whole(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Files { paths, format: WeightsFormat::Safetensors } => files::read(&paths[at]).map(Cow::Owned),
            Self::Files { paths, format: WeightsFormat::Pickle } => {
                let path = &paths[at];
                pickle_to_safetensors(&files::read(path)?).map(Cow::Owned).map_err(network(&path.display().to_string()))
            }
        }
    }
}
