//! The kernels in a row, and what the [way back](super::backward) needs of them.
//!
//! candle's own differentiation was tried first, with each kernel as a custom operation, and cost
//! at least a sixth of a step in a profile: its store begins every gradient as a tensor of
//! zeros and adds to it into a third tensor, and those additions of a few megabytes go through
//! one process-wide pool of spinning threads behind a lock, on which the shards then wait for
//! each other. A tape of a dozen kinds of step is shorter than the adapters were, adds gradients
//! where they lie, and hands buffers from step to step, so that a training step asks the
//! operating system for no memory once the first has run.

use std::sync::Arc;

use super::NnError;
use super::kernels::rotate::{Rotation, Turn};
use super::kernels::{attention, dropout, embedding, gelu, layer_norm, linear, pooling};
use super::ops::BinaryOp;
use super::ragged::Ragged;
use super::spare::Spare;
use super::weights::{Parameter, numbers};

/// Numbers that a kernel made, and their place on the tape.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(super) id: usize,
    pub(crate) values: Arc<Vec<f32>>,
}

/// The kernels run so far, as far as backward needs them.
#[derive(Debug)]
pub(crate) struct Tape {
    /// `None` in evaluation, which remembers nothing.
    pub(super) steps: Option<Vec<Step>>,
    pub(super) nodes: usize,
    pub(crate) spare: Spare,
}

#[derive(Debug)]
pub(super) struct Step {
    pub(super) output: Node,
    pub(super) kernel: Kernel,
}

/// A kernel with what its backward needs. Means, probabilities and masks are computed again.
#[derive(Debug)]
pub(super) enum Kernel {
    Embed { tables: Tables },
    Linear { x: Node, weight: Parameter, bias: Option<Parameter> },
    LayerNorm { x: Node, residual: Option<Node>, scale: Parameter, shift: Option<Parameter>, epsilon: f32 },
    Gelu { x: Node },
    Tanh { x: Node },
    Relu { x: Node },
    Binary { op: BinaryOp, x: Node, y: Node },
    Columns { x: Node, from: usize, to: usize },
    Rotate { x: Node, op: Rotation },
    Dropout { x: Node, op: dropout::Dropout },
    Attention { query: Node, key: Node, value: Node, op: attention::Attention },
    FirstToken { x: Node },
    MeanTokens { x: Node },
    Marked { x: Node },
}

/// The tables of an embedding, as parameters.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) words: Parameter,
    pub(crate) positions: Option<Parameter>,
    pub(crate) first_position: usize,
    pub(crate) segments: Option<Parameter>,
}

impl Tape {
    pub(crate) fn new(remember: bool) -> Self {
        Self { steps: remember.then(Vec::new), nodes: 0, spare: Spare::default() }
    }

    fn push(&mut self, values: Vec<f32>, kernel: impl FnOnce() -> Kernel) -> Node {
        let output = Node { id: self.nodes, values: Arc::new(values) };
        self.nodes += 1;
        if let Some(steps) = &mut self.steps {
            steps.push(Step { output: output.clone(), kernel: kernel() });
        }
        output
    }

    pub(crate) fn embed(&mut self, batch: &Ragged, ids: &[u32], tables: Tables) -> Result<Node, NnError> {
        let width = tables.words.var.dims()[1];
        let mut sum = self.spare.take(ids.len() * width);
        let places = batch.positions().map(|position| position + tables.first_position);
        numbers(&tables.words.var, |words| {
            optional(tables.positions.as_ref(), |positions| {
                optional(tables.segments.as_ref(), |segments| {
                    embedding::forward(&mut sum, [words, positions, segments], width, ids, places);
                })
            })
        })???;
        Ok(self.push(sum, || Kernel::Embed { tables }))
    }

    pub(crate) fn linear(&mut self, x: &Node, weight: Parameter, bias: Option<Parameter>) -> Result<Node, NnError> {
        let (outputs, inputs) = (weight.var.dims()[0], weight.var.dims()[1]);
        let mut y = self.spare.take(x.values.len() / inputs * outputs);
        numbers(&weight.var, |weight| optional(bias.as_ref(), |bias| linear::forward(&mut y, &x.values, weight, bias, outputs)))??;
        Ok(self.push(y, || Kernel::Linear { x: x.clone(), weight, bias }))
    }

