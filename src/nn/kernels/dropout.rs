//! Dropout (Srivastava et al. 2014) on rows: each number is zeroed with probability `p`, the rest
//! grow by `1 / (1 - p)`. The mask is a function of counters and is stored nowhere.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::simd::dispatch;
use super::{gradient, numbers, read, rows};
use crate::nn::ragged::{Ragged, RowKind};
use crate::nn::random::Keep;

/// Dropout at one place of the network.
pub(crate) struct Dropout {
    pub(crate) batch: Arc<Ragged>,
    pub(crate) kind: RowKind,
    pub(crate) keep: Keep,
    /// The key of this place.
    pub(crate) place: u64,
}

impl Dropout {
    /// The key of every row, in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.batch.texts()).flat_map(move |text| {
            (0..self.batch.range(self.kind, text).len()).map(move |position| self.batch.key(self.place, text, position))
        })
    }

    fn apply(&self, y: &mut [f32], x: &[f32], width: usize) {
        for ((y, x), key) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(self.keys()) {
            mask_row(y, x, self.keep, key);
        }
    }
}

dispatch! {
    /// `y = x` times the mask of the row `key`.
    fn mask_row(y: &mut [f32], x: &[f32], keep: Keep, key: u64) = mask_row_body
}

#[inline(always)]
fn mask_row_body<const FUSED: bool>(y: &mut [f32], x: &[f32], keep: Keep, key: u64) {
    for (column, (y, x)) in y.iter_mut().zip(x).enumerate() {
        *y = x * keep.factor(key, column as u32);
    }
}

impl CustomOp1 for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, width) = (numbers(storage, layout)?, layout.dims()[1]);
        let mut y = vec![0.0; x.len()];
        self.apply(&mut y, x, width);
        Ok(rows(y, width))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let width = x.dim(1)?;
        let mut dx = vec![0.0; x.elem_count()];
        read(&dy.contiguous()?, |dy| {
            self.apply(&mut dx, dy, width);
            Ok(())
        })?;
        Ok(Some(gradient(dx, x)?))
    }
}
