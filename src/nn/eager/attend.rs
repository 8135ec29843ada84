//! Attention and positions: what an interpreter does differently when a cache holds the past.

use std::sync::Arc;

use super::{Eager, NnError, Numbers, Path, Rows, of_tokens, width_is};
use crate::nn::cache::{KvCache, Reading};
use crate::nn::kernels::{attention, rotate};
use crate::nn::{Attention, Direction, Mode, Rotary, composite};

impl Eager<'_> {
    /// Reads the batch's texts as continuations of a cache's sequences, text `i` of sequence `i`, or
    /// begins sequences where the cache is empty: positions go on from the cache's lengths, and
    /// attention looks at what was read before too.
    ///
    /// # Errors
    /// [`NnError::Rows`] in training, and unless there is a text a sequence.
    pub fn with_cache(mut self, cache: KvCache) -> Result<Self, NnError> {
        if self.mode != Mode::Eval {
            return Err(NnError::rows("a cache", "an interpreter in evaluation", "one in training"));
        }
        let reading = Reading::new(cache, self.batch.texts());
        self.batch = Arc::new(self.batch.with_past(reading.lengths())?);
        self.cache = Some(reading);
        Ok(self)
    }

    /// The cache with the batch's tokens in it; `None` without one, or before the network has run
    /// to its end.
    #[must_use]
    pub fn into_cache(self) -> Option<KvCache> {
        let batch = self.batch;
        self.cache.and_then(|reading| reading.finish(&batch))
    }

    pub(super) fn attend(&mut self, shape: &Attention, query: &Rows, key: &Rows, value: &Rows) -> Result<Rows, NnError> {
        check(shape)?;
        width_is("attention", query, shape.heads * shape.head_width)?;
        for x in [key, value] {
            width_is("attention", x, shape.key_heads * shape.head_width)?;
        }
        of_tokens("attention keys", key)?;
        of_tokens("attention values", value)?;
        let op = attention::Attention {
            batch: self.batch.clone(),
            queries: query.kind,
            heads: shape.heads,
            key_heads: shape.key_heads,
            head_width: shape.head_width,
            scale: shape.scale as f32,
            direction: shape.direction,
            window: shape.window,
            soft_cap: shape.soft_cap.map(|cap| cap as f32),
            dropout: self.next_place(shape.dropout)?,
        };
        let numbers = match (self.path, self.cache.is_some()) {
            (_, true) => self.attend_cached(&op, query, key, value)?,
            (Path::Kernels, false) => Numbers::Node(self.tape.attention(query.node()?, key.node()?, value.node()?, op)),
            (Path::Composite, false) => Numbers::Tensor(composite::attention(&op, query.tensor()?, key.tensor()?, value.tensor()?)?),
        };
        Ok(self.rows(query.kind, query.width, numbers))
    }

    fn attend_cached(&mut self, op: &attention::Attention, query: &Rows, key: &Rows, value: &Rows) -> Result<Numbers, NnError> {
        if op.direction == Direction::Both {
            return Err(NnError::rows("a cache", "an attention that looks at the past", "one that looks both ways"));
        }
        let Some(reading) = &mut self.cache else { unreachable!("asked for with a cache; this is a bug") };
        let shape = (op.key_heads, op.head_width);
        Ok(match self.path {
            Path::Kernels => {
                let (q, k, v) = (query.node()?, key.node()?, value.node()?);
                let pages = reading.extend(&self.batch, shape, [&k.values, &v.values])?;
                let mut out = self.tape.spare.take(q.values.len());
                op.forward_cached(&mut out, &q.values, &pages);
                Numbers::Node(self.tape.leaf(Arc::new(out)))
            }
            Path::Composite => {
                let [k, v] = reading.extend_tensors(&self.batch, shape, [key.tensor()?, value.tensor()?])?;
                Numbers::Tensor(composite::attention(op, query.tensor()?, &k, &v)?)
            }
        })
    }

    /// The cosines and sines of the positions in the batch.
    pub(super) fn rotation(&mut self, rotary: &Rotary) -> rotate::Rotation {
        let first = self.batch.positions().min().unwrap_or(0);
        let found = self.angles.iter().find(|(known, _)| known == rotary).map(|(_, angles)| angles.clone());
        let angles = found.unwrap_or_else(|| {
            let end = self.batch.positions().max().map_or(0, |last| last + 1);
            let angles = Arc::new(rotate::angles(first..end, &rotary.speeds()));
            self.angles.push((*rotary, angles.clone()));
            angles
        });
        rotate::Rotation { batch: self.batch.clone(), head_width: rotary.head_width, first, angles }
    }
}

fn check(shape: &Attention) -> Result<(), NnError> {
    let refused = |what, expected, found: String| Err(NnError::Setting { what, expected, found });
    if shape.key_heads == 0 || !shape.heads.is_multiple_of(shape.key_heads) {
        let found = format!("{} of {} heads", shape.key_heads, shape.heads);
        return refused("key heads", "a divisor of the heads", found);
    }
    if shape.scale <= 0.0 {
        return refused("an attention's scale", "above 0", shape.scale.to_string());
    }
    if let Some(cap) = shape.soft_cap.filter(|cap| *cap <= 0.0) {
        return refused("an attention's soft cap", "above 0", cap.to_string());
    }
    if shape.direction == Direction::Past && shape.window == Some(0) {
        return refused("a causal window", "at least 1", "0".to_owned());
    }
    Ok(())
}
