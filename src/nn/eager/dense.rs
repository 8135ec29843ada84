//! Dense layers and tables, whatever their weights are held as and whatever adapter they carry.

use super::{Eager, NnError, Numbers, Path, Rows};
use crate::nn::composite::{self, Matrix};
use crate::nn::held::{LinearWeights, Stored};
use crate::nn::kernels::dropout::Dropout;
use crate::nn::lookup::Tables;
use crate::nn::storage::OnDevice;

impl Eager<'_> {
    /// A dense layer on every row.
    pub(super) fn dense(&mut self, layer: LinearWeights, x: &Rows) -> Result<Numbers, NnError> {
        let dropout = match &layer.adapter {
            Some(adapter) => self.next_place(adapter.dropout)?,
            None => None,
        };
        let dropout = dropout.map(|(keep, place)| Dropout { batch: self.batch.clone(), kind: x.kind, keep, place });
        if self.path == Path::Kernels {
            return Ok(Numbers::Node(self.tape.linear(x.node()?, layer, dropout)?));
        }
        let x = x.tensor()?;
        let bias = layer.bias.map(|bias| self.tracked(&bias));
        let y = composite::linear(x, &self.matrix(&layer.weight)?, bias.as_ref())?;
        let Some(adapter) = layer.adapter else { return Ok(Numbers::Tensor(y)) };
        let dropped = dropout.map(|dropout| composite::dropout(x, &dropout)).transpose()?;
        let (down, up) = (self.tracked(&adapter.down), self.tracked(&adapter.up));
        let added = composite::low_rank(dropped.as_ref().unwrap_or(x), &down, &up, f64::from(adapter.scale))?;
        Ok(Numbers::Tensor(y.add(&added)?))
    }

    /// The sum of a token's entries.
    pub(super) fn look_up(&mut self, tables: Tables) -> Result<Numbers, NnError> {
        if self.path == Path::Kernels {
            return Ok(Numbers::Node(self.tape.embed(&self.batch, &self.ids, tables)?));
        }
        let find = |table: &Option<Stored>| table.as_ref().map(|table| self.matrix(table)).transpose();
        let (words, positions, segments) = (self.matrix(&tables.words)?, find(&tables.positions)?, find(&tables.segments)?);
        let places = self.batch.positions().map(|position| position + tables.first_position);
        let sum = composite::embed(&self.ids, places, &words, positions.as_ref(), segments.as_ref())?;
        Ok(Numbers::Tensor(match tables.scale {
            Some(scale) => sum.affine(f64::from(scale), 0.0)?,
            None => sum,
        }))
    }

    /// A matrix as candle's operations take it.
    fn matrix(&self, stored: &Stored) -> Result<Matrix, NnError> {
        Ok(match stored {
            Stored::Whole(parameter) => Matrix::Whole(self.tracked(parameter)),
            Stored::Packed(packed) => Matrix::Frozen(OnDevice::new(packed, self.weights.device())?.into()),
            Stored::OnDevice(held) => Matrix::Frozen(held.clone()),
        })
    }
}
