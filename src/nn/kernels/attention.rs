//! Multi-head attention over ragged rows: scores, softmax, dropout and the weighted sum in one pass
//! a text and head, so that no matrix of scores ever leaves the cache.

use std::ops::Range;
use std::sync::Arc;

use super::activation::tanh;
use super::matmul::{Into, Left, strided_body};
use super::simd::{LANES, dispatch, dot, exp, sum};
use crate::nn::ops::Direction;
use crate::nn::ragged::{Ragged, RowKind};
use crate::nn::random::{Keep, fold};

/// Queries computed together where each looks at some keys only: the others are left out.
const PART: usize = 32;

/// Attention of query rows over the key and value rows of their own text; all `[rows, width]`.
#[derive(Debug)]
pub(crate) struct Attention {
    pub(crate) batch: Arc<Ragged>,
    /// Whether there is a query a token, a query a text or one a token asked about.
    pub(crate) queries: RowKind,
    pub(crate) heads: usize,
    /// Heads of keys and values, which divide `heads`.
    pub(crate) key_heads: usize,
    pub(crate) head_width: usize,
    pub(crate) scale: f32,
    pub(crate) direction: Direction,
    pub(crate) window: Option<usize>,
    pub(crate) soft_cap: Option<f32>,
    /// Dropout on the probabilities, and the key of this place in the network.
    pub(crate) dropout: Option<(Keep, u64)>,
}

impl Attention {
    /// Query heads that share a key head.
    pub(crate) fn group(&self) -> usize {
        self.heads / self.key_heads
    }

    /// The keys of its text that a query looks at; `query` counts the text's queries. A text's one
    /// query is its first token's, or its last's where the attention looks at the past.
    pub(crate) fn seen(&self, text: usize, query: usize) -> Range<usize> {
        let keys = self.batch.keys(text);
        let past = self.batch.past(text);
        let at = match (self.queries, self.direction) {
            (RowKind::Tokens, _) => past + query,
            (RowKind::Texts, Direction::Both) => past,
            (RowKind::Texts, Direction::Past) => keys - 1,
            (RowKind::Marked, _) => {
                let marked = self.batch.range(RowKind::Marked, text).start + query;
                past + self.batch.marked()[marked] - self.batch.range(RowKind::Tokens, text).start
            }
        };
        match (self.direction, self.window) {
            (Direction::Both, None) => 0..keys,
            (Direction::Both, Some(window)) => at.saturating_sub(window)..at.saturating_add(window + 1).min(keys),
            (Direction::Past, window) => window.map_or(0, |window| (at + 1).saturating_sub(window))..at + 1,
        }
    }

    /// The queries of a text in runs, with the keys that each run looks at, which begin at a whole
    /// register.
    pub(crate) fn parts(&self, text: usize) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + '_ {
        let queries = self.batch.range(self.queries, text).len();
        let part = if self.sees_all() { queries.max(1) } else { PART };
        (0..queries).step_by(part).map(move |first| {
            let end = (first + part).min(queries);
            let (from, to) = (self.seen(text, first).start, self.seen(text, end - 1).end);
            (first..end, from / LANES * LANES..to)
        })
    }

    /// Whether every query looks at every key.
    fn sees_all(&self) -> bool {
        self.direction == Direction::Both && self.window.is_none()
    }

    /// The key that the dropout masks of one text and head grow from.
    pub(crate) fn block_key(&self, text: usize, head: usize) -> u64 {
        self.dropout.map_or(0, |(_, place)| fold(self.batch.key(place, text, 0), head as u64))
    }

    /// The rows of `out`, one a query.
    pub(crate) fn forward(&self, out: &mut [f32], q: &[f32], k: &[f32], v: &[f32]) {
        let mut scratch = Scratch::default();
        for block in self.blocks() {
            forward(out, q, k, v, block, &mut scratch);
        }
    }

    /// The gradients of queries, keys and values from that of the result.
    pub(crate) fn backward(&self, [dq, dk, dv]: &mut [Vec<f32>; 3], [q, k, v]: [&[f32]; 3], dout: &[f32]) {
        let mut scratch = Scratch::default();
        if !self.sees_all() {
            // Keys that no query sees, and the beginning of sums over parts.
            dk.fill(0.0);
            dv.fill(0.0);
        }
        for block in self.blocks() {
            backward(dq, dk, dv, q, k, v, dout, block, &mut scratch);
        }
    }

    fn blocks(&self) -> impl Iterator<Item = Block<'_>> + '_ {
        (0..self.batch.texts()).flat_map(move |text| (0..self.heads).map(move |head| Block::new(self, text, head)))
    }
}

