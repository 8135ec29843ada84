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
use super::dense::Dense;
use super::held::Parameter;
use super::kernels::rotate::{Rotation, Turn};
use super::kernels::{activation, attention, dropout, layer_norm, pooling, rms_norm};
use super::lookup::Tables;
use super::ops::{BinaryOp, UnaryOp};
use super::ragged::Ragged;
use super::spare::Spare;
use super::weights::numbers;

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
    Embed {
        tables: Tables,
    },
    Linear(Dense),
    LayerNorm {
        x: Node,
        residual: Option<Node>,
        scale: Parameter,
        shift: Option<Parameter>,
        epsilon: f32,
    },
    RmsNorm {
        x: Node,
        scale: Parameter,
        offset: f32,
        epsilon: f32,
    },
    Unary {
        op: UnaryOp,
        x: Node,
    },
    Binary {
        op: BinaryOp,
        x: Node,
        y: Node,
    },
    Columns {
        x: Node,
        from: usize,
        to: usize,
    },
    Rotate {
        x: Node,
        op: Rotation,
    },
    Dropout {
        x: Node,
        op: dropout::Dropout,
    },
    Attention {
        query: Node,
        key: Node,
        value: Node,
        op: attention::Attention,
    },
    /// Some of the rows.
    Pick {
        x: Node,
        rows: Vec<usize>,
        width: usize,
    },
    MeanTokens {
        x: Node,
    },
    /// A part that is run again, by its number.
    Segment {
        x: Node,
        index: usize,
    },
}

impl Tape {
    pub(crate) fn new(remember: bool) -> Self {
        Self { steps: remember.then(Vec::new), nodes: 0, spare: Spare::default() }
    }

    pub(super) fn push(&mut self, values: Vec<f32>, kernel: impl FnOnce() -> Kernel) -> Node {
        let output = Node { id: self.nodes, values: Arc::new(values) };
        self.nodes += 1;
        if let Some(steps) = &mut self.steps {
            steps.push(Step { output: output.clone(), kernel: kernel() });
        }
        output
    }

    /// Numbers that no kernel made.
    pub(crate) fn leaf(&mut self, values: Arc<Vec<f32>>) -> Node {
        self.nodes += 1;
        Node { id: self.nodes - 1, values }
    }

    /// Stops remembering until [`Tape::remember`], which takes what this returns.
    pub(crate) fn forget(&mut self) -> Option<Vec<Step>> {
        self.steps.take()
    }

    /// Goes on after the steps that [`Tape::forget`] had put aside.
    pub(crate) fn remember(&mut self, steps: Option<Vec<Step>>) {
        self.steps = steps;
    }

    /// Remembers `output`, which was made of `x` while nothing was remembered, as the result of the
    /// part of this number.
    pub(crate) fn segment(&mut self, x: &Node, output: &Node, index: usize) {
        if let Some(steps) = &mut self.steps {
            steps.push(Step { output: output.clone(), kernel: Kernel::Segment { x: x.clone(), index } });
        }
    }

    /// Numbers held for the way back: every step's output.
    pub(crate) fn remembered(&self) -> usize {
        self.steps.iter().flatten().map(|step| step.output.values.len()).sum()
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

    pub(crate) fn rms_norm(&mut self, x: &Node, scale: Parameter, offset: f32, epsilon: f32) -> Result<Node, NnError> {
        let mut y = self.spare.take(x.values.len());
        numbers(&scale.var, |scale| rms_norm::forward(&mut y, &x.values, scale, offset, epsilon))?;
        Ok(self.push(y, || Kernel::RmsNorm { x: x.clone(), scale, offset, epsilon }))
    }

    pub(crate) fn unary(&mut self, op: UnaryOp, x: &Node) -> Node {
        let mut y = self.spare.take(x.values.len());
        activation::forward(op, &mut y, &x.values);
        self.push(y, || Kernel::Unary { op, x: x.clone() })
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

    /// These rows, `width` wide.
    pub(crate) fn pick(&mut self, x: &Node, rows: Vec<usize>, width: usize) -> Node {
        let mut y = self.spare.take(rows.len() * width);
        pooling::pick(&mut y, &x.values, &rows, width);
        self.push(y, || Kernel::Pick { x: x.clone(), rows, width })
    }

    pub(crate) fn mean_tokens(&mut self, batch: &Ragged, x: &Node, width: usize) -> Node {
        let mut y = self.spare.take(batch.texts() * width);
        pooling::mean_tokens(batch, &mut y, &x.values);
        self.push(y, || Kernel::MeanTokens { x: x.clone() })
    }
}

/// Runs `with` on a parameter's numbers, or on none.
pub(super) fn optional<R>(parameter: Option<&Parameter>, with: impl FnOnce(&[f32]) -> R) -> Result<R, NnError> {
    match parameter {
        Some(parameter) => numbers(&parameter.var, with),
        None => Ok(with(&[])),
    }
}
