//! The interpreter that computes: a network's operations on real rows, now.

mod attend;
mod dense;
mod segment;

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::cache::Reading;
use super::held::{LinearWeights, Parameter};
use super::kernels::dropout;
use super::lookup::Tables;
use super::ragged::{Ragged, RowKind};
use super::random::{Keep, fold};
use super::tape::{Node, Tape};
use super::weights::numbers;
use super::{
    Attention, BinaryOp, Decode, Embedding, Embeddings, Gradients, Linear, NnError, Norm, Ops, ParamSpec, RmsNorm, Rotary, UnaryOp,
    Weights, composite,
};
use segment::Segment;

/// What the rows are computed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Answers: no dropout, nothing kept for backward.
    Eval,
    /// Learning: dropout, and a record for [`Eager::backward`].
    Train {
        /// Dropout masks grow from this seed, the text's key, the row and the column; give every
        /// step another.
        seed: u64,
    },
}

/// Which operations compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Fused kernels of our own; the processor's memory only.
    Kernels,
    /// candle's differentiable operations; any device.
    Composite,
}

/// Rows of numbers, `[rows, width]`, of tokens or of texts.
#[derive(Debug, Clone)]
pub struct Rows {
    kind: RowKind,
    rows: usize,
    width: usize,
    numbers: Numbers,
}

#[derive(Debug, Clone)]
enum Numbers {
    Node(Node),
    Tensor(Tensor),
}

impl Rows {
    /// What a row stands for.
    #[must_use]
    pub fn kind(&self) -> RowKind {
        self.kind
    }

    /// Number of rows, at least one.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// A copy of the numbers, row-major.
    ///
    /// # Errors
    /// [`NnError::Tensor`] when a device cannot be read.
    pub fn to_vec(&self) -> Result<Vec<f32>, NnError> {
        match &self.numbers {
            Numbers::Node(node) => Ok(node.values.to_vec()),
            Numbers::Tensor(tensor) => numbers(tensor, <[f32]>::to_vec),
        }
    }

    fn node(&self) -> Result<&Node, NnError> {
        match &self.numbers {
            Numbers::Node(node) => Ok(node),
            Numbers::Tensor(_) => Err(NnError::rows("eager", "rows of this interpreter", "rows of another")),
        }
    }

    fn tensor(&self) -> Result<&Tensor, NnError> {
        match &self.numbers {
            Numbers::Tensor(tensor) => Ok(tensor),
            Numbers::Node(_) => Err(NnError::rows("eager", "rows of this interpreter", "rows of another")),
        }
    }
}

