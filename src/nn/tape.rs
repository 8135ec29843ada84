//! The kernels in a row: forward, and the way back.
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
use super::gradients::Gradients;
use super::kernels::matmul::Into;
use super::kernels::{attention, dropout, embedding, gelu, layer_norm, linear, pooling, simd};
use super::ragged::Ragged;
use super::spare::Spare;
use super::weights::{Parameter, numbers};

/// Numbers that a kernel made, and their place on the tape.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    id: usize,
    pub(crate) values: Arc<Vec<f32>>,
}

/// The kernels run so far, as far as backward needs them.
#[derive(Debug)]
pub(crate) struct Tape {
    /// `None` in evaluation, which remembers nothing.
    steps: Option<Vec<Step>>,
    nodes: usize,
    pub(crate) spare: Spare,
}

#[derive(Debug)]
struct Step {
    output: Node,
    kernel: Kernel,
}

/// A kernel with what its backward needs. Means, probabilities and masks are computed again.
#[derive(Debug)]
enum Kernel {
    Embed { tables: Tables },
    Linear { x: Node, weight: Parameter, bias: Parameter },
    LayerNorm { x: Node, residual: Option<Node>, scale: Parameter, shift: Parameter, epsilon: f32 },
    Gelu { x: Node },
    Tanh { x: Node },
    Relu { x: Node },
    Dropout { x: Node, op: dropout::Dropout },
    Attention { query: Node, key: Node, value: Node, op: attention::Attention },
    FirstToken { x: Node },
    MeanTokens { x: Node },
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

    pub(crate) fn linear(&mut self, x: &Node, weight: Parameter, bias: Parameter) -> Result<Node, NnError> {
        let (outputs, inputs) = (weight.var.dims()[0], weight.var.dims()[1]);
        let mut y = self.spare.take(x.values.len() / inputs * outputs);
        numbers(&weight.var, |weight| numbers(&bias.var, |bias| linear::forward(&mut y, &x.values, weight, bias)))??;
        Ok(self.push(y, || Kernel::Linear { x: x.clone(), weight, bias }))
    }

    pub(crate) fn layer_norm(
        &mut self,
        x: &Node,
        residual: Option<&Node>,
        (scale, shift): (Parameter, Parameter),
        epsilon: f32,
    ) -> Result<Node, NnError> {
        let mut y = self.spare.take(x.values.len());
        let added = residual.map_or(&[][..], |residual| &residual.values);
        numbers(&scale.var, |scale| numbers(&shift.var, |shift| layer_norm::forward(&mut y, &x.values, added, scale, shift, epsilon)))??;
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

    /// Gradients of `sum(output * gradient)` into `gradients`, whose spare buffers the tape's
    /// then join.
    pub(crate) fn backward(self, output: &Node, gradient: Vec<f32>, texts: Texts<'_>, gradients: &mut Gradients) -> Result<(), NnError> {
        let mut flow = Flow { nodes: (0..self.nodes).map(|_| None).collect(), spare: self.spare, parameters: gradients };
        flow.nodes[output.id] = Some(gradient);
        for Step { output, kernel } in self.steps.unwrap_or_default().into_iter().rev() {
            let Some(dy) = flow.nodes[output.id].take() else { continue };
            kernel.backward(output, dy, texts, &mut flow)?;
        }
        let Flow { spare, parameters, .. } = flow;
        parameters.spare.join(spare);
        Ok(())
    }
}

/// The texts that rows stand for.
#[derive(Clone, Copy)]
pub(crate) struct Texts<'a> {
    pub(crate) batch: &'a Ragged,
    pub(crate) ids: &'a [u32],
}

