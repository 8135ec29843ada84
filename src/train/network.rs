//! The networks that a run fits, whichever way they tell labels: by a head that scores each, or by
//! writing a list of them.

use super::TrainError;
use super::learner::network as failed;
use super::recipe::Recipe;
use super::shards::Shards;
use crate::bundle::Generation;
use crate::generate::{Reader, Shared, Width};
use crate::model::{CausalLm, MaskedLm, SequenceClassifier};
use crate::nn::{self, Eager, Linear, LoraConfig, Missing, NnError, ParamSpec, Plan, Weights};
use crate::text::LabelSpelling;

/// What tells labels of texts.
#[derive(Debug)]
pub(super) enum Teller {
    /// A head scores each label.
    Head(Box<SequenceClassifier>),
    /// A language model writes a list of them.
    Writer(Box<Writer>),
}

/// A language model, and how it is asked and read.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) network: CausalLm,
    /// Tokens that it has positions for.
    pub(super) context: usize,
    pub(super) spelling: LabelSpelling,
    pub(super) generation: Generation,
}

impl Writer {
    /// A reader that goes on from what all prompts begin with.
    pub(super) fn reader<'a>(&'a self, weights: &'a Weights, beginning: &'a Shared) -> Reader<'a> {
        Reader::new(&self.network, weights, self.context).beginning_with(beginning)
    }

    /// How widely it is searched for labels.
    pub(super) fn width(&self) -> Width {
        Width { beams: self.generation.beams, negligible: self.generation.negligible }
    }
}

impl Teller {
    pub(super) fn network(&self) -> Network<'_> {
        match self {
            Self::Head(network) => Network::Labels(network),
            Self::Writer(writer) => Network::Lists(writer),
        }
    }

    /// The head's network; stages and further labels are for heads alone, which recipes see to.
    pub(super) fn head(&self) -> &SequenceClassifier {
        match self {
            Self::Head(network) => network,
            Self::Writer(_) => unreachable!("recipes ask this of heads alone; this is a bug"),
        }
    }
}

/// What learns, or answers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Network<'a> {
    /// Labels of texts.
    Labels(&'a SequenceClassifier),
    /// Words in their place.
    Words(&'a MaskedLm),
    /// Lists of labels behind a prompt.
    Lists(&'a Writer),
}

impl Network<'_> {
    pub(super) fn params(self) -> Vec<ParamSpec> {
        match self {
            Self::Labels(network) => network.params(),
            Self::Words(network) => network.params(),
            Self::Lists(writer) => writer.network.params(),
        }
    }

    /// Parameters that a checkpoint may lack.
    pub(super) fn head_params(self) -> Vec<ParamSpec> {
        match self {
            Self::Labels(network) => network.head_params(),
            Self::Words(network) => network.head_params(),
            Self::Lists(_) => Vec::new(),
        }
    }

    /// The dense layers that may carry an adapter.
    fn linears(self) -> Vec<Linear> {
        match self {
            Self::Labels(network) => network.linears(),
            Self::Words(_) => Vec::new(),
            Self::Lists(writer) => writer.network.linears(),
        }
    }

    /// Logits of texts, or of the tokens asked about.
    pub(super) fn forward(self, ops: &mut Eager<'_>) -> Result<nn::Rows, NnError> {
        match self {
            Self::Labels(network) => network.forward(ops),
            Self::Words(network) => network.forward(ops),
            Self::Lists(writer) => writer.network.forward(ops),
        }
    }

    /// The weights that a fit begins with: those of the base with a fresh head, all of which learn, or
    /// the base frozen with a fresh adapter, which learns with the head.
    pub(super) fn begin(self, base: &Shards, recipe: &Recipe) -> Result<Weights, TrainError> {
        let (params, head, seed) = (self.params(), self.head_params(), recipe.train.seed);
        let missing = match self {
            Self::Labels(_) => Missing::Replace { seed, fresh: &head },
            Self::Words(_) => Missing::Init { seed, allowed: &head },
            Self::Lists(_) => Missing::Refuse,
        };
        let Some(adapter) = &recipe.adapter else { return base.weights(&params, missing, &Plan::trained()) };
        let linears = self.linears();
        let plan = Plan::frozen(recipe.storage, &linears).and_trained(&head);
        let weights = base.weights(&params, missing, &plan)?;
        weights.with_adapter(&linears, &saving(adapter, &head), seed).map_err(failed("adapter"))
    }
}

/// The adapter with the head's layers among those that are trained and kept whole.
fn saving(adapter: &LoraConfig, head: &[ParamSpec]) -> LoraConfig {
    let mut config = adapter.clone();
    for name in head.iter().filter_map(|spec| Some(spec.name.rsplit_once('.')?.0)) {
        if !config.modules_to_save.iter().any(|module| module == name) {
            config.modules_to_save.push(name.to_owned());
        }
    }
    config
}
