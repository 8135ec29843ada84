//! Where gradients of parameters are gathered: one buffer a parameter, kept from step to step.

use rayon::prelude::*;

use super::held::Entry;
use super::kernels::matmul::Into;
use super::spare::Spare;
use super::{Snapshot, Weights};

/// Numbers a thread works on at a time, and over which squares are summed before they are summed
/// over all: fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 1 << 14;

/// The gradient of every parameter that is trained, accumulated over texts; a frozen one has no room.
///
/// Tables of embeddings are held as the few entries that were touched: a step of a thousand
/// tokens touches some six hundred of thirty thousand.
#[derive(Debug)]
pub struct Gradients {
    slots: Vec<Slot>,
    /// What operations give frozen parameters goes here, and is forgotten.
    lost: Vec<f32>,
    /// Buffers that the passes over the texts compute in.
    pub(crate) spare: Spare,
}

#[derive(Debug)]
enum Slot {
    /// The parameter is frozen.
    Frozen,
    /// No operation has touched the parameter. Holds the buffer of an earlier step.
    Untouched(Vec<f32>),
    /// Every number, row-major.
    Dense(Vec<f32>),
    /// Entries of a table.
    Rows(RowSums),
}

/// Sums for some rows of a table.
#[derive(Debug, Default)]
pub(crate) struct RowSums {
    width: usize,
    /// For every row of the table its place among the sums plus one, or zero.
    places: Vec<u32>,
    /// The rows that have a sum, in order of first touch.
    touched: Vec<u32>,
    values: Vec<f32>,
}

impl RowSums {
    fn new(rows: usize, width: usize) -> Self {
        Self { width, places: vec![0; rows], touched: Vec::new(), values: Vec::new() }
    }

    fn add(&mut self, row: u32, values: &[f32]) {
        let place = &mut self.places[row as usize];
        if *place == 0 {
            self.touched.push(row);
            *place = u32::try_from(self.touched.len()).expect("a table has fewer rows than u32::MAX; this is a bug");
            self.values.extend_from_slice(values);
        } else {
            let start = (*place as usize - 1) * self.width;
            super::kernels::simd::add_assign(&mut self.values[start..start + self.width], values);
        }
    }

    /// The rows that have a sum, with it.
    fn sums(&self) -> impl Iterator<Item = (u32, &[f32])> {
        self.touched.iter().copied().zip(self.values.chunks_exact(self.width.max(1)))
    }

    fn clear(&mut self) {
        for row in self.touched.drain(..) {
            self.places[row as usize] = 0;
        }
        self.values.clear();
    }

    /// The sum of one row, if it has one.
    pub(crate) fn row(&self, row: usize) -> Option<&[f32]> {
        let place = self.places[row] as usize;
        (place > 0).then(|| &self.values[(place - 1) * self.width..place * self.width])
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }
}

