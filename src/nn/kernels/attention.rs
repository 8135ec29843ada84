//! Bidirectional multi-head attention over ragged rows: scores, softmax, dropout and the weighted
//! sum in one pass a text and head, so that no matrix of scores ever leaves the cache.

use std::ops::Range;
use std::sync::Arc;

use super::matmul::{Into, Left, strided_body};
use super::simd::{LANES, dispatch, dot, exp, sum};
use crate::nn::ragged::{Ragged, RowKind};
use crate::nn::random::{Keep, fold};

/// Attention of query rows over the key and value rows of their own text; all `[rows, width]`.
#[derive(Debug)]
pub(crate) struct Attention {
    pub(crate) batch: Arc<Ragged>,
    /// Whether there is a query a token or a query a text.
    pub(crate) queries: RowKind,
    pub(crate) heads: usize,
    pub(crate) head_width: usize,
    /// How far from a query the keys may stand that it looks at.
    pub(crate) window: Option<usize>,
    /// Dropout on the probabilities, and the key of this place in the network.
    pub(crate) dropout: Option<(Keep, u64)>,
}

/// One text and one head within `[rows, width]` matrices.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// Rows of the text among the queries: the first, and how many.
    query: usize,
    queries: usize,
    /// Rows of the text among keys and values.
    key: usize,
    keys: usize,
    /// First column of the head, its width, and the width of a whole row.
    column: usize,
    head_width: usize,
    width: usize,
    window: Option<usize>,
    dropout: Option<(Keep, u64)>,
}

impl Block {
    /// The keys that a query looks at. A text's one query is its first token's.
    fn seen(&self, query: usize) -> Range<usize> {
        match self.window {
            None => 0..self.keys,
            Some(window) => query.saturating_sub(window)..query.saturating_add(window + 1).min(self.keys),
        }
    }

    /// Columns of a matrix of scores: the keys, rounded up to whole registers.
    fn padded(&self) -> usize {
        self.keys.next_multiple_of(LANES)
    }

    fn scale(&self) -> f32 {
        1.0 / (self.head_width as f32).sqrt()
    }

    fn query_at(&self) -> usize {
        self.query * self.width + self.column
    }

    fn key_at(&self) -> usize {
        self.key * self.width + self.column
    }
}

/// Room for the matrices of one block, kept from block to block.
#[derive(Debug, Default)]
struct Scratch {
    transposed: Vec<f32>,
    probabilities: Vec<f32>,
    dropped: Vec<f32>,
    gradient: Vec<f32>,
}

impl Attention {
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
        for block in self.blocks() {
            backward(dq, dk, dv, q, k, v, dout, block, &mut scratch);
        }
    }

    fn blocks(&self) -> impl Iterator<Item = Block> + '_ {
        let (head_width, width) = (self.head_width, self.heads * self.head_width);
        (0..self.batch.texts()).flat_map(move |text| {
            let (query, key) = (self.batch.range(self.queries, text), self.batch.range(RowKind::Tokens, text));
            (0..self.heads).map(move |head| Block {
                query: query.start,
                queries: query.len(),
                key: key.start,
                keys: key.len(),
                column: head * head_width,
                head_width,
                width,
                window: self.window,
                dropout: self.dropout.map(|(keep, _)| (keep, self.block_key(text, head))),
            })
        })
    }
}

