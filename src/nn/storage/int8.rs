//! 8-bit integers with a scale a row, bit for bit as bitsandbytes' `int8_vectorwise_quant`.

/// `1 / 127` as bitsandbytes writes it.
pub(crate) const STEP: f32 = 7.874_016e-3;

/// Numbers at eight bits each; number `i` of row `r` is `bytes[r, i] * scales[r] / 127`.
#[derive(Debug)]
pub(crate) struct Int8 {
    pub(crate) columns: usize,
    pub(crate) bytes: Vec<i8>,
    /// The largest magnitude of every row.
    pub(crate) scales: Vec<f32>,
}

impl Int8 {
    /// An empty one, with room for this many rows.
    pub(crate) fn with_room(rows: usize, columns: usize) -> Self {
        Self { columns, bytes: Vec::with_capacity(rows * columns), scales: Vec::with_capacity(rows) }
    }

    /// Takes the next rows.
    #[expect(clippy::cast_possible_truncation, reason = "a number over the row's largest, times 127, fits")]
    pub(crate) fn push(&mut self, rows: &[f32]) {
        for row in rows.chunks_exact(self.columns) {
            let largest = row.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            // A product with the reciprocal, as torch divides a number by a tensor.
            let factor = if largest > 0.0 { 1.0 / largest * 127.0 } else { 0.0 };
            self.scales.push(largest);
            self.bytes.extend(row.iter().map(|value| (value * factor).round_ties_even() as i8));
        }
    }

    /// Rows from `first` on, as many as `out` takes.
    pub(crate) fn widen(&self, first: usize, out: &mut [f32]) {
        for (row, out) in (first..).zip(out.chunks_exact_mut(self.columns)) {
            let scale = self.scales[row];
            for (out, &byte) in out.iter_mut().zip(&self.bytes[row * self.columns..]) {
                *out = f32::from(byte) * scale * STEP;
            }
        }
    }

    pub(crate) fn memory(&self) -> usize {
        self.bytes.len() + size_of_val(&self.scales[..])
    }
}
