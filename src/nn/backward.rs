//! The way back over the tape: gradients of every kernel's inputs and parameters, last kernel first.

use std::ops::Range;

use super::NnError;
use super::gradients::Gradients;
use super::held::Parameter;
use super::kernels::matmul::Into;
use super::kernels::rotate::Turn;
use super::kernels::{activation, layer_norm, pooling, rms_norm, simd};
use super::ops::BinaryOp;
use super::ragged::Ragged;
use super::spare::Spare;
use super::tape::{Kernel, Node, Step, Tape};
use super::weights::numbers;

impl Tape {
    /// Gradients of `sum(output * gradient)` into `gradients`, whose spare buffers the tape's
    /// then join; returns that of the tape's first node where no kernel made it.
    pub(crate) fn backward(
        self,
        output: &Node,
        gradient: Vec<f32>,
        texts: Texts<'_>,
        gradients: &mut Gradients,
    ) -> Result<Option<Vec<f32>>, NnError> {
        let mut flow = Flow { nodes: (0..self.nodes).map(|_| None).collect(), spare: self.spare, parameters: gradients };
        flow.nodes[output.id] = Some(gradient);
        for Step { output, kernel } in self.steps.unwrap_or_default().into_iter().rev() {
            let Some(dy) = flow.nodes[output.id].take() else { continue };
            if let Kernel::Segment { x, index } = kernel {
                flow.segment(x, dy, |x, dy, gradients| (texts.again)(index, x, dy, gradients))?;
                flow.spare.give_back(output.values);
                continue;
            }
            kernel.backward(output, dy, texts, &mut flow)?;
        }
        let Flow { mut nodes, spare, parameters } = flow;
        parameters.spare.join(spare);
        Ok(nodes[0].take())
    }
}

/// Runs the part of this number on `x` once more and takes it back: the gradient of its result
/// becomes that of `x`, unless nothing of the result came from `x`.
pub(crate) type Again<'a> = dyn Fn(usize, &Node, Vec<f32>, &mut Gradients) -> Result<Option<Vec<f32>>, NnError> + 'a;

/// The texts that rows stand for, and how a part that was not remembered is run on them again.
#[derive(Clone, Copy)]
pub(crate) struct Texts<'a> {
    pub(crate) batch: &'a Ragged,
    pub(crate) ids: &'a [u32],
    pub(crate) again: &'a Again<'a>,
}

/// Gradients on their way back.
pub(super) struct Flow<'g> {
    nodes: Vec<Option<Vec<f32>>>,
    pub(super) spare: Spare,
    pub(super) parameters: &'g mut Gradients,
}

impl Flow<'_> {
    /// Adds a gradient to a node's, or lets it be the node's.
    fn give(&mut self, node: Node, gradient: Vec<f32>) {
        match &mut self.nodes[node.id] {
            Some(sum) => {
                simd::add_assign(sum, &gradient);
                self.spare.give(gradient);
            }
            none => *none = Some(gradient),
        }
        self.spare.give_back(node.values);
    }

    /// Takes a part that is run again back, in the buffers of this way back.
    fn segment(
        &mut self,
        x: Node,
        dy: Vec<f32>,
        again: impl FnOnce(&Node, Vec<f32>, &mut Gradients) -> Result<Option<Vec<f32>>, NnError>,
    ) -> Result<(), NnError> {
        self.parameters.spare = std::mem::take(&mut self.spare);
        let dx = again(&x, dy, self.parameters)?;
        self.spare = std::mem::take(&mut self.parameters.spare);
        if let Some(dx) = dx {
            self.give(x, dx);
        }
        Ok(())
    }

    /// A node's gradient to add to, or a buffer to fill.
    pub(super) fn at(&mut self, node: &Node) -> (&mut [f32], Into) {
        match &mut self.nodes[node.id] {
            Some(sum) => (sum, Into::Add),
            none => (none.insert(self.spare.take(node.values.len())), Into::Replace),
        }
    }
}