dispatch! {
    /// One block of `out = dropout(softmax(q k^T / sqrt(head width))) v`.
    fn forward(out: &mut [f32], q: &[f32], k: &[f32], v: &[f32], block: Block, scratch: &mut Scratch) = forward_body
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel takes slices and sizes")]
fn forward_body<const FUSED: bool>(out: &mut [f32], q: &[f32], k: &[f32], v: &[f32], block: Block, scratch: &mut Scratch) {
    probabilities::<FUSED>(q, k, block, scratch);
    drop_out(block, &mut scratch.probabilities);
    strided_body::<FUSED>(
        &mut out[block.query_at()..],
        block.width,
        Into::Replace,
        block.queries,
        &v[block.key_at()..],
        block.width,
        block.head_width,
        Left { values: &scratch.probabilities, row_step: block.padded(), column_step: 1 },
        block.keys,
    );
}

/// Fills `scratch.probabilities`, `[queries, padded]`; the padding is zero.
#[inline(always)]
fn probabilities<const FUSED: bool>(q: &[f32], k: &[f32], block: Block, scratch: &mut Scratch) {
    let padded = block.padded();
    transpose(k, block, &mut scratch.transposed);
    scratch.probabilities.resize(block.queries * padded, 0.0);
    strided_body::<FUSED>(
        &mut scratch.probabilities,
        padded,
        Into::Replace,
        block.queries,
        &scratch.transposed,
        padded,
        padded,
        Left { values: &q[block.query_at()..], row_step: block.width, column_step: 1 },
        block.head_width,
    );
    for (query, row) in scratch.probabilities.chunks_exact_mut(padded).enumerate() {
        softmax::<FUSED>(row, block.seen(query), block.scale());
    }
}

/// `softmax(scale * row)` over the keys that are seen; zero elsewhere.
#[inline(always)]
fn softmax<const FUSED: bool>(row: &mut [f32], seen: Range<usize>, scale: f32) {
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
fn transpose(matrix: &[f32], block: Block, transposed: &mut Vec<f32>) {
    let padded = block.padded();
    transposed.clear();
    transposed.resize(block.head_width * padded, 0.0);
    for key in 0..block.keys {
        let row = &matrix[block.key_at() + key * block.width..][..block.head_width];
        for (column, value) in row.iter().enumerate() {
            transposed[column * padded + key] = *value;
        }
    }
}

/// Multiplies a `[queries, padded]` matrix by the block's dropout mask.
#[inline(always)]
fn drop_out(block: Block, matrix: &mut [f32]) {
    let Some((keep, place)) = block.dropout else { return };
    for (query, row) in matrix.chunks_exact_mut(block.padded()).enumerate() {
        let key = fold(place, query as u64);
        for (column, value) in row.iter_mut().enumerate() {
            *value *= keep.factor(key, column as u32);
        }
    }
}

dispatch! {
    /// One block of the gradients of q, k and v from that of the result, with
    /// `P = softmax(S)`, `D = dropout(P)`: `dV = D^T dO`, `dP = dropout(dO V^T)`,
    /// `dS = P * (dP - rowsum(dP * P)) * scale`, `dQ = dS K`, `dK = dS^T Q`.
    fn backward(
        dq: &mut [f32], dk: &mut [f32], dv: &mut [f32], q: &[f32], k: &[f32], v: &[f32], dout: &[f32], block: Block, scratch: &mut Scratch,
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
    block: Block,
    scratch: &mut Scratch,
) {
    let (padded, width, columns) = (block.padded(), block.width, block.head_width);
    let (query_at, key_at) = (block.query_at(), block.key_at());
    probabilities::<FUSED>(q, k, block, scratch);
    scratch.dropped.clear();
    scratch.dropped.extend_from_slice(&scratch.probabilities);
    drop_out(block, &mut scratch.dropped);

    let transposed = Left { values: &scratch.dropped, row_step: 1, column_step: padded };
    strided_body::<FUSED>(
        &mut dv[key_at..],
        width,
        Into::Replace,
        block.keys,
        &dout[query_at..],
        width,
        columns,
        transposed,
        block.queries,
    );

    transpose(v, block, &mut scratch.transposed);
    scratch.gradient.resize(block.queries * padded, 0.0);
    let dout = Left { values: &dout[query_at..], row_step: width, column_step: 1 };
    strided_body::<FUSED>(&mut scratch.gradient, padded, Into::Replace, block.queries, &scratch.transposed, padded, padded, dout, columns);
    drop_out(block, &mut scratch.gradient);
    for (gradient, probability) in scratch.gradient.chunks_exact_mut(padded).zip(scratch.probabilities.chunks_exact(padded)) {
        let mean = dot::<FUSED>(gradient, probability);
        for (gradient, probability) in gradient.iter_mut().zip(probability) {
            *gradient = probability * (*gradient - mean) * block.scale();
        }
    }

    let ds = Left { values: &scratch.gradient, row_step: padded, column_step: 1 };
    strided_body::<FUSED>(&mut dq[query_at..], width, Into::Replace, block.queries, &k[key_at..], width, columns, ds, block.keys);
    let ds = Left { values: &scratch.gradient, row_step: 1, column_step: padded };
    strided_body::<FUSED>(&mut dk[key_at..], width, Into::Replace, block.keys, &q[query_at..], width, columns, ds, block.queries);
}
