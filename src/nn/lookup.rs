//! The sum of table entries on the tape: word, segment 0, position; whole tables and packed ones.

use super::NnError;
use super::backward::{Flow, Texts};
use super::held::{Parameter, Stored};
use super::kernels::embedding;
use super::kernels::matmul::Into;
use super::ragged::Ragged;
use super::tape::{Kernel, Node, Tape};
use super::weights::numbers;

/// The tables of an embedding, as parameters.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) words: Stored,
    pub(crate) positions: Option<Stored>,
    pub(crate) first_position: usize,
    pub(crate) segments: Option<Stored>,
    pub(crate) scale: Option<f32>,
}

impl Tape {
    pub(crate) fn embed(&mut self, batch: &Ragged, ids: &[u32], tables: Tables) -> Result<Node, NnError> {
        let (_, width) = tables.words.dims();
        let mut sum = self.spare.take(ids.len() * width);
        look_up(&mut sum, Into::Replace, &tables.words, ids.iter().map(|&id| id as usize))?;
        if let Some(segments) = &tables.segments {
            look_up(&mut sum, Into::Add, segments, std::iter::repeat_n(0, ids.len()))?;
        }
        if let Some(positions) = &tables.positions {
            look_up(&mut sum, Into::Add, positions, batch.positions().map(|position| position + tables.first_position))?;
        }
        if let Some(scale) = tables.scale {
            sum.iter_mut().for_each(|number| *number *= scale);
        }
        Ok(self.push(sum, || Kernel::Embed { tables }))
    }
}

impl Tables {
    /// Gives every touched entry of a trained table its gradient.
    pub(super) fn backward(&self, mut dy: Vec<f32>, texts: Texts<'_>, flow: &mut Flow<'_>) {
        if let Some(scale) = self.scale {
            dy.iter_mut().for_each(|dy| *dy *= scale);
        }
        scatter(flow, &self.words, &dy, texts.ids.iter().copied());
        if let Some(positions) = &self.positions {
            scatter(flow, positions, &dy, texts.batch.positions().map(|position| (position + self.first_position) as u32));
        }
        if let Some(segments) = &self.segments {
            scatter(flow, segments, &dy, std::iter::repeat_n(0, texts.ids.len()));
        }
        flow.spare.give(dy);
    }
}

/// Puts or adds the entries of one table.
fn look_up(sum: &mut [f32], into: Into, table: &Stored, entries: impl Iterator<Item = usize>) -> Result<(), NnError> {
    let (_, width) = table.dims();
    match table {
        Stored::Whole(table) => numbers(&table.var, |table| embedding::whole(sum, into, table, width, entries)),
        Stored::Packed(table) => {
            embedding::packed(sum, into, table, entries);
            Ok(())
        }
        Stored::OnDevice(_) => Err(NnError::rows("embedding", "a table in the processor's memory", "one on a device")),
    }
}

/// Adds the gradient of rows to the table entries they came from.
fn scatter(flow: &mut Flow<'_>, table: &Stored, dy: &[f32], entries: impl Iterator<Item = u32>) {
    if let Stored::Whole(Parameter { place, trained: true, .. }) = table {
        flow.parameters.add_rows(*place, table.dims(), entries, dy);
    }
}
