//! The vocabulary in candle's own differentiable operations: for other devices, and as the
//! yardstick of the kernels, which the tests hold against it.
//!
//! candle's fused `layer_norm`, `softmax_last_dim`, `rope` and `sdpa` are refused here: they have
//! no backward, and everything below them would silently learn nothing.

use std::ops::Range;
use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{D, DType, Device, Result, Tensor};

use super::kernels::attention::Attention;
use super::kernels::dropout::Dropout;
use super::kernels::rotate::Rotation;
use super::kernels::simd::add_assign;
use super::ragged::{Ragged, RowKind};
use super::storage::{OnDevice, product};
use super::weights::numbers;
use super::{Gradients, NnError, UnaryOp, Weights};

/// A matrix or table as these operations take it.
pub(crate) enum Matrix {
    Whole(Tensor),
    Frozen(Arc<OnDevice>),
}

impl Matrix {
    fn device(&self) -> &Device {
        match self {
            Self::Whole(tensor) => tensor.device(),
            Self::Frozen(held) => held.device(),
        }
    }

    /// Some rows.
    fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        match self {
            Self::Whole(tensor) => tensor.index_select(ids, 0),
            Self::Frozen(held) => held.rows(ids),
        }
    }
}

/// The sum of word, position and segment entries, `[tokens, width]`; `places` are the tokens'
/// entries in the position table.
pub(crate) fn embed(
    ids: &[u32],
    places: impl Iterator<Item = usize>,
    words: &Matrix,
    positions: Option<&Matrix>,
    segments: Option<&Matrix>,
) -> Result<Tensor> {
    let device = words.device();
    let mut sum = words.rows(&Tensor::new(ids, device)?)?;
    if let Some(positions) = positions {
        sum = sum.add(&positions.rows(&Tensor::from_iter(places.map(|place| place as u32), device)?)?)?;
    }
    match segments {
        Some(segments) => sum.broadcast_add(&segments.rows(&Tensor::zeros(1, DType::U32, device)?)?),
        None => Ok(sum),
    }
}

/// `x W^T + b`, or without `b`.
pub(crate) fn linear(x: &Tensor, weight: &Matrix, bias: Option<&Tensor>) -> Result<Tensor> {
    let y = match weight {
        Matrix::Whole(weight) => x.matmul(&weight.t()?)?,
        Matrix::Frozen(weight) => product(x, weight)?,
    };
    shifted(y, bias)
}

/// `scale * x down^T up^T`.
pub(crate) fn low_rank(x: &Tensor, down: &Tensor, up: &Tensor, scale: f64) -> Result<Tensor> {
    (x.matmul(&down.t()?)? * scale)?.matmul(&up.t()?)
}

/// Layer normalisation over the last axis.
pub(crate) fn layer_norm(x: &Tensor, scale: &Tensor, shift: Option<&Tensor>, epsilon: f64) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + epsilon)?.sqrt()?;
    shifted(centred.broadcast_div(&deviation)?.broadcast_mul(scale)?, shift)
}

fn shifted(x: Tensor, shift: Option<&Tensor>) -> Result<Tensor> {
    match shift {
        Some(shift) => x.broadcast_add(shift),
        None => Ok(x),
    }
}

/// Root mean square normalisation of every as many numbers as there are scales.
pub(crate) fn rms_norm(x: &Tensor, scale: &Tensor, offset: f64, epsilon: f64) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    let heads = x.reshape((rows, width / scale.dim(0)?, scale.dim(0)?))?;
    let deviation = (heads.sqr()?.mean_keepdim(D::Minus1)? + epsilon)?.sqrt()?;
    heads.broadcast_div(&deviation)?.broadcast_mul(&(scale + offset)?)?.reshape((rows, width))
}

