//! A dense layer on the tape, forward and back: a weight in any storage, its bias, and its adapter.
//!
//! A frozen weight passes the gradient on and gets none. An adapter's input is dropped by a mask that
//! is computed again on the way back, so that beside the layer's own input only its few inner numbers
//! are remembered.

use super::NnError;
use super::backward::Flow;
use super::held::{LinearWeights, LowRank, Parameter, Stored};
use super::kernels::dropout::Dropout;
use super::kernels::frozen::{self, Scratch};
use super::kernels::linear;
use super::kernels::matmul::Into;
use super::spare::Spare;
use super::tape::{Kernel, Node, Tape, optional};
use super::weights::numbers;

/// What backward needs of a dense layer.
#[derive(Debug)]
pub(super) struct Dense {
    x: Node,
    weight: Stored,
    bias: Option<Parameter>,
    adapter: Option<Adapter>,
}

/// What backward needs of a layer's adapter.
#[derive(Debug)]
struct Adapter {
    matrices: LowRank,
    dropout: Option<Dropout>,
    /// `scale * x down^T`, `[rows, rank]`, of the dropped `x`.
    inner: Vec<f32>,
}

impl Tape {
    /// `x W^T + b`, and what the layer's adapter adds, whose input `dropout` drops.
    pub(crate) fn linear(&mut self, x: &Node, layer: LinearWeights, dropout: Option<Dropout>) -> Result<Node, NnError> {
        let LinearWeights { weight, bias, adapter } = layer;
        let (outputs, inputs) = weight.dims();
        let mut y = self.spare.take(x.values.len() / inputs * outputs);
        optional(bias.as_ref(), |bias| match &weight {
            Stored::Whole(weight) => numbers(&weight.var, |weight| linear::forward(&mut y, &x.values, weight, bias, outputs)),
            Stored::Packed(weight) => {
                let mut scratch = Scratch::take(&mut self.spare, weight, x.values.len() / inputs);
                frozen::forward(&mut y, &x.values, weight, bias, &mut scratch);
                scratch.give(&mut self.spare);
                Ok(())
            }
            Stored::OnDevice(_) => Err(elsewhere()),
        })??;
        let adapter = match adapter {
            Some(matrices) => Some(Adapter::forward(&mut y, x, matrices, dropout, &mut self.spare)?),
            None => None,
        };
        Ok(self.push(y, || Kernel::Linear(Dense { x: x.clone(), weight, bias, adapter })))
    }
}

fn elsewhere() -> NnError {
    NnError::rows("linear", "a weight in the processor's memory", "one on a device")
}

impl Dense {
    pub(super) fn backward(self, dy: Vec<f32>, flow: &mut Flow<'_>) -> Result<(), NnError> {
        let Self { x, weight, bias, adapter } = self;
        let (outputs, inputs) = weight.dims();
        if let Some(bias) = bias.filter(|bias| bias.trained) {
            linear::add_rows(flow.parameters.dense_to_add(bias.place, outputs), &dy);
        }
        if let Stored::Whole(Parameter { place, trained: true, .. }) = &weight {
            let (dw, into) = flow.parameters.dense(*place, outputs * inputs);
            linear::weight_backward(dw, into, &x.values, &dy, outputs);
        }
        match &weight {
            Stored::Whole(weight) => {
                let (dx, into) = flow.at(&x);
                numbers(&weight.var, |weight| linear::input_backward(dx, into, weight, &dy, outputs))?;
            }
            Stored::Packed(weight) => {
                let mut scratch = Scratch::take(&mut flow.spare, weight, dy.len() / outputs);
                let (dx, into) = flow.at(&x);
                frozen::input_backward(dx, into, weight, &dy, &mut scratch);
                scratch.give(&mut flow.spare);
            }
            Stored::OnDevice(_) => return Err(elsewhere()),
        }
        if let Some(adapter) = adapter {
            adapter.backward(&x, &dy, flow)?;
        }
        flow.spare.give(dy);
        flow.spare.give_back(x.values);
        Ok(())
    }
}

impl Adapter {
    /// Adds `scale * dropped(x) down^T up^T` to `y`.
    fn forward(y: &mut [f32], x: &Node, matrices: LowRank, dropout: Option<Dropout>, spare: &mut Spare) -> Result<Self, NnError> {
        let (rank, inputs) = (matrices.down.var.dims()[0], matrices.down.var.dims()[1]);
        let mut inner = spare.take(x.values.len() / inputs * rank);
        let dropped = drop_copy(x, dropout.as_ref(), spare);
        numbers(&matrices.down.var, |down| linear::forward(&mut inner, dropped.as_deref().unwrap_or(&x.values), down, &[], rank))?;
        dropped.into_iter().for_each(|dropped| spare.give(dropped));
        inner.iter_mut().for_each(|inner| *inner *= matrices.scale);
        let mut added = spare.take(y.len());
        let outputs = matrices.up.var.dims()[0];
        numbers(&matrices.up.var, |up| linear::forward(&mut added, &inner, up, &[], outputs))?;
        super::kernels::simd::add_assign(y, &added);
        spare.give(added);
        Ok(Self { matrices, dropout, inner })
    }

    /// Gradients of both matrices, and the adapter's share of the input's, onto what stands there.
    fn backward(self, x: &Node, dy: &[f32], flow: &mut Flow<'_>) -> Result<(), NnError> {
        let Self { matrices: LowRank { down, up, scale, .. }, dropout, inner } = self;
        let ((rank, inputs), outputs) = ((down.var.dims()[0], down.var.dims()[1]), up.var.dims()[0]);
        let (dup, into) = flow.parameters.dense(up.place, outputs * rank);
        linear::weight_backward(dup, into, &inner, dy, outputs);

        let mut dinner = inner;
        numbers(&up.var, |up| linear::input_backward(&mut dinner, Into::Replace, up, dy, outputs))?;
        dinner.iter_mut().for_each(|dinner| *dinner *= scale);
        let dropped = drop_copy(x, dropout.as_ref(), &mut flow.spare);
        let (ddown, into) = flow.parameters.dense(down.place, rank * inputs);
        linear::weight_backward(ddown, into, dropped.as_deref().unwrap_or(&x.values), &dinner, rank);

        let mut share = dropped.unwrap_or_else(|| flow.spare.take(x.values.len()));
        numbers(&down.var, |down| linear::input_backward(&mut share, Into::Replace, down, &dinner, rank))?;
        if let Some(dropout) = dropout {
            dropout.apply(&mut share);
        }
        let (dx, _) = flow.at(x);
        super::kernels::simd::add_assign(dx, &share);
        flow.spare.give(share);
        flow.spare.give(dinner);
        Ok(())
    }
}

/// A copy of the input that is dropped, where anything is.
fn drop_copy(x: &Node, dropout: Option<&Dropout>, spare: &mut Spare) -> Option<Vec<f32>> {
    let dropout = dropout?;
    let mut copy = spare.take(x.values.len());
    copy.copy_from_slice(&x.values);
    dropout.apply(&mut copy);
    Some(copy)
}
