//! The interpreter that computes: a network's operations on real rows, now.

use std::sync::Arc;

use candle_core::{Device, Tensor, Var};

use super::gradients::Ledger;
use super::kernels::{self, attention, dropout, gelu, layer_norm, linear, pooling};
use super::ragged::{Ragged, RowKind};
use super::random::{Keep, fold};
use super::weights::{Parameter, numbers};
use super::{Attention, Embedding, Gradients, Linear, NnError, Norm, Ops, UnaryOp, Weights, composite};

/// What the rows are computed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Answers: no dropout, nothing kept for backward.
    Eval,
    /// Learning: dropout, and a graph for [`Eager::backward`].
    Train {
        /// Dropout masks grow from this seed, the text's key, the row and the column; give every
        /// step another.
        seed: u64,
    },
}

/// Which operations compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// The fused kernels of [`kernels`]; the processor's memory only.
    Kernels,
    /// candle's own differentiable operations; any device.
    Composite,
}

/// Rows of numbers, `[rows, width]`, of tokens or of texts.
#[derive(Debug, Clone)]
pub struct Rows {
    tensor: Tensor,
    kind: RowKind,
}

impl Rows {
    /// What a row stands for.
    #[must_use]
    pub fn kind(&self) -> RowKind {
        self.kind
    }

    /// The rows as a tensor, `[rows, width]`.
    #[must_use]
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// Numbers a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.tensor.dims()[1]
    }

    /// A copy of the numbers, row-major.
    ///
    /// # Errors
    /// [`NnError::Tensor`] when a device cannot be read.
    pub fn to_vec(&self) -> Result<Vec<f32>, NnError> {
        numbers(&self.tensor, <[f32]>::to_vec)
    }
}

/// Computes a network on one batch, on one thread.
///
/// Logits of a text do not depend on the texts beside it. In training one `Eager` serves one
/// forward pass and one [`Eager::backward`].
#[derive(Debug)]
pub struct Eager<'w> {
    weights: &'w Weights,
    batch: Arc<Ragged>,
    ids: Vec<u32>,
    mode: Mode,
    path: Path,
    /// Dropout places passed so far: each has its own masks.
    places: u64,
    ledger: Ledger,
    leaves: Vec<Leaf>,
}

/// The output of an embedding in training: a variable, whose gradient goes to the tables' rows.
#[derive(Debug)]
struct Leaf {
    sum: Var,
    words: Parameter,
    positions: Parameter,
    segments: Parameter,
}

impl<'w> Eager<'w> {
    /// An interpreter for the texts `ids[offsets[i]..offsets[i + 1]]`: kernels where the weights
    /// lie in the processor's memory, candle's operations elsewhere.
    ///
    /// # Errors
    /// [`NnError::Offsets`] unless `offsets` starts at zero, rises strictly and ends at the number
    /// of ids.
    pub fn new(weights: &'w Weights, mode: Mode, ids: &[u32], offsets: &[u32]) -> Result<Self, NnError> {
        let path = if let Device::Cpu = weights.device() { Path::Kernels } else { Path::Composite };
        Self::with_path(weights, mode, ids, offsets, path)
    }

    /// As [`Eager::new`], with the operations chosen.
    ///
    /// # Errors
    /// As [`Eager::new`].
    pub fn with_path(weights: &'w Weights, mode: Mode, ids: &[u32], offsets: &[u32], path: Path) -> Result<Self, NnError> {
        let batch = Arc::new(Ragged::new(ids.len(), offsets)?);
        let ledger = Ledger::new(Gradients::new(weights));
        Ok(Self { weights, batch, ids: ids.to_vec(), mode, path, places: 0, ledger, leaves: Vec::new() })
    }

    /// Adds gradients to `gradients`, which were made for the same weights, instead of new ones.
    /// Comes before the forward pass, whose operations keep a handle on them.
    #[must_use]
    pub fn with_gradients(mut self, gradients: Gradients) -> Self {
        self.ledger = Ledger::new(gradients);
        self
    }