/// An elementwise function.
pub(crate) fn unary(op: UnaryOp, x: &Tensor) -> Result<Tensor> {
    match op {
        UnaryOp::Gelu => x.gelu_erf(),
        UnaryOp::GeluTanh => x.gelu(),
        UnaryOp::Silu => x.silu(),
        UnaryOp::Tanh => x.tanh(),
        UnaryOp::Relu => x.relu(),
        UnaryOp::SoftCap(cap) => soft_cap(x, cap),
    }
}

fn soft_cap(x: &Tensor, cap: f64) -> Result<Tensor> {
    (x / cap)?.tanh()? * cap
}

/// Heads turned by position, from the very angles of the kernel.
pub(crate) fn rotate(x: &Tensor, op: &Rotation) -> Result<Tensor> {
    let (tokens, width) = x.dims2()?;
    let (head, half) = (op.head_width, op.head_width / 2);
    let rows = || op.batch.positions().map(|position| op.row(position));
    let part = |numbers: Vec<f32>| Tensor::from_vec(numbers, (tokens, 1, half), x.device());
    let cosines = part(rows().flat_map(|(cosines, _)| cosines).copied().collect())?;
    let sines = part(rows().flat_map(|(_, sines)| sines).copied().collect())?;
    let heads = x.reshape((tokens, width / head, head))?;
    let (a, b) = (heads.narrow(2, 0, half)?, heads.narrow(2, half, half)?);
    let turned_a = a.broadcast_mul(&cosines)?.sub(&b.broadcast_mul(&sines)?)?;
    let turned_b = b.broadcast_mul(&cosines)?.add(&a.broadcast_mul(&sines)?)?;
    Tensor::cat(&[turned_a, turned_b], 2)?.reshape((tokens, width))
}

/// Dropout with the very masks of the kernel.
pub(crate) fn dropout(x: &Tensor, op: &Dropout) -> Result<Tensor> {
    let columns = x.dim(1)?;
    let mask: Vec<f32> = op.keys().flat_map(|key| (0..columns).map(move |column| op.keep.factor(key, column as u32))).collect();
    x.mul(&Tensor::from_vec(mask, x.shape(), x.device())?)
}

/// Attention over texts padded to the longest; keys and values are those of a text's tokens so far.
pub(crate) fn attention(op: &Attention, query: &Tensor, key: &Tensor, value: &Tensor) -> Result<Tensor> {
    let batch = &*op.batch;
    let split = |x: &Tensor, ranges: &[Range<usize>], heads: usize| -> Result<Tensor> {
        let (padded, _) = pad(ranges);
        let longest = padded.len() / batch.texts();
        let index = Tensor::new(padded, x.device())?;
        x.index_select(&index, 0)?.reshape((batch.texts(), longest, heads, op.head_width))?.transpose(1, 2)?.contiguous()
    };
    let shared = |x: Tensor| -> Result<Tensor> {
        let (texts, heads, keys, width) = x.dims4()?;
        let every = x.unsqueeze(2)?.broadcast_as((texts, heads, op.group(), keys, width))?;
        every.reshape((texts, op.heads, keys, width))?.contiguous()
    };
    let queries: Vec<_> = (0..batch.texts()).map(|text| batch.range(op.queries, text)).collect();
    let keys = key_ranges(batch);
    let q = split(query, &queries, op.heads)?;
    let (k, v) = (shared(split(key, &keys, op.key_heads)?)?, shared(split(value, &keys, op.key_heads)?)?);
    let (longest_query, longest) = (q.dim(2)?, k.dim(2)?);

    let mask = Tensor::from_vec(mask(op, longest_query, longest), (batch.texts(), 1, longest_query, longest), query.device())?;
    let mut scores = (q.matmul(&k.t()?)? * f64::from(op.scale))?;
    if let Some(cap) = op.soft_cap {
        scores = soft_cap(&scores, f64::from(cap))?;
    }
    let scores = scores.broadcast_add(&mask)?;
    let highest = scores.max_keepdim(D::Minus1)?.detach();
    let powers = scores.broadcast_sub(&highest)?.exp()?;
    let mut probabilities = powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?;
    if let Some((keep, _)) = op.dropout {
        let mut factors = vec![0.0; probabilities.elem_count()];
        for (block, factors) in factors.chunks_exact_mut(longest_query * longest).enumerate() {
            let key = op.block_key(block / op.heads, block % op.heads);
            for (row, factors) in factors.chunks_exact_mut(longest).enumerate() {
                let key = super::random::fold(key, row as u64);
                for (column, factor) in factors.iter_mut().enumerate() {
                    *factor = keep.factor(key, column as u32);
                }
            }
        }
        probabilities = probabilities.mul(&Tensor::from_vec(factors, probabilities.shape(), query.device())?)?;
    }
    let mixed = probabilities.matmul(&v)?.transpose(1, 2)?.reshape(((), op.heads * op.head_width))?;
    let (_, real) = pad(&queries);
    mixed.index_select(&Tensor::new(real, query.device())?, 0)
}