/// One text and one head within `[rows, width]` matrices.
#[derive(Debug, Clone, Copy)]
struct Block<'a> {
    op: &'a Attention,
    text: usize,
    /// Queries and keys of the text.
    queries: usize,
    keys: usize,
    /// The first number of the head in the rows of queries and in those of keys, and the widths of
    /// whole rows.
    query_at: usize,
    key_at: usize,
    width: usize,
    key_width: usize,
    /// What gradients of keys and values do with what is there.
    into: Into,
    dropout: Option<(Keep, u64)>,
}

impl<'a> Block<'a> {
    fn new(op: &'a Attention, text: usize, head: usize) -> Self {
        let (query, key) = (op.batch.range(op.queries, text), op.batch.range(RowKind::Tokens, text));
        let (width, key_width) = (op.heads * op.head_width, op.key_heads * op.head_width);
        let first_of_group = head.is_multiple_of(op.group());
        Self {
            op,
            text,
            queries: query.len(),
            keys: key.len(),
            query_at: query.start * width + head * op.head_width,
            key_at: key.start * key_width + head / op.group() * op.head_width,
            width,
            key_width,
            into: if first_of_group && op.sees_all() { Into::Replace } else { Into::Resume },
            dropout: op.dropout.map(|(keep, _)| (keep, op.block_key(text, head))),
        }
    }

    /// Columns of a matrix of scores: the keys, rounded up to whole registers.
    fn padded(&self) -> usize {
        self.keys.next_multiple_of(LANES)
    }
}

/// Room for the matrices of one block, kept from block to block.
#[derive(Debug, Default)]
struct Scratch {
    /// Keys and values as columns.
    keys: Vec<f32>,
    values: Vec<f32>,
    probabilities: Vec<f32>,
    /// `tanh` of the scores over the soft cap, where there is one.
    capped: Vec<f32>,
    dropped: Vec<f32>,
    gradient: Vec<f32>,
}

/// A run of rows of a block's matrix of scores, and their columns.
#[derive(Debug, Clone)]
struct Part {
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Part {
    fn new((queries, keys): (Range<usize>, Range<usize>)) -> Self {
        Self { rows: queries, columns: keys.start..keys.end.next_multiple_of(LANES) }
    }

    /// The part's first number in a matrix of rows of `padded`.
    fn at(&self, padded: usize) -> usize {
        self.rows.start * padded + self.columns.start
    }

    /// Each row's number and its columns.
    fn rows<'m>(&self, matrix: &'m mut [f32], padded: usize) -> impl Iterator<Item = (usize, &'m mut [f32])> {
        let (rows, columns) = (self.rows.clone(), self.columns.clone());
        let matrix = matrix[rows.start * padded..rows.end * padded].chunks_exact_mut(padded);
        rows.zip(matrix).map(move |(row, numbers)| (row, &mut numbers[columns.clone()]))
    }
}

