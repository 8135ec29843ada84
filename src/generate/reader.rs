//! [`NextTokens`] of a network: what was read stays in a cache of keys and values, which sequences
//! share as far as they are the same.

use super::{GenerateError, LabelMass, NextTokens, Scores, Width, greedy, label_sets};
use crate::model::CausalLm;
use crate::nn::{Eager, KvCache, Mode, NnError, Weights};
use crate::text::{LabelSpelling, ReadAnswer};

/// A network that reads.
#[derive(Debug)]
pub struct Reader<'a> {
    network: &'a CausalLm,
    weights: &'a Weights,
    context: usize,
    cache: KvCache,
    shared: Option<&'a Shared>,
}

/// What prompts begin with, read once for all of them.
#[derive(Debug)]
pub struct Shared {
    ids: Vec<u32>,
    cache: KvCache,
}

impl Shared {
    /// Reads the tokens that prompts begin with; there may be none.
    ///
    /// # Errors
    /// [`NnError`] when the network refuses them.
    pub fn read(network: &CausalLm, weights: &Weights, ids: &[u32]) -> Result<Self, NnError> {
        let mut reader = Reader::new(network, weights, ids.len());
        if !ids.is_empty() {
            reader.begin(&[ids])?;
        }
        Ok(Self { ids: ids.to_vec(), cache: reader.cache })
    }
}

impl<'a> Reader<'a> {
    /// A reader of a network with its weights, which was made for texts of at most `context` tokens.
    #[must_use]
    pub fn new(network: &'a CausalLm, weights: &'a Weights, context: usize) -> Self {
        Self { network, weights, context, cache: KvCache::new(), shared: None }
    }

    /// Goes on from what was read before where every prompt begins with it.
    #[must_use]
    pub fn beginning_with(self, shared: &'a Shared) -> Self {
        Self { shared: Some(shared).filter(|shared| !shared.ids.is_empty()), ..self }
    }

    /// Reads tokens behind the sequences of a cache; logits behind all of them, or the last of each.
    fn read(&mut self, cache: KvCache, tokens: &[&[u32]], all: bool) -> Result<Scores, NnError> {
        let (mut ids, mut offsets, mut marked) = (Vec::new(), vec![0], Vec::new());
        for tokens in tokens {
            let first = if all { ids.len() } else { ids.len() + tokens.len().saturating_sub(1) };
            ids.extend_from_slice(tokens);
            marked.extend(first..ids.len());
            offsets
                .push(u32::try_from(ids.len()).map_err(|_| NnError::Offsets { ids: ids.len(), found: "more than u32::MAX".to_owned() })?);
        }
        let mut eager = Eager::new(self.weights, Mode::Eval, &ids, &offsets)?.with_marked(marked)?.with_cache(cache)?;
        let logits = self.network.forward(&mut eager)?.to_vec()?;
        self.cache = eager.into_cache().expect("an interpreter that began with a cache has one; this is a bug");
        Ok(Scores::new(self.network.vocabulary(), tokens.iter().map(|tokens| if all { tokens.len() } else { 1 }), logits))
    }
}

impl NextTokens for Reader<'_> {
    type Error = NnError;

    fn begin(&mut self, prompts: &[&[u32]]) -> Result<Scores, NnError> {
        let begun = |shared: &&Shared| prompts.iter().all(|prompt| prompt.len() > shared.ids.len() && prompt.starts_with(&shared.ids));
        match self.shared.filter(begun) {
            None => self.read(KvCache::new(), prompts, false),
            Some(Shared { ids, cache }) => {
                let rest: Vec<&[u32]> = prompts.iter().map(|prompt| &prompt[ids.len()..]).collect();
                self.read(cache.fork(&vec![0; prompts.len()]), &rest, false)
            }
        }
    }

    fn advance(&mut self, parents: &[usize], tokens: &[&[u32]]) -> Result<Scores, NnError> {
        let cache = self.cache.fork(parents);
        self.read(cache, tokens, true)
    }
}

/// How much of the probability behind each prompt lies on each label; each prompt as if it were alone.
///
/// # Errors
/// [`GenerateError::Context`] when a prompt and the longest answer have more tokens than the network
/// has positions, [`GenerateError::NotFinite`] when its logits are no numbers, otherwise its own.
pub fn label_masses(
    reader: &mut Reader<'_>,
    prompts: &[&[u32]],
    spelling: &LabelSpelling,
    width: Width,
) -> Result<Vec<LabelMass>, GenerateError> {
    check_context(reader, prompts, spelling)?;
    let labels = spelling.labels().len();
    let mut masses = Vec::with_capacity(prompts.len());
    for prompt in prompts {
        match &label_sets(reader, prompt, spelling.trie(), width)?[..] {
            [] => return Err(GenerateError::NotFinite),
            sets => masses.push(LabelMass::of(sets, labels)),
        }
    }
    Ok(masses)
}

/// What the network writes behind each prompt when it may write anything, greedily, read strictly.
///
/// # Errors
/// As [`label_masses`].
pub fn read_answers(reader: &mut Reader<'_>, prompts: &[&[u32]], spelling: &LabelSpelling) -> Result<Vec<ReadAnswer>, GenerateError> {
    check_context(reader, prompts, spelling)?;
    let answers = greedy(reader, prompts, spelling.end(), spelling.longest())?;
    Ok(answers.iter().map(|answer| spelling.read(answer)).collect::<Result<_, _>>()?)
}

fn check_context(reader: &Reader<'_>, prompts: &[&[u32]], spelling: &LabelSpelling) -> Result<(), GenerateError> {
    let (answer, context) = (spelling.longest(), reader.context);
    let longest = prompts.iter().map(|prompt| prompt.len()).max().unwrap_or(0);
    if longest + answer > context {
        return Err(GenerateError::Context { prompt: longest, answer, context });
    }
    Ok(())
}