/// Computes a network on one batch, on one thread.
///
/// Logits of a text do not depend on the texts beside it: with kernels they are the same bit for
/// bit. In training one `Eager` serves one forward pass and one [`Eager::backward`].
#[derive(Debug)]
pub struct Eager<'w> {
    weights: &'w Weights,
    batch: Arc<Ragged>,
    ids: Vec<u32>,
    mode: Mode,
    path: Path,
    /// Dropout places passed so far: each has its own masks.
    places: u64,
    /// Angles of rotations met so far.
    angles: Vec<(Rotary, Arc<Vec<f32>>)>,
    tape: Tape,
    gradients: Gradients,
    /// Whether segments are run again instead of remembered, and whether one is being run.
    checkpointing: bool,
    forgetting: bool,
    segments: Vec<Segment<'w>>,
    cache: Option<Reading>,
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
        Ok(Self {
            weights,
            batch: Arc::new(Ragged::new(ids.len(), offsets)?),
            ids: ids.to_vec(),
            mode,
            path,
            places: 0,
            angles: Vec::new(),
            tape: Tape::new(mode != Mode::Eval),
            gradients: Gradients::new(weights),
            checkpointing: false,
            forgetting: false,
            segments: Vec::new(),
            cache: None,
        })
    }

    /// Adds gradients to `gradients`, which were made for the same weights, instead of new ones,
    /// and computes in their buffers.
    #[must_use]
    pub fn with_gradients(mut self, mut gradients: Gradients) -> Self {
        self.tape.spare = std::mem::take(&mut gradients.spare);
        self.gradients = gradients;
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

    /// Asks about these rows of tokens, ascending: what `Decode::marked`
    /// then picks.
    ///
    /// # Errors
    /// [`NnError::Rows`] unless they rise strictly and are rows of the batch.
    pub fn with_marked(mut self, marked: Vec<usize>) -> Result<Self, NnError> {
        self.batch = Arc::new(self.batch.with_marked(marked)?);
        Ok(self)
    }

    /// Saves memory in training: of every [`Ops::segment`] its input alone is remembered, and it is
    /// run once more on the way back, which gives the same gradients.
    #[must_use]
    pub fn with_checkpointing(mut self) -> Self {
        self.checkpointing = true;
        self
    }

    /// Bytes of rows that the kernels have remembered for the way back so far.
    #[must_use]
    pub fn remembered_bytes(&self) -> usize {
        size_of::<f32>() * self.tape.remembered()
    }

    /// Gradients of `sum(output * gradient)` for every parameter, where `gradient` is that of a
    /// loss for `output`, row-major.
    ///
    /// # Errors
    /// [`NnError::Rows`] in evaluation, or for a gradient of another size.
    pub fn backward(mut self, output: &Rows, gradient: Vec<f32>) -> Result<Gradients, NnError> {
        if self.mode == Mode::Eval {
            return Err(NnError::rows("backward", "an interpreter in training", "one in evaluation"));
        }
        if gradient.len() != output.rows * output.width {
            return Err(NnError::rows("backward", format!("{} numbers", output.rows * output.width), gradient.len().to_string()));
        }
        let mut gradients = std::mem::replace(&mut self.gradients, Gradients::new(self.weights));
        match &output.numbers {
            Numbers::Node(output) => self.kernels_back(output, gradient, &mut gradients).map(drop)?,
            Numbers::Tensor(output) => self.tensors_back(output, gradient, &mut gradients)?,
        }
        Ok(gradients)
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

    /// A parameter as candle's own operations take it: followed by gradients in training alone.
    fn tracked(&self, parameter: &Parameter) -> Tensor {
        match self.mode {
            Mode::Train { .. } if parameter.trained && !self.forgetting => parameter.var.as_tensor().clone(),
            Mode::Train { .. } | Mode::Eval => parameter.var.as_detached_tensor(),
        }
    }

    fn check_ids(&self, tables: &Embeddings) -> Result<(), NnError> {
        let beyond = |table: &Embedding, found| Err(NnError::Entry { table: table.name.clone(), rows: table.rows, found });
        if let Some(&id) = self.ids.iter().find(|&&id| id as usize >= tables.words.rows) {
            return beyond(&tables.words, id as usize);
        }
        let last = self.batch.positions().max().map(|last| last + tables.first_position);
        match (&tables.positions, last) {
            (Some(table), Some(last)) if last >= table.rows => beyond(table, last),
            _ => Ok(()),
        }
    }

    /// Some rows of `x`, which then are of this kind.
    fn pick(&mut self, kind: RowKind, x: &Rows, rows: Vec<usize>) -> Result<Rows, NnError> {
        let numbers = match self.path {
            Path::Kernels => Numbers::Node(self.tape.pick(x.node()?, rows, x.width)),
            Path::Composite => Numbers::Tensor(composite::pick(&rows, x.tensor()?)?),
        };
        Ok(self.rows(kind, x.width, numbers))
    }

    fn rows(&self, kind: RowKind, width: usize, numbers: Numbers) -> Rows {
        Rows { kind, rows: self.batch.rows(kind), width, numbers }
    }
}

fn width_is(operation: &'static str, x: &Rows, width: usize) -> Result<(), NnError> {
    if x.width == width { Ok(()) } else { Err(NnError::rows(operation, format!("rows of {width}"), format!("rows of {}", x.width))) }
}

fn alike(operation: &'static str, x: &Rows, y: &Rows) -> Result<(), NnError> {
    let told = |rows: &Rows| format!("rows of {:?}, {} wide", rows.kind, rows.width);
    if (x.kind, x.width) == (y.kind, y.width) { Ok(()) } else { Err(NnError::rows(operation, told(x), told(y))) }
}

fn of_tokens(operation: &'static str, x: &Rows) -> Result<(), NnError> {
    if x.kind == RowKind::Tokens { Ok(()) } else { Err(NnError::rows(operation, "rows of tokens", "rows of texts")) }
}

impl Decode for Eager<'_> {
    fn marked(&mut self, x: &Rows) -> Result<Rows, NnError> {
        of_tokens("marked tokens", x)?;
        self.pick(RowKind::Marked, x, self.batch.marked().to_vec())
    }

    fn decode(&mut self, words: &Embedding, bias: Option<&ParamSpec>, x: &Rows) -> Result<Rows, NnError> {
        width_is("decoder", x, words.width)?;
        let bias = bias.map(|bias| self.weights.named(bias)).transpose()?;
        let layer = LinearWeights { weight: self.weights.embedding(words)?, bias, adapter: None };
        let numbers = self.dense(layer, x)?;
        Ok(self.rows(x.kind, words.rows, numbers))
    }
}