    /// Grows dropout masks from these keys, one a text, instead of the texts' positions in the
    /// batch. Keys that name a text whatever batch it stands in make a step's masks, and so its
    /// result, independent of how the step is split.
    ///
    /// # Errors
    /// [`NnError::Rows`] unless there is a key a text.
    pub fn with_text_keys(mut self, keys: Vec<u64>) -> Result<Self, NnError> {
        self.batch = Arc::new(self.batch.with_keys(keys)?);
        Ok(self)
    }

    /// Gradients of `sum(output * gradient)` for every parameter, where `gradient` is that of a
    /// loss for `output`, row-major.
    ///
    /// # Errors
    /// [`NnError::Rows`] in evaluation, or for a gradient of another size.
    pub fn backward(self, output: &Rows, gradient: Vec<f32>) -> Result<Gradients, NnError> {
        if self.mode == Mode::Eval {
            return Err(NnError::rows("backward", "an interpreter in training", "one in evaluation"));
        }
        if gradient.len() != output.tensor.elem_count() {
            return Err(NnError::rows("backward", format!("{} numbers", output.tensor.elem_count()), gradient.len().to_string()));
        }
        let gradient = Tensor::from_vec(gradient, output.tensor.shape(), self.weights.device())?;
        let store = output.tensor.mul(&gradient)?.sum_all()?.backward()?;
        let mut gradients = self.ledger.lock();
        for leaf in &self.leaves {
            let Some(rows) = store.get(&leaf.sum) else { continue };
            numbers(rows, |rows| leaf.scatter(&mut gradients, &self.batch, &self.ids, rows))?;
        }
        if self.path == Path::Composite {
            for (place, (_, var)) in self.weights.entries().iter().enumerate() {
                let Some(gradient) = store.get(var) else { continue };
                numbers(gradient, |gradient| {
                    kernels::simd::add_assign(gradients.dense_to_add(place, gradient.len()), gradient);
                })?;
            }
        }
        Ok(std::mem::replace(&mut *gradients, Gradients::none()))
    }

    /// The key of the next dropout place, or `None` where nothing is dropped.
    fn next_place(&mut self, p: f64) -> Result<Option<(Keep, u64)>, NnError> {
        if !(0.0..1.0).contains(&p) {
            return Err(NnError::Setting { what: "dropout", expected: "at least 0 and below 1", found: p.to_string() });
        }
        let Mode::Train { seed } = self.mode else { return Ok(None) };
        self.places += 1;
        Ok((p > 0.0).then(|| (Keep::new(p), fold(seed, self.places))))
    }

    fn ledger(&self, first: &Parameter, second: &Parameter) -> Option<(Ledger, usize, usize)> {
        (self.mode != Mode::Eval).then(|| (self.ledger.clone(), first.place, second.place))
    }

    /// A parameter as candle's own operations take it: followed by gradients in training alone.
    fn tensor(&self, parameter: &Parameter) -> Tensor {
        match self.mode {
            Mode::Eval => parameter.var.as_detached_tensor(),
            Mode::Train { .. } => parameter.var.as_tensor().clone(),
        }
    }

    fn check_ids(&self, words: &Embedding, positions: &Embedding) -> Result<(), NnError> {
        let beyond = |table: &Embedding, found| Err(NnError::Entry { table: table.name.clone(), rows: table.rows, found });
        if let Some(&id) = self.ids.iter().find(|&&id| id as usize >= words.rows) {
            return beyond(words, id as usize);
        }
        match self.batch.positions().max() {
            Some(last) if last >= positions.rows => beyond(positions, last),
            _ => Ok(()),
        }
    }

    fn rows(&self, tensor: Tensor, kind: RowKind) -> Rows {
        debug_assert_eq!(tensor.dims()[0], self.batch.rows(kind));
        Rows { tensor, kind }
    }
}