dispatch! {
    /// One block of `out = dropout(softmax(q k^T * scale)) v`.
    fn forward(out: &mut [f32], q: &[f32], k: &[f32], v: &[f32], block: Block<'_>, scratch: &mut Scratch) = forward_body
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel takes slices and sizes")]
fn forward_body<const FUSED: bool>(out: &mut [f32], q: &[f32], k: &[f32], v: &[f32], block: Block<'_>, scratch: &mut Scratch) {
    let padded = block.padded();
    transpose(k, block, &mut scratch.keys);
    scratch.probabilities.resize(block.queries * padded, 0.0);
    for (queries, keys) in block.op.parts(block.text) {
        let part = Part::new((queries.clone(), keys.clone()));
        probabilities::<FUSED>(q, block, &part, scratch);
        drop_out(block, &part, &mut scratch.probabilities);
        strided_body::<FUSED>(
            &mut out[block.query_at + queries.start * block.width..],
            block.width,
            Into::Replace,
            queries.len(),
            &v[block.key_at + keys.start * block.key_width..],
            block.key_width,
            block.op.head_width,
            Left { values: &scratch.probabilities[part.at(padded)..], row_step: padded, column_step: 1 },
            keys.len(),
        );
    }
}

/// Fills a part of `scratch.probabilities`, `[queries, padded]`; what is not seen is zero.
#[inline(always)]
fn probabilities<const FUSED: bool>(q: &[f32], block: Block<'_>, part: &Part, scratch: &mut Scratch) {
    let padded = block.padded();
    strided_body::<FUSED>(
        &mut scratch.probabilities[part.at(padded)..],
        padded,
        Into::Replace,
        part.rows.len(),
        &scratch.keys[part.columns.start..],
        padded,
        part.columns.len(),
        Left { values: &q[block.query_at + part.rows.start * block.width..], row_step: block.width, column_step: 1 },
        block.op.head_width,
    );
    let mut scale = block.op.scale;
    if let Some(cap) = block.op.soft_cap {
        scratch.capped.resize(block.queries * padded, 0.0);
        for ((_, row), (_, capped)) in part.rows(&mut scratch.probabilities, padded).zip(part.rows(&mut scratch.capped, padded)) {
            bound::<FUSED>(row, scale / cap);
            capped.copy_from_slice(row);
        }
        scale = cap;
    }
    for (query, row) in part.rows(&mut scratch.probabilities, padded) {
        let seen = block.op.seen(block.text, query);
        softmax::<FUSED>(row, seen.start - part.columns.start..seen.end - part.columns.start, scale);
    }
}

/// `row = tanh(row * scale)`.
#[inline(always)]
pub(super) fn bound<const FUSED: bool>(row: &mut [f32], scale: f32) {
    for score in row {
        *score = tanh::<FUSED>(*score * scale);
    }
}

/// `softmax(scale * row)` over the keys that are seen; zero elsewhere.
#[inline(always)]
pub(super) fn softmax<const FUSED: bool>(row: &mut [f32], seen: Range<usize>, scale: f32) {
    row[..seen.start].fill(f32::NEG_INFINITY);
    row[seen.end..].fill(f32::NEG_INFINITY);
    let (chunks, _) = row.as_chunks::<LANES>();
    let mut highest = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            highest[lane] = if chunk[lane] > highest[lane] { chunk[lane] } else { highest[lane] };
        }
    }
    let highest = highest.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    for value in row.iter_mut() {
        *value = exp::<FUSED>((*value - highest) * scale);
    }
    row[..seen.start].fill(0.0);
    row[seen.end..].fill(0.0);
    let inverse = 1.0 / sum(row);
    for value in row {
        *value *= inverse;
    }
}

/// The block's rows of `matrix` as columns, `[head width, padded]`; the padding is zero.
#[inline(always)]
fn transpose(matrix: &[f32], block: Block<'_>, transposed: &mut Vec<f32>) {
    let padded = block.padded();
    transposed.clear();
    transposed.resize(block.op.head_width * padded, 0.0);
    for key in 0..block.keys {
        let row = &matrix[block.key_at + key * block.key_width..][..block.op.head_width];
        for (column, value) in row.iter().enumerate() {
            transposed[column * padded + key] = *value;
        }
    }
}

/// Multiplies a part of a `[queries, padded]` matrix by the block's dropout mask.
#[inline(always)]
fn drop_out(block: Block<'_>, part: &Part, matrix: &mut [f32]) {
    let Some((keep, place)) = block.dropout else { return };
    let first = part.columns.start as u32;
    for (query, row) in part.rows(matrix, block.padded()) {
        let key = fold(place, query as u64);
        for (column, value) in row.iter_mut().enumerate() {
            *value *= keep.factor(key, first + column as u32);
        }
    }
}