impl Kernel {
    /// Passes the gradient `dy` of the output on to the inputs and the parameters.
    fn backward(self, output: Node, mut dy: Vec<f32>, texts: Texts<'_>, flow: &mut Flow<'_>) -> Result<(), NnError> {
        match self {
            Self::Embed { tables } => tables.backward(dy, texts, flow),
            Self::Linear(dense) => dense.backward(dy, flow)?,
            Self::LayerNorm { x, residual, scale, shift, epsilon } => {
                layer_norm_backward((x, residual), (&scale, shift.as_ref()), epsilon, dy, flow)?
            }
            Self::RmsNorm { x, scale, offset, epsilon } => {
                let mut dscale = vec![0.0; scale.var.elem_count()];
                numbers(&scale.var, |scale| rms_norm::backward(&mut dy, &mut dscale, &x.values, scale, offset, epsilon))?;
                simd::add_assign(flow.parameters.dense_to_add(scale.place, dscale.len()), &dscale);
                flow.give(x, dy);
            }
            Self::Unary { op, x } => {
                activation::backward(op, &mut dy, &x.values, &output.values);
                flow.give(x, dy);
            }
            Self::Binary { op, x, y } => binary_backward(op, x, y, dy, flow),
            Self::Columns { x, from, to } => columns_backward(x, from..to, dy, flow),
            Self::Rotate { x, op } => {
                op.apply(&mut dy, Turn::Back);
                flow.give(x, dy);
            }
            Self::Dropout { x, op } => {
                op.apply(&mut dy);
                flow.give(x, dy);
            }
            Self::Attention { query, key, value, op } => {
                let mut take = |node: &Node| flow.spare.take(node.values.len());
                let mut d = [take(&query), take(&key), take(&value)];
                op.backward(&mut d, [&query.values[..], &key.values[..], &value.values[..]], &dy);
                flow.spare.give(dy);
                for (node, d) in [query, key, value].into_iter().zip(d) {
                    flow.give(node, d);
                }
            }
            Self::Pick { x, rows, width } => {
                let mut dx = flow.spare.take(x.values.len());
                pooling::pick_backward(&mut dx, &dy, &rows, width);
                flow.give(x, dx);
            }
            Self::MeanTokens { x } => {
                let mut dx = flow.spare.take(x.values.len());
                pooling::mean_tokens_backward(texts.batch, &mut dx, &dy);
                flow.give(x, dx);
            }
            Self::Segment { .. } => unreachable!("taken back before; this is a bug"),
        }
        flow.spare.give_back(output.values);
        Ok(())
    }
}

fn binary_backward(op: BinaryOp, x: Node, y: Node, mut dy: Vec<f32>, flow: &mut Flow<'_>) {
    let mut dx = flow.spare.take(dy.len());
    dx.copy_from_slice(&dy);
    if op == BinaryOp::Multiply {
        dx.iter_mut().zip(y.values.iter()).for_each(|(dx, y)| *dx *= y);
        dy.iter_mut().zip(x.values.iter()).for_each(|(dy, x)| *dy *= x);
    }
    flow.give(x, dx);
    flow.give(y, dy);
}

fn columns_backward(x: Node, columns: Range<usize>, dy: Vec<f32>, flow: &mut Flow<'_>) {
    let rows = dy.len() / columns.len();
    let (dx, into) = flow.at(&x);
    if into == Into::Replace {
        dx.fill(0.0);
    }
    for (dx, dy) in dx.chunks_exact_mut(x.values.len() / rows).zip(dy.chunks_exact(columns.len())) {
        simd::add_assign(&mut dx[columns.clone()], dy);
    }
    flow.spare.give(dy);
    flow.spare.give_back(x.values);
}

fn layer_norm_backward(
    (x, residual): (Node, Option<Node>),
    (scale, shift): (&Parameter, Option<&Parameter>),
    epsilon: f32,
    mut dy: Vec<f32>,
    flow: &mut Flow<'_>,
) -> Result<(), NnError> {
    let mut dx = flow.spare.take(dy.len());
    let added = residual.as_ref().map_or(&[][..], |residual| &residual.values);
    let width = scale.var.elem_count();
    let (mut dscale, mut dshift) = (vec![0.0; width], vec![0.0; width]);
    numbers(&scale.var, |scale| layer_norm::backward(&mut dx, &mut dscale, &mut dshift, &x.values, added, scale, &dy, epsilon))?;
    simd::add_assign(flow.parameters.dense_to_add(scale.place, width), &dscale);
    if let Some(shift) = shift {
        simd::add_assign(flow.parameters.dense_to_add(shift.place, width), &dshift);
    }
    if let Some(residual) = residual {
        dy.copy_from_slice(&dx);
        flow.give(residual, dy);
    } else {
        flow.spare.give(dy);
    }
    flow.give(x, dx);
    Ok(())
}