impl Leaf {
    /// Adds the gradient of the sum, `[tokens, width]`, to the entries it was made of.
    fn scatter(&self, gradients: &mut Gradients, batch: &Ragged, ids: &[u32], rows: &[f32]) {
        let size = |parameter: &Parameter| (parameter.var.dims()[0], parameter.var.dims()[1]);
        let (entries, width) = size(&self.words);
        gradients.add_rows(self.words.place, entries, width, ids.iter().copied(), rows);
        let (entries, width) = size(&self.positions);
        gradients.add_rows(self.positions.place, entries, width, batch.positions().map(|position| position as u32), rows);
        let (entries, width) = size(&self.segments);
        gradients.add_rows(self.segments.place, entries, width, std::iter::repeat_n(0, ids.len()), rows);
    }
}

fn width_is(operation: &'static str, x: &Rows, width: usize) -> Result<(), NnError> {
    if x.width() == width { Ok(()) } else { Err(NnError::rows(operation, format!("rows of {width}"), format!("rows of {}", x.width()))) }
}

fn of_tokens(operation: &'static str, x: &Rows) -> Result<(), NnError> {
    if x.kind == RowKind::Tokens { Ok(()) } else { Err(NnError::rows(operation, "rows of tokens", "rows of texts")) }
}

impl Ops for Eager<'_> {
    type Value = Rows;
    type Error = NnError;

    fn embed(&mut self, words: &Embedding, positions: &Embedding, segments: &Embedding) -> Result<Rows, NnError> {
        self.check_ids(words, positions)?;
        let width = words.width;
        let (words, positions, segments) =
            (self.weights.embedding(words)?, self.weights.embedding(positions)?, self.weights.embedding(segments)?);
        let tensor = match self.path {
            Path::Composite => {
                composite::embed(&self.batch, &self.ids, &self.tensor(&words), &self.tensor(&positions), &self.tensor(&segments))?
            }
            Path::Kernels => {
                let sum = kernels::read(&words.var, |words| {
                    kernels::read(&positions.var, |positions| {
                        kernels::read(&segments.var, |segments| {
                            Ok(kernels::embedding::forward(words, positions, segments, width, &self.ids, self.batch.positions()))
                        })
                    })
                })?;
                let shape = (self.ids.len(), width);
                match self.mode {
                    Mode::Eval => Tensor::from_vec(sum, shape, &Device::Cpu)?,
                    Mode::Train { .. } => {
                        let sum = Var::from_vec(sum, shape, &Device::Cpu)?;
                        let tensor = sum.as_tensor().clone();
                        self.leaves.push(Leaf { sum, words, positions, segments });
                        tensor
                    }
                }
            }
        };
        Ok(self.rows(tensor, RowKind::Tokens))
    }

    fn linear(&mut self, layer: &Linear, x: &Rows) -> Result<Rows, NnError> {
        width_is("linear", x, layer.inputs)?;
        let found = self.weights.linear(layer)?;
        let tensor = match self.path {
            Path::Composite => composite::linear(&x.tensor, &self.tensor(&found.weight), &self.tensor(&found.bias))?,
            Path::Kernels => x.tensor.apply_op1(linear::Linear {
                ledger: self.ledger(&found.weight, &found.bias),
                weight: found.weight.var.as_detached_tensor(),
                bias: found.bias.var.as_detached_tensor(),
                inputs: layer.inputs,
                outputs: layer.outputs,
            })?,
        };
        Ok(self.rows(tensor, x.kind))
    }

    fn layer_norm(&mut self, layer: &Norm, x: &Rows, residual: Option<&Rows>) -> Result<Rows, NnError> {
        width_is("layer norm", x, layer.width)?;
        if let Some(residual) = residual.filter(|residual| residual.tensor.dims() != x.tensor.dims() || residual.kind != x.kind) {
            return Err(NnError::rows(
                "layer norm",
                format!("a residual of {:?}", x.tensor.dims()),
                format!("{:?}", residual.tensor.dims()),
            ));
        }
        let (scale, shift) = self.weights.norm(layer)?;
        let tensor = match self.path {
            Path::Composite => {
                let sum = residual.map_or_else(|| Ok(x.tensor.clone()), |residual| x.tensor.add(&residual.tensor))?;
                composite::layer_norm(&sum, &self.tensor(&scale), &self.tensor(&shift), layer.epsilon)?
            }
            Path::Kernels => {
                let op = layer_norm::LayerNorm {
                    ledger: self.ledger(&scale, &shift),
                    scale: scale.var.as_detached_tensor(),
                    shift: shift.var.as_detached_tensor(),
                    width: layer.width,
                    epsilon: layer.epsilon as f32,
                };
                match residual {
                    Some(residual) => x.tensor.apply_op2(&residual.tensor, op)?,
                    None => x.tensor.apply_op1(op)?,
                }
            }
        };
        Ok(self.rows(tensor, x.kind))
    }

    fn unary(&mut self, op: UnaryOp, x: &Rows) -> Result<Rows, NnError> {
        let tensor = match (op, self.path) {
            (UnaryOp::Tanh, _) => x.tensor.tanh()?,
            (UnaryOp::Gelu, Path::Composite) => x.tensor.gelu_erf()?,
            (UnaryOp::Gelu, Path::Kernels) => x.tensor.apply_op1(gelu::Gelu)?,
        };
        Ok(self.rows(tensor, x.kind))
    }

    fn dropout(&mut self, p: f64, x: &Rows) -> Result<Rows, NnError> {
        let Some((keep, place)) = self.next_place(p)? else { return Ok(x.clone()) };
        let op = dropout::Dropout { batch: self.batch.clone(), kind: x.kind, keep, place };
        let tensor = match self.path {
            Path::Composite => composite::dropout(&x.tensor, &op)?,
            Path::Kernels => x.tensor.apply_op1(op)?,
        };
        Ok(self.rows(tensor, x.kind))
    }

    fn attention(&mut self, shape: &Attention, query: &Rows, key: &Rows, value: &Rows) -> Result<Rows, NnError> {
        for x in [query, key, value] {
            width_is("attention", x, shape.heads * shape.head_width)?;
        }
        of_tokens("attention keys", key)?;
        of_tokens("attention values", value)?;
        let op = attention::Attention {
            batch: self.batch.clone(),
            queries: query.kind,
            heads: shape.heads,
            head_width: shape.head_width,
            dropout: self.next_place(shape.dropout)?,
        };
        let tensor = match self.path {
            Path::Composite => composite::attention(&op, &query.tensor, &key.tensor, &value.tensor)?,
            Path::Kernels => query.tensor.apply_op3(&key.tensor, &value.tensor, op)?,
        };
        Ok(self.rows(tensor, query.kind))
    }

    fn first_token(&mut self, x: &Rows) -> Result<Rows, NnError> {
        of_tokens("first token", x)?;
        let tensor = match self.path {
            Path::Composite => composite::first_token(&self.batch, &x.tensor)?,
            Path::Kernels => x.tensor.apply_op1(pooling::FirstToken { batch: self.batch.clone() })?,
        };
        Ok(self.rows(tensor, RowKind::Texts))
    }

    fn mean_tokens(&mut self, x: &Rows) -> Result<Rows, NnError> {
        of_tokens("mean of tokens", x)?;
        let tensor = match self.path {
            Path::Composite => composite::mean_tokens(&self.batch, &x.tensor)?,
            Path::Kernels => x.tensor.apply_op1(pooling::MeanTokens { batch: self.batch.clone() })?,
        };
        Ok(self.rows(tensor, RowKind::Texts))
    }
}