dispatch! {
    /// One block of the gradients of q, k and v from that of the result, with
    /// `P = softmax(S)`, `D = dropout(P)`: `dV = D^T dO`, `dP = dropout(dO V^T)`,
    /// `dS = P * (dP - rowsum(dP * P)) * scale`, `dQ = dS K`, `dK = dS^T Q`; under a soft cap
    /// `S = cap * t` with `t = tanh(...)`, and `dS` has the factor `1 - t^2`.
    fn backward(
        dq: &mut [f32], dk: &mut [f32], dv: &mut [f32], q: &[f32], k: &[f32], v: &[f32], dout: &[f32], block: Block<'_>, scratch: &mut Scratch,
    ) = backward_body
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel takes slices and sizes")]
fn backward_body<const FUSED: bool>(
    dq: &mut [f32],
    dk: &mut [f32],
    dv: &mut [f32],
    q: &[f32],
    k: &[f32],
    v: &[f32],
    dout: &[f32],
    block: Block<'_>,
    scratch: &mut Scratch,
) {
    let (padded, width, key_width) = (block.padded(), block.width, block.key_width);
    let (columns, into) = (block.op.head_width, block.into);
    let size = block.queries * padded;
    scratch.probabilities.resize(size, 0.0);
    scratch.gradient.resize(size, 0.0);
    scratch.dropped.resize(size, 0.0);
    if block.queries == 0 && into == Into::Replace {
        for row in 0..block.keys {
            dk[block.key_at + row * key_width..][..columns].fill(0.0);
            dv[block.key_at + row * key_width..][..columns].fill(0.0);
        }
    }
    transpose(k, block, &mut scratch.keys);
    transpose(v, block, &mut scratch.values);
    for (queries, keys) in block.op.parts(block.text) {
        let part = Part::new((queries.clone(), keys.clone()));
        let (query_at, key_at) = (block.query_at + queries.start * width, block.key_at + keys.start * key_width);
        probabilities::<FUSED>(q, block, &part, scratch);
        let rows = queries.start * padded..queries.end * padded;
        scratch.dropped[rows.clone()].copy_from_slice(&scratch.probabilities[rows]);
        drop_out(block, &part, &mut scratch.dropped);

        let transposed = Left { values: &scratch.dropped[part.at(padded)..], row_step: 1, column_step: padded };
        let dout = &dout[query_at..];
        strided_body::<FUSED>(&mut dv[key_at..], key_width, into, keys.len(), dout, width, columns, transposed, queries.len());

        strided_body::<FUSED>(
            &mut scratch.gradient[part.at(padded)..],
            padded,
            Into::Replace,
            queries.len(),
            &scratch.values[part.columns.start..],
            padded,
            part.columns.len(),
            Left { values: dout, row_step: width, column_step: 1 },
            columns,
        );
        drop_out(block, &part, &mut scratch.gradient);
        scores_backward::<FUSED>(block, &part, scratch);

        let ds = Left { values: &scratch.gradient[part.at(padded)..], row_step: padded, column_step: 1 };
        strided_body::<FUSED>(&mut dq[query_at..], width, Into::Replace, queries.len(), &k[key_at..], key_width, columns, ds, keys.len());
        let ds = Left { row_step: 1, column_step: padded, ..ds };
        strided_body::<FUSED>(&mut dk[key_at..], key_width, into, keys.len(), &q[query_at..], width, columns, ds, queries.len());
    }
}

/// The gradient of the raw scores from that of the probabilities, in `scratch.gradient`.
#[inline(always)]
fn scores_backward<const FUSED: bool>(block: Block<'_>, part: &Part, scratch: &mut Scratch) {
    let padded = block.padded();
    for ((_, gradient), (_, probability)) in part.rows(&mut scratch.gradient, padded).zip(part.rows(&mut scratch.probabilities, padded)) {
        let mean = dot::<FUSED>(gradient, probability);
        for (gradient, probability) in gradient.iter_mut().zip(probability.iter()) {
            *gradient = probability * (*gradient - mean) * block.op.scale;
        }
    }
    if block.op.soft_cap.is_some() {
        for ((_, gradient), (_, capped)) in part.rows(&mut scratch.gradient, padded).zip(part.rows(&mut scratch.capped, padded)) {
            gradient.iter_mut().zip(capped.iter()).for_each(|(gradient, t)| *gradient *= 1.0 - t * t);
        }
    }
}