impl<'w> Ops for Eager<'w> {
    type Value = Rows;
    type Error = NnError;

    fn embed(&mut self, tables: &Embeddings) -> Result<Rows, NnError> {
        self.check_ids(tables)?;
        let find = |table: &Option<Embedding>| table.as_ref().map(|table| self.weights.embedding(table)).transpose();
        let numbers = self.look_up(Tables {
            words: self.weights.embedding(&tables.words)?,
            positions: find(&tables.positions)?,
            first_position: tables.first_position,
            segments: find(&tables.segments)?,
            scale: tables.scale,
        })?;
        Ok(self.rows(RowKind::Tokens, tables.words.width, numbers))
    }

    fn linear(&mut self, layer: &Linear, x: &Rows) -> Result<Rows, NnError> {
        width_is("linear", x, layer.inputs)?;
        let numbers = self.dense(self.weights.linear(layer)?, x)?;
        Ok(self.rows(x.kind, layer.outputs, numbers))
    }

    fn layer_norm(&mut self, layer: &Norm, x: &Rows, residual: Option<&Rows>) -> Result<Rows, NnError> {
        width_is("layer norm", x, layer.width)?;
        if let Some(residual) = residual {
            alike("residual of a layer norm", x, residual)?;
        }
        let (scale, shift) = self.weights.norm(layer)?;
        let numbers = match self.path {
            Path::Kernels => {
                let residual = residual.map(Rows::node).transpose()?;
                Numbers::Node(self.tape.layer_norm(x.node()?, residual, (scale, shift), layer.epsilon as f32)?)
            }
            Path::Composite => {
                let x = match residual {
                    Some(residual) => x.tensor()?.add(residual.tensor()?)?,
                    None => x.tensor()?.clone(),
                };
                let shift = shift.map(|shift| self.tracked(&shift));
                Numbers::Tensor(composite::layer_norm(&x, &self.tracked(&scale), shift.as_ref(), layer.epsilon)?)
            }
        };
        Ok(self.rows(x.kind, layer.width, numbers))
    }

    fn rms_norm(&mut self, layer: &RmsNorm, x: &Rows) -> Result<Rows, NnError> {
        if layer.width == 0 || !x.width.is_multiple_of(layer.width) {
            let expected = format!("rows of a multiple of {}", layer.width);
            return Err(NnError::rows("root mean square norm", expected, format!("rows of {}", x.width)));
        }
        let scale = self.weights.named(&layer.weight())?;
        let offset = if layer.unit_offset { 1.0 } else { 0.0 };
        let numbers = match self.path {
            Path::Kernels => Numbers::Node(self.tape.rms_norm(x.node()?, scale, offset, layer.epsilon as f32)?),
            Path::Composite => Numbers::Tensor(composite::rms_norm(x.tensor()?, &self.tracked(&scale), f64::from(offset), layer.epsilon)?),
        };
        Ok(self.rows(x.kind, x.width, numbers))
    }

    fn unary(&mut self, op: UnaryOp, x: &Rows) -> Result<Rows, NnError> {
        if let UnaryOp::SoftCap(cap) = op
            && cap <= 0.0
        {
            return Err(NnError::Setting { what: "a soft cap", expected: "above 0", found: cap.to_string() });
        }
        let numbers = match self.path {
            Path::Kernels => Numbers::Node(self.tape.unary(op, x.node()?)),
            Path::Composite => Numbers::Tensor(composite::unary(op, x.tensor()?)?),
        };
        Ok(self.rows(x.kind, x.width, numbers))
    }

