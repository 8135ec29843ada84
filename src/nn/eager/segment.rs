//! Parts of a network whose insides are not remembered: run once for their result, and once more on
//! the way back for their gradients (Chen et al. 2016, arXiv:1604.06174).
//!
//! The second run is the first again, bit for bit: an interpreter of the same texts that begins at
//! the same dropout place. A part inside a part is run with it and is none of its own.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use super::{Eager, Mode, NnError, Numbers, Rows};
use crate::nn::backward::Texts;
use crate::nn::composite;
use crate::nn::gradients::Gradients;
use crate::nn::ragged::RowKind;
use crate::nn::tape::{Node, Tape};

/// A part of a network: a function of rows.
type Run<'w> = Box<dyn Fn(&mut Eager<'w>, &Rows) -> Result<Rows, NnError>>;

/// A part that was run and not remembered.
pub(super) struct Segment<'w> {
    run: Run<'w>,
    /// Dropout places passed before it.
    places: u64,
    /// What its input's rows were.
    kind: RowKind,
    width: usize,
    /// With candle's operations its input, as far as it is known where from, and its result, of
    /// which nothing is known.
    tensors: Option<(Tensor, Var)>,
}

impl std::fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment").field("places", &self.places).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl<'w> Eager<'w> {
    /// Whether a part is run without being remembered.
    pub(super) fn forgets(&self) -> bool {
        self.checkpointing && !self.forgetting && self.mode != Mode::Eval
    }

    /// Runs a part and remembers its input alone.
    pub(super) fn run_segment(&mut self, x: &Rows, run: Run<'w>) -> Result<Rows, NnError> {
        let (places, steps) = (self.places, self.tape.forget());
        self.forgetting = true;
        let detached = match &x.numbers {
            Numbers::Node(_) => x.clone(),
            Numbers::Tensor(tensor) => Rows { numbers: Numbers::Tensor(tensor.detach()), ..x.clone() },
        };
        let result = run(self, &detached);
        self.forgetting = false;
        self.tape.remember(steps);
        let mut output = result?;

        let mut segment = Segment { run, places, kind: x.kind, width: x.width, tensors: None };
        match (&x.numbers, &mut output.numbers) {
            (Numbers::Node(x), Numbers::Node(output)) => {
                if x.id == output.id {
                    return Ok(detached);
                }
                self.tape.segment(x, output, self.segments.len());
            }
            (Numbers::Tensor(x), Numbers::Tensor(output)) => {
                let var = Var::from_tensor(&output.detach())?;
                *output = var.as_tensor().clone();
                segment.tensors = Some((x.clone(), var));
            }
            _ => return Err(NnError::rows("a segment", "rows of this interpreter", "rows of another")),
        }
        self.segments.push(segment);
        Ok(output)
    }

    /// An interpreter that runs a part again, from its input on.
    fn again(&self, segment: &Segment<'w>, input: Numbers) -> (Self, Rows) {
        let inner = Self {
            weights: self.weights,
            batch: self.batch.clone(),
            ids: self.ids.clone(),
            mode: self.mode,
            path: self.path,
            places: segment.places,
            angles: self.angles.clone(),
            tape: Tape::new(true),
            gradients: Gradients::new(self.weights),
            checkpointing: false,
            forgetting: false,
            segments: Vec::new(),
            cache: None,
        };
        let rows = inner.rows(segment.kind, segment.width, input);
        (inner, rows)
    }

    /// The way back over the kernels.
    pub(super) fn kernels_back(
        &mut self,
        output: &Node,
        gradient: Vec<f32>,
        gradients: &mut Gradients,
    ) -> Result<Option<Vec<f32>>, NnError> {
        let tape = std::mem::replace(&mut self.tape, Tape::new(false));
        let again = |index: usize, x: &Node, dy: Vec<f32>, gradients: &mut Gradients| {
            let segment = &self.segments[index];
            let (mut inner, mut input) = self.again(segment, Numbers::Node(x.clone()));
            inner.tape.spare = std::mem::take(&mut gradients.spare);
            input.numbers = Numbers::Node(inner.tape.leaf(x.values.clone()));
            let output = (segment.run)(&mut inner, &input)?;
            drop(input);
            inner.kernels_back(output.node()?, dy, gradients)
        };
        tape.backward(output, gradient, Texts { batch: &self.batch, ids: &self.ids, again: &again }, gradients)
    }

    /// The way back over candle's operations: from the result to the parts' results, and from each
    /// part, last first, to its input and what lies before.
    pub(super) fn tensors_back(&self, output: &Tensor, gradient: Vec<f32>, gradients: &mut Gradients) -> Result<(), NnError> {
        let gradient = Tensor::from_vec(gradient, output.shape(), output.device())?;
        let mut waiting: Vec<Option<Tensor>> = vec![None; self.segments.len()];
        let store = composite::backward(output, &gradient)?;
        self.gather(&store, &mut waiting, gradients)?;
        for (index, segment) in self.segments.iter().enumerate().rev() {
            let (Some((x, _)), Some(dy)) = (&segment.tensors, waiting[index].take()) else { continue };
            let input = Var::from_tensor(&x.detach())?;
            let (mut inner, rows) = self.again(segment, Numbers::Tensor(input.as_tensor().clone()));
            let output = (segment.run)(&mut inner, &rows)?;
            let store = composite::backward(output.tensor()?, &dy)?;
            composite::gather(self.weights, &store, gradients)?;
            if let Some(dx) = store.get(&input) {
                let store = composite::backward(x, dx)?;
                self.gather(&store, &mut waiting, gradients)?;
            }
        }
        Ok(())
    }

    /// Adds what reached the parameters, and the parts' results.
    fn gather(&self, store: &GradStore, waiting: &mut [Option<Tensor>], gradients: &mut Gradients) -> Result<(), NnError> {
        composite::gather(self.weights, store, gradients)?;
        for (segment, waiting) in self.segments.iter().zip(waiting) {
            let Some(new) = segment.tensors.as_ref().and_then(|(_, result)| store.get(result)) else { continue };
            *waiting = Some(match waiting.take() {
                Some(sum) => sum.add(new)?,
                None => new.clone(),
            });
        }
        Ok(())
    }
}
