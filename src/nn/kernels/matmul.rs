//! Matrix products: the `gemm` crate for large ones, a register-tiled loop for small ones.
//!
//! Both are single-threaded: threads come from shards and workers. A row of the result is the
//! same, bit for bit, whatever rows stand beside it, which neither promises by itself:
//! [`product`] keeps `gemm` away from the sizes for which it changes its order of summation.

use gemm::Parallelism;

use super::simd::{LANES, dispatch, fma};

/// What a product does with what stands in the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Into {
    /// Overwrites it.
    Replace,
    /// Adds to it.
    Add,
    /// As [`Into::Add`], and [`strided`] goes on summing in the order it would have without the break.
    Resume,
}

/// A matrix in a slice: element `(i, j)` is `values[i * row_step + j * column_step]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_step: usize,
    column_step: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix.
    ///
    /// # Panics
    /// When the slice is not `rows * columns` long: a bug in the caller.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "a matrix of another size; this is a bug");
        Self { values, rows, columns, row_step: columns, column_step: 1 }
    }

    /// The same numbers with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, row_step: self.column_step, column_step: self.row_step, ..self }
    }
}

/// Results narrower than this go through the tiled loop, since `gemm` picks among kernels with
/// different orders of summation for small results.
const NARROW: usize = 64;

/// Fewer rows than these are filled up to them: `gemm` has other orders of summation for a single
/// row, and for results of at most 256 numbers.
const FEW: usize = 4;

/// `out = a b`, or `out += a b`; `out` is row-major, `[a.rows, b.columns]`.
///
/// # Panics
/// When the sizes do not fit: a bug in the caller.
pub(crate) fn product(out: &mut [f32], into: Into, a: Matrix<'_>, b: Matrix<'_>) {
    assert_eq!(a.columns, b.rows, "inner sizes differ; this is a bug");
    assert_eq!(out.len(), a.rows * b.columns, "a result of another size; this is a bug");
    if out.is_empty() {
        return;
    }
    if b.columns <= NARROW {
        let packed = pack(b);
        let left = Left { values: a.values, row_step: a.row_step, column_step: a.column_step };
        return strided(out, b.columns, into, a.rows, &packed, b.columns, b.columns, left, a.columns);
    }
    if a.rows < FEW {
        return few(out, into, a, b);
    }
    large(out, into, a, b);
}

/// [`large`], with rows of zeros below.
fn few(out: &mut [f32], into: Into, a: Matrix<'_>, b: Matrix<'_>) {
    let mut rows = Vec::with_capacity(FEW * a.columns);
    for row in 0..a.rows {
        rows.extend((0..a.columns).map(|column| a.values[row * a.row_step + column * a.column_step]));
    }
    rows.resize(FEW * a.columns, 0.0);
    let mut results = out.to_vec();
    results.resize(FEW * b.columns, 0.0);
    large(&mut results, into, Matrix::new(&rows, FEW, a.columns), b);
    out.copy_from_slice(&results[..out.len()]);
}

/// `b` row-major.
fn pack(b: Matrix<'_>) -> Vec<f32> {
    let mut packed = Vec::with_capacity(b.rows * b.columns);
    for row in 0..b.rows {
        packed.extend((0..b.columns).map(|column| b.values[row * b.row_step + column * b.column_step]));
    }
    packed
}

#[expect(unsafe_code, reason = "the gemm crate's entry point takes pointers")]
fn large(out: &mut [f32], into: Into, a: Matrix<'_>, b: Matrix<'_>) {
    let step = |step: usize| isize::try_from(step).expect("slices are shorter than isize::MAX; this is a bug");
    // SAFETY: `Matrix::new` and the assertions of `product` bound every index that these sizes
    // and steps can form by the lengths of the three slices; `out` is borrowed exclusively, so it
    // overlaps neither operand.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            step(b.columns),
            into != Into::Replace,
            a.values.as_ptr(),
            step(a.column_step),
            step(a.row_step),
            b.values.as_ptr(),
            step(b.column_step),
            step(b.row_step),
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// The left operand of [`strided`]: element `(i, k)` is `values[i * row_step + k * column_step]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) row_step: usize,
    pub(crate) column_step: usize,
}

/// Rows computed together, and groups of lanes: eight accumulators of one register each.
const TILE_ROWS: usize = 4;