    fn binary(&mut self, op: BinaryOp, x: &Rows, y: &Rows) -> Result<Rows, NnError> {
        alike("an elementwise function", x, y)?;
        let numbers = match (self.path, op) {
            (Path::Kernels, _) => Numbers::Node(self.tape.binary(op, x.node()?, y.node()?)),
            (Path::Composite, BinaryOp::Add) => Numbers::Tensor(x.tensor()?.add(y.tensor()?)?),
            (Path::Composite, BinaryOp::Multiply) => Numbers::Tensor(x.tensor()?.mul(y.tensor()?)?),
        };
        Ok(self.rows(x.kind, x.width, numbers))
    }

    fn columns(&mut self, x: &Rows, first: usize, width: usize) -> Result<Rows, NnError> {
        if width == 0 || first + width > x.width {
            return Err(NnError::rows("columns", format!("rows of at least {}", first + width), format!("rows of {}", x.width)));
        }
        let numbers = match self.path {
            Path::Kernels => Numbers::Node(self.tape.columns(x.node()?, x.width, first, first + width)),
            Path::Composite => Numbers::Tensor(x.tensor()?.narrow(1, first, width)?.contiguous()?),
        };
        Ok(self.rows(x.kind, width, numbers))
    }

    fn rotate(&mut self, rotary: &Rotary, x: &Rows) -> Result<Rows, NnError> {
        of_tokens("rotation", x)?;
        if !rotary.head_width.is_multiple_of(2) || !x.width.is_multiple_of(rotary.head_width) {
            let expected = format!("rows of heads of {}, an even width", rotary.head_width);
            return Err(NnError::rows("rotation", expected, format!("rows of {}", x.width)));
        }
        let op = self.rotation(rotary);
        let numbers = match self.path {
            Path::Kernels => Numbers::Node(self.tape.rotate(x.node()?, op)),
            Path::Composite => Numbers::Tensor(composite::rotate(x.tensor()?, &op)?),
        };
        Ok(self.rows(x.kind, x.width, numbers))
    }

    fn dropout(&mut self, p: f64, x: &Rows) -> Result<Rows, NnError> {
        let Some((keep, place)) = self.next_place(p)? else { return Ok(x.clone()) };
        let op = dropout::Dropout { batch: self.batch.clone(), kind: x.kind, keep, place };
        let numbers = match self.path {
            Path::Kernels => Numbers::Node(self.tape.dropout(x.node()?, op)),
            Path::Composite => Numbers::Tensor(composite::dropout(x.tensor()?, &op)?),
        };
        Ok(self.rows(x.kind, x.width, numbers))
    }

    fn attention(&mut self, shape: &Attention, query: &Rows, key: &Rows, value: &Rows) -> Result<Rows, NnError> {
        self.attend(shape, query, key, value)
    }

    fn first_token(&mut self, x: &Rows) -> Result<Rows, NnError> {
        of_tokens("first token", x)?;
        self.pick(RowKind::Texts, x, self.batch.firsts().to_vec())
    }

    fn last_token(&mut self, x: &Rows) -> Result<Rows, NnError> {
        of_tokens("last token", x)?;
        self.pick(RowKind::Texts, x, self.batch.lasts())
    }

    fn mean_tokens(&mut self, x: &Rows) -> Result<Rows, NnError> {
        of_tokens("mean of tokens", x)?;
        let numbers = match self.path {
            Path::Kernels => Numbers::Node(self.tape.mean_tokens(&self.batch, x.node()?, x.width)),
            Path::Composite => Numbers::Tensor(composite::mean_tokens(&self.batch, x.tensor()?)?),
        };
        Ok(self.rows(RowKind::Texts, x.width, numbers))
    }

    fn segment<F>(&mut self, x: &Rows, run: F) -> Result<Rows, NnError>
    where
        F: Fn(&mut Self, &Rows) -> Result<Rows, NnError> + 'static,
    {
        if self.forgets() { self.run_segment(x, Box::new(run)) } else { run(self, x) }
    }
}