/// Gradients on their way back.
struct Flow<'g> {
    nodes: Vec<Option<Vec<f32>>>,
    spare: Spare,
    parameters: &'g mut Gradients,
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

    /// A node's gradient to add to, or a buffer to fill.
    fn at(&mut self, node: &Node) -> (&mut [f32], Into) {
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
            Self::Embed { tables } => {
                scatter(flow.parameters, &tables.words, &dy, texts.ids.iter().copied());
                if let Some(positions) = &tables.positions {
                    let entries = texts.batch.positions().map(|position| (position + tables.first_position) as u32);
                    scatter(flow.parameters, positions, &dy, entries);
                }
                if let Some(segments) = &tables.segments {
                    scatter(flow.parameters, segments, &dy, std::iter::repeat_n(0, texts.ids.len()));
                }
                flow.spare.give(dy);
            }
            Self::Linear { x, weight, bias } => {
                linear_backward(&x, &weight, &bias, &dy, flow)?;
                flow.spare.give(dy);
                flow.spare.give_back(x.values);
            }
            Self::LayerNorm { x, residual, scale, shift, epsilon } => {
                let mut dx = flow.spare.take(dy.len());
                let added = residual.as_ref().map_or(&[][..], |residual| &residual.values);
                let width = scale.var.elem_count();
                let (mut dscale, mut dshift) = (vec![0.0; width], vec![0.0; width]);
                numbers(&scale.var, |scale| {
                    layer_norm::backward(&mut dx, &mut dscale, &mut dshift, &x.values, added, scale, &dy, epsilon);
                })?;
                simd::add_assign(flow.parameters.dense_to_add(scale.place, width), &dscale);
                simd::add_assign(flow.parameters.dense_to_add(shift.place, width), &dshift);
                if let Some(residual) = residual {
                    dy.copy_from_slice(&dx);
                    flow.give(residual, dy);
                } else {
                    flow.spare.give(dy);
                }
                flow.give(x, dx);
            }
            Self::Gelu { x } => {
                gelu::backward(&mut dy, &x.values);
                flow.give(x, dy);
            }
            Self::Tanh { x } => {
                for (dy, y) in dy.iter_mut().zip(output.values.iter()) {
                    *dy *= 1.0 - y * y;
                }
                flow.give(x, dy);
            }
            Self::Relu { x } => {
                for (dy, x) in dy.iter_mut().zip(x.values.iter()) {
                    if *x <= 0.0 {
                        *dy = 0.0;
                    }
                }
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
            Self::FirstToken { x } => {
                let mut dx = flow.spare.take(x.values.len());
                pooling::first_token_backward(texts.batch, &mut dx, &dy);
                flow.give(x, dx);
            }
            Self::MeanTokens { x } => {
                let mut dx = flow.spare.take(x.values.len());
                pooling::mean_tokens_backward(texts.batch, &mut dx, &dy);
                flow.give(x, dx);
            }
        }
        flow.spare.give_back(output.values);
        Ok(())
    }
}

fn linear_backward(x: &Node, weight: &Parameter, bias: &Parameter, dy: &[f32], flow: &mut Flow<'_>) -> Result<(), NnError> {
    let (outputs, inputs) = (weight.var.dims()[0], weight.var.dims()[1]);
    let (dw, into) = flow.parameters.dense(weight.place, outputs * inputs);
    linear::weight_backward(dw, into, &x.values, dy, outputs);
    linear::add_rows(flow.parameters.dense_to_add(bias.place, outputs), dy);
    let (dx, into) = flow.at(x);
    numbers(&weight.var, |weight| linear::input_backward(dx, into, weight, dy, outputs))
}

/// Runs `with` on a parameter's numbers, or on none.
fn optional<R>(parameter: Option<&Parameter>, with: impl FnOnce(&[f32]) -> R) -> Result<R, NnError> {
    match parameter {
        Some(parameter) => numbers(&parameter.var, with),
        None => Ok(with(&[])),
    }
}

/// Adds the gradient of rows to the table entries they came from.
fn scatter(gradients: &mut Gradients, table: &Parameter, dy: &[f32], entries: impl Iterator<Item = u32>) {
    let (rows, width) = (table.var.dims()[0], table.var.dims()[1]);
    gradients.add_rows(table.place, (rows, width), entries, dy);
}
