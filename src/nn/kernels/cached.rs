//! Attention of new queries over the keys and values of a cache, which lie in pages.
//!
//! A page holds [`PAGE`] tokens. Its keys stand as columns, `[key_heads, head_width, PAGE]`, so that
//! the scores of a query are sums of whole registers; its values as rows, `[key_heads, PAGE,
//! head_width]`. Every score, sum and product is taken in the order of
//! [`Attention::forward`](super::attention::Attention::forward), so that a text read token by token
//! has the numbers, bit for bit, of one read at once.

use std::ops::Range;

use super::attention::{Attention, bound, softmax};
use super::matmul::{Into, Left, strided_body};
use super::simd::{LANES, dispatch};

/// Tokens a page.
pub(crate) const PAGE: usize = 2 * LANES;

/// One layer's part of a page. Places of no token yet hold zeros, or what an abandoned pass left.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    pub(crate) keys: Vec<f32>,
    pub(crate) values: Vec<f32>,
}

impl Pages {
    /// An empty page of `width = key_heads * head_width`.
    pub(crate) fn new(width: usize) -> Self {
        Self { keys: vec![0.0; width * PAGE], values: vec![0.0; width * PAGE] }
    }

    /// Puts a token's rows of keys and values at a place.
    pub(crate) fn put(&mut self, place: usize, head_width: usize, key: &[f32], value: &[f32]) {
        let heads = key.chunks_exact(head_width).zip(value.chunks_exact(head_width));
        let pages = self.keys.chunks_exact_mut(head_width * PAGE).zip(self.values.chunks_exact_mut(head_width * PAGE));
        for ((key, value), (keys, values)) in heads.zip(pages) {
            for (keys, key) in keys.chunks_exact_mut(PAGE).zip(key) {
                keys[place] = *key;
            }
            values[place * head_width..][..head_width].copy_from_slice(value);
        }
    }
}

/// Rows of one text that share a key head and are computed together.
#[derive(Debug, Clone)]
struct Rows {
    /// The first number of the first row, and from row to row.
    at: usize,
    step: usize,
    count: usize,
    /// The query that the first row is; the following rows are the next queries, or other heads of it.
    query: usize,
    one_query: bool,
    text: usize,
    key_head: usize,
    /// Keys that any row looks at, from a whole register on.
    keys: Range<usize>,
}

impl Attention {
    /// The rows of `out`, one a query, of texts whose tokens so far, with those of the batch, lie in
    /// these pages, a list a text.
    pub(crate) fn forward_cached(&self, out: &mut [f32], q: &[f32], pages: &[Vec<&Pages>]) {
        let mut scores = Vec::new();
        for (text, pages) in pages.iter().enumerate() {
            for rows in self.rows_of(text) {
                cached(out, q, self, pages, rows, &mut scores);
            }
        }
    }

    /// A text's rows: the heads of a single query side by side, many queries head by head.
    fn rows_of(&self, text: usize) -> Vec<Rows> {
        let queries = self.batch.range(self.queries, text);
        let (width, head_width, group) = (self.heads * self.head_width, self.head_width, self.group());
        let mut runs = Vec::new();
        for (part, keys) in self.parts(text) {
            let at = (queries.start + part.start) * width;
            let rows = |at, step, count, head: usize| Rows {
                at: at + head * head_width,
                step,
                count,
                query: part.start,
                one_query: part.len() == 1,
                text,
                key_head: head / group,
                keys: keys.clone(),
            };
            if part.len() == 1 {
                runs.extend((0..self.key_heads).map(|head| rows(at, head_width, group, head * group)));
            } else {
                runs.extend((0..self.heads).map(|head| rows(at, width, part.len(), head)));
            }
        }
        runs
    }
}

dispatch! {
    /// `out = softmax(q k^T * scale) v` for some rows.
    fn cached(out: &mut [f32], q: &[f32], op: &Attention, pages: &[&Pages], rows: Rows, scores: &mut Vec<f32>) = cached_body
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel takes slices and sizes")]
fn cached_body<const FUSED: bool>(out: &mut [f32], q: &[f32], op: &Attention, pages: &[&Pages], rows: Rows, scores: &mut Vec<f32>) {
    let head = rows.key_head * op.head_width * PAGE..(rows.key_head + 1) * op.head_width * PAGE;
    let used = rows.keys.start / PAGE..rows.keys.end.div_ceil(PAGE);
    let (first, step) = (used.start * PAGE, used.len() * PAGE);
    scores.resize(rows.count * step, 0.0);
    for (place, page) in pages[used.clone()].iter().enumerate() {
        strided_body::<FUSED>(
            &mut scores[place * PAGE..],
            step,
            Into::Replace,
            rows.count,
            &page.keys[head.clone()],
            PAGE,
            PAGE,
            Left { values: &q[rows.at..], row_step: rows.step, column_step: 1 },
            op.head_width,
        );
    }
    for (row, scores) in scores.chunks_exact_mut(step).enumerate() {
        let seen = op.seen(rows.text, if rows.one_query { rows.query } else { rows.query + row });
        let mut scale = op.scale;
        if let Some(cap) = op.soft_cap {
            bound::<FUSED>(scores, scale / cap);
            scale = cap;
        }
        softmax::<FUSED>(scores, seen.start - first..seen.end - first, scale);
    }
    for (place, page) in pages[used.clone()].iter().enumerate() {
        strided_body::<FUSED>(
            &mut out[rows.at..],
            rows.step,
            if place == 0 { Into::Replace } else { Into::Resume },
            rows.count,
            &page.values[head.clone()],
            op.head_width,
            op.head_width,
            Left { values: &scores[place * PAGE..], row_step: step, column_step: 1 },
            PAGE.min(rows.keys.end - (used.start + place) * PAGE),
        );
    }
}
