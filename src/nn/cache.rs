//! Keys and values of what was read so far, so that a text is continued without reading it again.
//!
//! With kernels they lie in pages of a few tokens, for all layers together. A page is shared by
//! every sequence that begins with its tokens; a sequence that writes into a page which others hold
//! copies that one page first (Kwon et al. 2023, arXiv:2309.06180). Elsewhere they are tensors, which
//! a sequence shares with those it was forked into until it is continued.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::Tensor;

use super::NnError;
use super::kernels::cached::{PAGE, Pages};
use super::ragged::{Ragged, RowKind};

/// Keys and values of the sequences that a network has read.
///
/// [`Eager::with_cache`](super::Eager::with_cache) reads the next tokens of every sequence,
/// [`Eager::into_cache`](super::Eager::into_cache) gives back the cache with them.
#[derive(Debug, Default)]
pub struct KvCache {
    /// Key heads and head width of every layer, in the order of the network's attentions.
    layers: Vec<Shape>,
    sequences: Vec<Sequence>,
}

/// Key heads, and the width of one.
type Shape = (usize, usize);

#[derive(Debug, Clone, Default)]
struct Sequence {
    length: usize,
    /// The pages of its tokens; each holds every layer.
    pages: Vec<Arc<Vec<Pages>>>,
    /// Elsewhere than in the processor's memory: keys and values, `[length, width]`, a pair a layer.
    tensors: Vec<[Tensor; 2]>,
}

impl KvCache {
    /// A cache of nothing: the first batch read with it begins its sequences.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tokens of every sequence.
    #[must_use]
    pub fn lengths(&self) -> Vec<usize> {
        self.sequences.iter().map(|sequence| sequence.length).collect()
    }

    /// Sequences of which number `i` goes on where number `rows[i]` of this cache stands: one named
    /// twice is forked, one not named is left out.
    ///
    /// # Panics
    /// When a row is no sequence of this cache.
    #[must_use]
    pub fn fork(&self, rows: &[usize]) -> Self {
        Self { layers: self.layers.clone(), sequences: rows.iter().map(|&row| self.sequences[row].clone()).collect() }
    }

    /// Bytes held; what sequences share counts once.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let size = |page: &Vec<Pages>| page.iter().map(|layer| 4 * (layer.keys.len() + layer.values.len())).sum::<usize>();
        let pages = self.sequences.iter().flat_map(|sequence| &sequence.pages);
        let held: BTreeMap<_, _> = pages.map(|page| (Arc::as_ptr(page), size(page))).collect();
        let tensors = self.sequences.iter().flat_map(|sequence| sequence.tensors.iter().flatten());
        let tensors: BTreeMap<_, _> = tensors.map(|tensor| (format!("{:?}", tensor.id()), 4 * tensor.elem_count())).collect();
        held.values().sum::<usize>() + tensors.values().sum::<usize>()
    }
}

/// A cache while a batch is read with it.
#[derive(Debug)]
pub(crate) struct Reading {
    cache: KvCache,
    /// Whether this batch begins the sequences.
    fresh: bool,
    /// Attentions passed so far.
    passed: usize,
}

impl Reading {
    /// Begins as many sequences as there are texts where the cache is empty.
    pub(crate) fn new(mut cache: KvCache, texts: usize) -> Self {
        let fresh = cache.sequences.is_empty();
        if fresh {
            cache = KvCache { layers: Vec::new(), sequences: vec![Sequence::default(); texts] };
        }
        Self { cache, fresh, passed: 0 }
    }

    pub(crate) fn lengths(&self) -> Vec<usize> {
        self.cache.lengths()
    }

    /// The cache with the batch in it, if every layer was passed.
    pub(crate) fn finish(mut self, batch: &Ragged) -> Option<KvCache> {
        for (text, sequence) in self.cache.sequences.iter_mut().enumerate() {
            sequence.length = batch.keys(text);
        }
        (self.passed == self.cache.layers.len()).then_some(self.cache)
    }

    /// The number of the next layer, which must have the shape it had.
    fn next(&mut self, shape: Shape) -> Result<usize, NnError> {
        let layer = self.passed;
        self.passed += 1;
        if self.fresh {
            self.cache.layers.push(shape);
        }
        match self.cache.layers.get(layer) {
            Some(found) if *found == shape => Ok(layer),
            found => {
                let expected = format!("{shape:?} as (key heads, head width) of layer {layer}");
                Err(NnError::rows("a cache", expected, found.map_or_else(|| "no such layer".to_owned(), |found| format!("{found:?}"))))
            }
        }
    }

    /// Puts the next layer's rows of the batch's tokens into pages; a text's pages in order.
    pub(crate) fn extend(&mut self, batch: &Ragged, shape: Shape, [key, value]: [&[f32]; 2]) -> Result<Vec<Vec<&Pages>>, NnError> {
        let (layer, width) = (self.next(shape)?, shape.0 * shape.1);
        for (text, sequence) in self.cache.sequences.iter_mut().enumerate() {
            if !sequence.tensors.is_empty() {
                return Err(NnError::rows("a cache", "one of this interpreter", "one of candle's operations"));
            }
            for (place, row) in (batch.past(text)..).zip(batch.range(RowKind::Tokens, text)) {
                if sequence.pages.len() == place / PAGE {
                    sequence.pages.push(Arc::default());
                }
                let page = Arc::make_mut(&mut sequence.pages[place / PAGE]);
                if page.len() == layer {
                    page.push(Pages::new(width));
                }
                let [key, value] = [key, value].map(|rows| &rows[row * width..][..width]);
                page[layer].put(place % PAGE, shape.1, key, value);
            }
        }
        Ok(self.cache.sequences.iter().map(|sequence| sequence.pages.iter().map(|page| &page[layer]).collect()).collect())
    }

    /// The next layer's keys and values of all sequences, end to end, with the batch's.
    pub(crate) fn extend_tensors(&mut self, batch: &Ragged, shape: Shape, new: [&Tensor; 2]) -> Result<[Tensor; 2], NnError> {
        let layer = self.next(shape)?;
        let mut all = [Vec::new(), Vec::new()];
        for (text, sequence) in self.cache.sequences.iter_mut().enumerate() {
            if !sequence.pages.is_empty() {
                return Err(NnError::rows("a cache", "one of this interpreter", "one of the kernels"));
            }
            let range = batch.range(RowKind::Tokens, text);
            let [key, value] = new.map(|rows| rows.narrow(0, range.start, range.len()));
            let mut both = [key?, value?];
            if let Some(old) = sequence.tensors.get(layer) {
                both = [Tensor::cat(&[&old[0], &both[0]], 0)?, Tensor::cat(&[&old[1], &both[1]], 0)?];
                sequence.tensors[layer].clone_from(&both);
            } else {
                sequence.tensors.push(both.clone());
            }
            let [key, value] = both;
            all[0].push(key);
            all[1].push(value);
        }
        Ok([Tensor::cat(&all[0], 0)?, Tensor::cat(&all[1], 0)?])
    }
}
