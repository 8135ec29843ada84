//! A matrix that is never held as `f32`: packed as it is read, widened a few rows at a time.

use super::Storage;
use super::int8::Int8;
use super::nf4::{BLOCK, Nf4};
use crate::nn::NnError;

/// Numbers widened or packed at a time, at most, where rows are shorter.
const CHUNK: usize = 1 << 16;

/// A frozen matrix or table, `[rows, columns]`, in less than `f32`.
#[derive(Debug)]
pub(crate) struct Packed {
    rows: usize,
    columns: usize,
    pub(crate) numbers: Numbers,
}

/// What is held.
#[derive(Debug)]
pub(crate) enum Numbers {
    Bf16(Vec<u16>),
    Nf4(Nf4),
    Int8(Int8),
}

impl Packed {
    /// Packs a matrix whose numbers `read` writes, some at a time in ascending order, from the flat
    /// position it is given on. `storage` is not `F32`.
    pub(crate) fn new(
        storage: Storage,
        [rows, columns]: [usize; 2],
        mut read: impl FnMut(usize, &mut [f32]) -> Result<(), NnError>,
    ) -> Result<Self, NnError> {
        let len = rows * columns;
        let mut numbers = match storage {
            Storage::F32 | Storage::Bf16 => Numbers::Bf16(Vec::with_capacity(len)),
            Storage::Nf4 { .. } => Numbers::Nf4(Nf4::with_room(len)),
            Storage::Int8 => Numbers::Int8(Int8::with_room(rows, columns)),
        };
        // Whole blocks, or whole rows.
        let chunk = if let Storage::Nf4 { .. } = storage { CHUNK.next_multiple_of(BLOCK) } else { columns * (CHUNK / columns).max(1) };
        let mut buffer = vec![0.0; chunk.min(len)];
        for start in (0..len).step_by(chunk) {
            let part = &mut buffer[..chunk.min(len - start)];
            read(start, part)?;
            match &mut numbers {
                Numbers::Bf16(values) => values.extend(part.iter().copied().map(narrow)),
                Numbers::Nf4(values) => values.push(part),
                Numbers::Int8(values) => values.push(part),
            }
        }
        if let (Storage::Nf4 { double: true }, Numbers::Nf4(values)) = (storage, &mut numbers) {
            values.quantise_scales();
        }
        Ok(Self { rows, columns, numbers })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Rows from `first` on, as many as `out` takes.
    pub(crate) fn widen(&self, first: usize, out: &mut [f32]) {
        let start = first * self.columns;
        match &self.numbers {
            Numbers::Bf16(values) => {
                for (out, &value) in out.iter_mut().zip(&values[start..]) {
                    *out = f32::from_bits(u32::from(value) << 16);
                }
            }
            Numbers::Nf4(values) => values.widen(start, out),
            Numbers::Int8(values) => values.widen(first, out),
        }
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        match &self.numbers {
            Numbers::Bf16(values) => size_of_val(&values[..]),
            Numbers::Nf4(values) => values.memory(),
            Numbers::Int8(values) => values.memory(),
        }
    }
}

/// The nearest bfloat16, of two equally near the even one; the number is finite.
fn narrow(value: f32) -> u16 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    (rounded >> 16) as u16
}