/// One parameter's gradient, for an optimiser.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Gradient<'a> {
    /// No operation touched the parameter.
    None,
    /// Every number.
    Dense(&'a [f32]),
    /// Some rows of a table; the others' gradient is zero.
    Rows(&'a RowSums),
}

impl Gradients {
    /// Room for the gradients of `weights`, all zero.
    #[must_use]
    pub fn new(weights: &Weights) -> Self {
        let slot = |entry: &Entry| if entry.trained().is_some() { Slot::Untouched(Vec::new()) } else { Slot::Frozen };
        Self { slots: weights.entries().iter().map(slot).collect(), lost: Vec::new(), spare: Spare::default() }
    }

    /// Sets every gradient to zero, keeping the memory.
    pub fn clear(&mut self) {
        for slot in &mut self.slots {
            match slot {
                Slot::Frozen | Slot::Untouched(_) => {}
                Slot::Dense(values) => *slot = Slot::Untouched(std::mem::take(values)),
                Slot::Rows(rows) => rows.clear(),
            }
        }
    }

    /// A copy by name, in the shapes of `weights`; `None` for a parameter that no operation
    /// touched, which is how a cut graph shows.
    #[must_use]
    pub fn get(&self, weights: &Weights, name: &str) -> Option<Vec<f32>> {
        let place = weights.names().position(|found| found == name)?;
        match self.gradient(place) {
            Gradient::None => None,
            Gradient::Dense(values) => Some(values.to_vec()),
            Gradient::Rows(rows) => {
                let row = |row| rows.row(row).map_or_else(|| vec![0.0; rows.width], <[f32]>::to_vec);
                Some((0..rows.places.len()).flat_map(row).collect())
            }
        }
    }

    /// A copy of all that is trained, zero where nothing was touched.
    #[must_use]
    pub fn snapshot(&self, weights: &Weights) -> Snapshot {
        let copy = |entry: &Entry| {
            let values = self.get(weights, &entry.name).unwrap_or_else(|| vec![0.0; entry.count()]);
            (entry.name.clone(), entry.shape.clone(), values)
        };
        Snapshot::from_sorted(weights.entries().iter().filter(|entry| entry.trained().is_some()).map(copy).collect())
    }

    /// Adds another shard's gradients.
    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, other) in self.slots.iter_mut().zip(&other.slots) {
            match other {
                Slot::Frozen | Slot::Untouched(_) => {}
                Slot::Dense(values) => {
                    let (sums, into) = mine.dense(values.len());
                    let pairs = sums.par_chunks_mut(CHUNK).zip(values.par_chunks(CHUNK));
                    match into {
                        Into::Replace => pairs.for_each(|(sums, values)| sums.copy_from_slice(values)),
                        Into::Add | Into::Resume => pairs.for_each(|(sums, values)| super::kernels::simd::add_assign(sums, values)),
                    }
                }
                Slot::Rows(rows) => mine.add_rows((rows.places.len(), rows.width), rows.sums()),
            }
        }
    }

    /// The norm of all gradients as one vector.
    #[must_use]
    pub fn norm(&self) -> f64 {
        let squares = |values: &[f32]| -> f64 {
            let chunks: Vec<f64> = values.par_chunks(CHUNK).map(super::optim::squares).collect();
            chunks.iter().sum()
        };
        let slot = |slot: &Slot| match slot {
            Slot::Frozen | Slot::Untouched(_) => 0.0,
            Slot::Dense(values) => squares(values),
            Slot::Rows(rows) => squares(&rows.values),
        };
        self.slots.iter().map(slot).sum::<f64>().sqrt()
    }

    pub(crate) fn gradient(&self, place: usize) -> Gradient<'_> {
        match &self.slots[place] {
            Slot::Frozen | Slot::Untouched(_) => Gradient::None,
            Slot::Dense(values) => Gradient::Dense(values),
            Slot::Rows(rows) if rows.touched.is_empty() => Gradient::None,
            Slot::Rows(rows) => Gradient::Rows(rows),
        }
    }

    /// A buffer of `len` numbers, and whether it already holds a sum.
    pub(crate) fn dense(&mut self, place: usize, len: usize) -> (&mut [f32], Into) {
        if let Slot::Frozen = self.slots[place] {
            self.lost.resize(len.max(self.lost.len()), 0.0);
            return (&mut self.lost[..len], Into::Replace);
        }
        self.slots[place].dense(len)
    }

    /// A buffer of `len` numbers to add to.
    pub(crate) fn dense_to_add(&mut self, place: usize, len: usize) -> &mut [f32] {
        let (sums, into) = self.dense(place, len);
        if into == Into::Replace {
            sums.fill(0.0);
        }
        sums
    }

    /// Bytes of memory that gradients take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let slot = |slot: &Slot| match slot {
            Slot::Frozen => 0,
            Slot::Untouched(values) | Slot::Dense(values) => values.capacity(),
            Slot::Rows(rows) => rows.values.capacity() + rows.places.capacity() + rows.touched.capacity(),
        };
        size_of::<f32>() * (self.slots.iter().map(slot).sum::<usize>() + self.lost.capacity())
    }

    /// Adds rows of numbers to the named rows of a table of this size.
    pub(crate) fn add_rows(&mut self, place: usize, (rows, width): (usize, usize), named: impl Iterator<Item = u32>, values: &[f32]) {
        self.slots[place].add_rows((rows, width), named.zip(values.chunks_exact(width)));
    }
}

impl Slot {
    /// A buffer of `len` numbers, and whether it already holds a sum. A table of which some rows were
    /// touched becomes dense: a decoder tied to it touches them all.
    fn dense(&mut self, len: usize) -> (&mut [f32], Into) {
        let (mut values, into) = match std::mem::replace(self, Self::Untouched(Vec::new())) {
            Self::Dense(values) => (values, Into::Add),
            Self::Untouched(values) => (values, Into::Replace),
            Self::Frozen => unreachable!("a frozen parameter's gradient goes elsewhere; this is a bug"),
            Self::Rows(rows) if rows.touched.is_empty() => (Vec::new(), Into::Replace),
            Self::Rows(rows) => {
                let mut values = vec![0.0; len];
                rows.sums().for_each(|(row, sum)| values[row as usize * rows.width..][..rows.width].copy_from_slice(sum));
                (values, Into::Add)
            }
        };
        values.resize(len, 0.0);
        *self = Self::Dense(values);
        match self {
            Self::Dense(values) => (values, into),
            Self::Frozen | Self::Untouched(_) | Self::Rows(_) => unreachable!("just made dense; this is a bug"),
        }
    }

    /// Adds to rows of a table of this size.
    fn add_rows<'a>(&mut self, (rows, width): (usize, usize), sums: impl Iterator<Item = (u32, &'a [f32])>) {
        if let Self::Untouched(_) = self {
            *self = Self::Rows(RowSums::new(rows, width));
        }
        match self {
            Self::Rows(mine) => sums.for_each(|(row, values)| mine.add(row, values)),
            Self::Dense(mine) => {
                sums.for_each(|(row, values)| super::kernels::simd::add_assign(&mut mine[row as usize * width..][..width], values));
            }
            Self::Frozen => {}
            Self::Untouched(_) => unreachable!("just made a table; this is a bug"),
        }
    }
}