    pub(crate) fn layer_norm(
        &mut self,
        x: &Node,
        residual: Option<&Node>,
        (scale, shift): (Parameter, Option<Parameter>),
        epsilon: f32,
    ) -> Result<Node, NnError> {
        let mut y = self.spare.take(x.values.len());
        let added = residual.map_or(&[][..], |residual| &residual.values);
        let zeros = vec![0.0; scale.var.elem_count()];
        numbers(&scale.var, |scale| {
            optional(shift.as_ref(), |shift| {
                let shift = if shift.is_empty() { &zeros[..] } else { shift };
                layer_norm::forward(&mut y, &x.values, added, scale, shift, epsilon);
            })
        })??;
        Ok(self.push(y, || Kernel::LayerNorm { x: x.clone(), residual: residual.cloned(), scale, shift, epsilon }))
    }

    pub(crate) fn gelu(&mut self, x: &Node) -> Node {
        let mut y = self.spare.take(x.values.len());
        gelu::forward(&mut y, &x.values);
        self.push(y, || Kernel::Gelu { x: x.clone() })
    }

    pub(crate) fn tanh(&mut self, x: &Node) -> Node {
        let mut y = self.spare.take(x.values.len());
        for (y, x) in y.iter_mut().zip(x.values.iter()) {
            *y = x.tanh();
        }
        self.push(y, || Kernel::Tanh { x: x.clone() })
    }

    pub(crate) fn relu(&mut self, x: &Node) -> Node {
        let mut y = self.spare.take(x.values.len());
        for (y, x) in y.iter_mut().zip(x.values.iter()) {
            *y = x.max(0.0);
        }
        self.push(y, || Kernel::Relu { x: x.clone() })
    }

    pub(crate) fn binary(&mut self, op: BinaryOp, x: &Node, y: &Node) -> Node {
        let mut out = self.spare.take(x.values.len());
        for ((out, x), y) in out.iter_mut().zip(x.values.iter()).zip(y.values.iter()) {
            *out = match op {
                BinaryOp::Add => x + y,
                BinaryOp::Multiply => x * y,
            };
        }
        self.push(out, || Kernel::Binary { op, x: x.clone(), y: y.clone() })
    }

    /// Columns `from..to` of rows of `width`.
    pub(crate) fn columns(&mut self, x: &Node, width: usize, from: usize, to: usize) -> Node {
        let mut y = self.spare.take(x.values.len() / width * (to - from));
        for (y, x) in y.chunks_exact_mut(to - from).zip(x.values.chunks_exact(width)) {
            y.copy_from_slice(&x[from..to]);
        }
        self.push(y, || Kernel::Columns { x: x.clone(), from, to })
    }

    pub(crate) fn rotate(&mut self, x: &Node, op: Rotation) -> Node {
        let mut y = self.spare.take(x.values.len());
        y.copy_from_slice(&x.values);
        op.apply(&mut y, Turn::Forward);
        self.push(y, || Kernel::Rotate { x: x.clone(), op })
    }

    pub(crate) fn dropout(&mut self, x: &Node, op: dropout::Dropout) -> Node {
        let mut y = self.spare.take(x.values.len());
        y.copy_from_slice(&x.values);
        op.apply(&mut y);
        self.push(y, || Kernel::Dropout { x: x.clone(), op })
    }

    pub(crate) fn attention(&mut self, query: &Node, key: &Node, value: &Node, op: attention::Attention) -> Node {
        let mut out = self.spare.take(query.values.len());
        op.forward(&mut out, &query.values, &key.values, &value.values);
        self.push(out, || Kernel::Attention { query: query.clone(), key: key.clone(), value: value.clone(), op })
    }

    pub(crate) fn first_token(&mut self, batch: &Ragged, x: &Node, width: usize) -> Node {
        let mut y = self.spare.take(batch.texts() * width);
        pooling::first_token(batch, &mut y, &x.values);
        self.push(y, || Kernel::FirstToken { x: x.clone() })
    }

    pub(crate) fn mean_tokens(&mut self, batch: &Ragged, x: &Node, width: usize) -> Node {
        let mut y = self.spare.take(batch.texts() * width);
        pooling::mean_tokens(batch, &mut y, &x.values);
        self.push(y, || Kernel::MeanTokens { x: x.clone() })
    }

    pub(crate) fn marked(&mut self, batch: &Ragged, x: &Node, width: usize) -> Node {
        let mut y = self.spare.take(batch.marked().len() * width);
        for (y, &row) in y.chunks_exact_mut(width).zip(batch.marked()) {
            y.copy_from_slice(&x.values[row * width..][..width]);
        }
        self.push(y, || Kernel::Marked { x: x.clone() })
    }
}

/// Runs `with` on a parameter's numbers, or on none.
fn optional<R>(parameter: Option<&Parameter>, with: impl FnOnce(&[f32]) -> R) -> Result<R, NnError> {
    match parameter {
        Some(parameter) => numbers(&parameter.var, with),
        None => Ok(with(&[])),
    }
}
