//! Rows of tokens to rows of texts: the first token, or the mean.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::simd::add_assign;
use super::{gradient, numbers, read, rows};
use crate::nn::ragged::{Ragged, RowKind};

/// Each text's first row.
pub(crate) struct FirstToken {
    pub(crate) batch: Arc<Ragged>,
}

/// The mean of each text's rows.
pub(crate) struct MeanTokens {
    pub(crate) batch: Arc<Ragged>,
}

impl CustomOp1 for FirstToken {
    fn name(&self) -> &'static str {
        "first-token"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, width) = (numbers(storage, layout)?, layout.dims()[1]);
        let mut y = Vec::with_capacity(self.batch.texts() * width);
        for first in self.batch.firsts() {
            y.extend_from_slice(&x[first * width..][..width]);
        }
        Ok(rows(y, width))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let width = x.dim(1)?;
        let mut dx = vec![0.0; x.elem_count()];
        read(&dy.contiguous()?, |dy| {
            for (first, dy) in self.batch.firsts().iter().zip(dy.chunks_exact(width)) {
                dx[first * width..][..width].copy_from_slice(dy);
            }
            Ok(())
        })?;
        Ok(Some(gradient(dx, x)?))
    }
}

impl CustomOp1 for MeanTokens {
    fn name(&self) -> &'static str {
        "mean-tokens"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, width) = (numbers(storage, layout)?, layout.dims()[1]);
        let mut y = vec![0.0; self.batch.texts() * width];
        for (text, y) in y.chunks_exact_mut(width).enumerate() {
            let range = self.batch.range(RowKind::Tokens, text);
            let share = 1.0 / range.len() as f32;
            for row in x[range.start * width..range.end * width].chunks_exact(width) {
                add_assign(y, row);
            }
            y.iter_mut().for_each(|y| *y *= share);
        }
        Ok(rows(y, width))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let width = x.dim(1)?;
        let mut dx = Vec::with_capacity(x.elem_count());
        read(&dy.contiguous()?, |dy| {
            for (text, dy) in dy.chunks_exact(width).enumerate() {
                let tokens = self.batch.range(RowKind::Tokens, text).len();
                let share = 1.0 / tokens as f32;
                for _ in 0..tokens {
                    dx.extend(dy.iter().map(|dy| dy * share));
                }
            }
            Ok(())
        })?;
        Ok(Some(gradient(dx, x)?))
    }
}
