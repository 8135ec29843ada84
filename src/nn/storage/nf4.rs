//! 4-bit `NormalFloat` in blocks, bit for bit as bitsandbytes packs and unpacks it.

use super::codes::{DYNAMIC, NORMAL_FLOAT, PAIRS, nearest_dynamic, nearest_normal_float};

/// Numbers that share a scale.
pub(crate) const BLOCK: usize = 64;

/// Scales that share a scale of theirs.
pub(crate) const NESTED: usize = 256;

/// What bitsandbytes divides by where a block is all zeros.
const SMALLEST: f32 = 1e-38;

/// Numbers at four bits each.
#[derive(Debug)]
pub(crate) struct Nf4 {
    /// Two numbers a byte, the first in the high half.
    pub(crate) bytes: Vec<u8>,
    pub(crate) scales: Scales,
}

/// The largest magnitude of every block.
#[derive(Debug)]
pub(crate) enum Scales {
    Plain(Vec<f32>),
    Double(Double),
}

/// Scales at eight bits each: block `b` has `DYNAMIC[codes[b]] * largest[b / 256] + offset`.
#[derive(Debug)]
pub(crate) struct Double {
    pub(crate) codes: Vec<u8>,
    pub(crate) largest: Vec<f32>,
    pub(crate) offset: f32,
}

impl Nf4 {
    /// An empty one, with room for this many numbers.
    pub(crate) fn with_room(numbers: usize) -> Self {
        let scales = Scales::Plain(Vec::with_capacity(numbers.div_ceil(BLOCK)));
        Self { bytes: Vec::with_capacity(numbers.div_ceil(2)), scales }
    }

    /// Takes the next numbers: whole blocks, but for the last call.
    pub(crate) fn push(&mut self, values: &[f32]) {
        let Scales::Plain(scales) = &mut self.scales else { return };
        for block in values.chunks(BLOCK) {
            let largest = block.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            let divisor = largest.max(SMALLEST);
            // A last block that is not full goes another way in bitsandbytes, and rounds otherwise.
            let whole = block.len() == BLOCK;
            scales.push(if whole { largest } else { divisor });
            let inverse = 1.0 / divisor;
            let code = |value: f32| nearest_normal_float((if whole { value * inverse } else { value / divisor }).clamp(-1.0, 1.0));
            self.bytes.extend(block.chunks(2).map(|pair| code(pair[0]) << 4 | code(pair.get(1).copied().unwrap_or(0.0))));
        }
    }

    /// Quantises the scales.
    pub(crate) fn quantise_scales(&mut self) {
        if let Scales::Plain(scales) = &self.scales {
            self.scales = Scales::Double(Double::new(scales));
        }
    }

    /// Numbers from `start` on, as many as `out` takes.
    pub(crate) fn widen(&self, start: usize, out: &mut [f32]) {
        let (mut at, mut rest) = (start, out);
        while !rest.is_empty() {
            let (head, tail) = rest.split_at_mut((BLOCK - at % BLOCK).min(rest.len()));
            let scale = self.scale(at / BLOCK);
            if at.is_multiple_of(2) && head.len().is_multiple_of(2) {
                let (pairs, _) = head.as_chunks_mut::<2>();
                for (pair, &byte) in pairs.iter_mut().zip(&self.bytes[at / 2..]) {
                    *pair = PAIRS[byte as usize].map(|code| code * scale);
                }
            } else {
                for (place, value) in (at..).zip(head.iter_mut()) {
                    let half = if place.is_multiple_of(2) { self.bytes[place / 2] >> 4 } else { self.bytes[place / 2] & 15 };
                    *value = NORMAL_FLOAT[half as usize] * scale;
                }
            }
            at += head.len();
            rest = tail;
        }
    }

    /// The largest magnitude of a block, as far as it is known.
    pub(crate) fn scale(&self, block: usize) -> f32 {
        match &self.scales {
            Scales::Plain(scales) => scales[block],
            Scales::Double(double) => double.scale(block),
        }
    }

    pub(crate) fn memory(&self) -> usize {
        let scales = match &self.scales {
            Scales::Plain(scales) => size_of_val(&scales[..]),
            Scales::Double(double) => double.codes.len() + size_of_val(&double.largest[..]) + size_of::<f32>(),
        };
        self.bytes.len() + scales
    }
}

impl Double {
    /// The mean is taken off first. It is summed exactly and rounded once; torch sums in an order that
    /// depends on the processor, and may end a unit of the last place beside.
    fn new(scales: &[f32]) -> Self {
        let sum: f64 = scales.iter().map(|&scale| f64::from(scale)).sum();
        let offset = sum as f32 / scales.len() as f32;
        let centred: Vec<f32> = scales.iter().map(|scale| scale - offset).collect();
        let (mut codes, mut largest) = (Vec::with_capacity(scales.len()), Vec::with_capacity(scales.len().div_ceil(NESTED)));
        for block in centred.chunks(NESTED) {
            let most = block.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            largest.push(most);
            let inverse = 1.0 / most;
            codes.extend(block.iter().map(|value| if most > 0.0 { nearest_dynamic(value * inverse) } else { 0 }));
        }
        Self { codes, largest, offset }
    }

    fn scale(&self, block: usize) -> f32 {
        DYNAMIC[self.codes[block] as usize] * self.largest[block / NESTED] + self.offset
    }
}