/// What is added to the scores of texts padded to the longest: nothing where a query looks.
fn mask(op: &Attention, queries: usize, keys: usize) -> Vec<f32> {
    let mut mask = Vec::with_capacity(op.batch.texts() * queries * keys);
    for text in 0..op.batch.texts() {
        let real = op.batch.range(op.queries, text).len();
        for query in 0..queries {
            // The queries of padding are thrown away, but must not be empty.
            let seen = if query < real { op.seen(text, query) } else { 0..op.batch.keys(text) };
            mask.extend((0..keys).map(|key| if seen.contains(&key) { 0.0 } else { f32::NEG_INFINITY }));
        }
    }
    mask
}

/// The rows of every text among keys that lie end to end.
fn key_ranges(batch: &Ragged) -> Vec<Range<usize>> {
    let mut first = 0;
    let mut next = |keys| {
        first += keys;
        first - keys..first
    };
    (0..batch.texts()).map(|text| next(batch.keys(text))).collect()
}

/// For texts padded to the longest: the row of every place (a text's first row where there is
/// none), and the place of every row.
fn pad(ranges: &[Range<usize>]) -> (Vec<u32>, Vec<u32>) {
    let longest = ranges.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
    let row = |range: &Range<usize>, place| if place < range.len() { range.start + place } else { range.start };
    let rows = ranges.iter().flat_map(|range| (0..longest).map(move |place| row(range, place) as u32)).collect();
    let places = ranges.iter().enumerate().flat_map(|(text, range)| (0..range.len()).map(move |place| (text * longest + place) as u32));
    (rows, places.collect())
}

/// Some rows.
pub(crate) fn pick(rows: &[usize], x: &Tensor) -> Result<Tensor> {
    let rows: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
    x.index_select(&Tensor::new(rows, x.device())?, 0)
}

/// The mean of each text's rows, as a product with the matrix of shares.
pub(crate) fn mean_tokens(batch: &Ragged, x: &Tensor) -> Result<Tensor> {
    let mut shares = vec![0.0_f32; batch.texts() * batch.tokens()];
    for (text, row) in shares.chunks_exact_mut(batch.tokens()).enumerate() {
        let range = batch.range(RowKind::Tokens, text);
        let share = 1.0 / range.len() as f32;
        row[range].fill(share);
    }
    Tensor::from_vec(shares, (batch.texts(), batch.tokens()), x.device())?.matmul(x)
}

/// Gradients of `sum(output * gradient)` by candle's own differentiation.
pub(crate) fn backward(output: &Tensor, gradient: &Tensor) -> Result<GradStore> {
    output.mul(gradient)?.sum_all()?.backward()
}

/// Adds the gradients of every parameter.
pub(crate) fn gather(weights: &Weights, store: &GradStore, gradients: &mut Gradients) -> std::result::Result<(), NnError> {
    for (place, entry) in weights.entries().iter().enumerate() {
        let Some(gradient) = entry.trained().and_then(|var| store.get(var)) else { continue };
        numbers(gradient, |gradient| add_assign(gradients.dense_to_add(place, gradient.len()), gradient))?;
    }
    Ok(())
}