dispatch! {
    /// `c[i, ..columns] (+)= sum over k < depth of a[i, k] * b[k, ..columns]` for `i < rows`.
    ///
    /// `c` and `b` are row-major with `c_step` and `b_step` numbers from row to row. The sum runs
    /// over `k` in order for every element, so a row does not depend on the rows beside it, and
    /// terms of zero change nothing.
    pub(crate) fn strided(
        c: &mut [f32], c_step: usize, into: Into, rows: usize, b: &[f32], b_step: usize, columns: usize, a: Left<'_>, depth: usize,
    ) = strided_body
}

/// The body of [`strided`], for kernels that are compiled for a level themselves.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel takes slices and sizes")]
pub(crate) fn strided_body<const FUSED: bool>(
    c: &mut [f32],
    c_step: usize,
    into: Into,
    rows: usize,
    b: &[f32],
    b_step: usize,
    columns: usize,
    a: Left<'_>,
    depth: usize,
) {
    let mut row = 0;
    while row + TILE_ROWS <= rows {
        stripe::<FUSED, TILE_ROWS>(
            &mut c[row * c_step..],
            c_step,
            into,
            b,
            b_step,
            columns,
            Left { values: &a.values[row * a.row_step..], ..a },
            depth,
        );
        row += TILE_ROWS;
    }
    while row < rows {
        stripe::<FUSED, 1>(
            &mut c[row * c_step..],
            c_step,
            into,
            b,
            b_step,
            columns,
            Left { values: &a.values[row * a.row_step..], ..a },
            depth,
        );
        row += 1;
    }
}

/// `ROWS` rows of the result.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel takes slices and sizes")]
fn stripe<const FUSED: bool, const ROWS: usize>(
    c: &mut [f32],
    c_step: usize,
    into: Into,
    b: &[f32],
    b_step: usize,
    columns: usize,
    a: Left<'_>,
    depth: usize,
) {
    let mut column = 0;
    while column + 2 * LANES <= columns {
        tile::<FUSED, ROWS, 2>(c, c_step, into, b, b_step, column, a, depth);
        column += 2 * LANES;
    }
    if column + LANES <= columns {
        tile::<FUSED, ROWS, 1>(c, c_step, into, b, b_step, column, a, depth);
        column += LANES;
    }
    for column in column..columns {
        for row in 0..ROWS {
            let c = &mut c[row * c_step + column];
            let mut sum = if into == Into::Resume { *c } else { 0.0 };
            for k in 0..depth {
                sum = fma::<FUSED>(a.values[row * a.row_step + k * a.column_step], b[k * b_step + column], sum);
            }
            *c = if into == Into::Add { *c + sum } else { sum };
        }
    }
}

/// `ROWS` rows by `GROUPS` lanes, held in registers over the whole depth.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel takes slices and sizes")]
#[expect(clippy::needless_range_loop, reason = "the same index walks the tile and its operand")]
fn tile<const FUSED: bool, const ROWS: usize, const GROUPS: usize>(
    c: &mut [f32],
    c_step: usize,
    into: Into,
    b: &[f32],
    b_step: usize,
    column: usize,
    a: Left<'_>,
    depth: usize,
) {
    let mut sums = [[[0.0_f32; LANES]; GROUPS]; ROWS];
    if into == Into::Resume {
        for row in 0..ROWS {
            let (c, _) = c[row * c_step + column..][..GROUPS * LANES].as_chunks::<LANES>();
            sums[row].copy_from_slice(c);
        }
    }
    for k in 0..depth {
        let (b, _) = b[k * b_step + column..][..GROUPS * LANES].as_chunks::<LANES>();
        for row in 0..ROWS {
            let a = a.values[row * a.row_step + k * a.column_step];
            for group in 0..GROUPS {
                for lane in 0..LANES {
                    sums[row][group][lane] = fma::<FUSED>(a, b[group][lane], sums[row][group][lane]);
                }
            }
        }
    }
    for row in 0..ROWS {
        let (c, _) = c[row * c_step + column..][..GROUPS * LANES].as_chunks_mut::<LANES>();
        for group in 0..GROUPS {
            for lane in 0..LANES {
                let sum = sums[row][group][lane];
                c[group][lane] = if into == Into::Add { c[group][lane] + sum } else { sum };
            }
        }
    }
}
