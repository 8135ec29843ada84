//! The two code books of a 4-bit weight: of its numbers, and of its blocks' largest magnitudes.

use std::sync::LazyLock;

/// 4-bit `NormalFloat`: quantiles of the normal distribution, with a zero (Dettmers et al. 2023,
/// arXiv:2305.14314, appendix E, in single precision).
pub(crate) const NORMAL_FLOAT: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// Both numbers of a byte, the first in its high half.
pub(crate) static PAIRS: [[f32; 2]; 256] = pairs();

const fn pairs() -> [[f32; 2]; 256] {
    let mut pairs = [[0.0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [NORMAL_FLOAT[byte >> 4], NORMAL_FLOAT[byte & 15]];
        byte += 1;
    }
    pairs
}

/// How many of the midpoints between the codes lie below `value`: the place of the nearest code, of
/// two equally near the lower.
#[inline(always)]
pub(crate) fn nearest_normal_float(value: f32) -> u8 {
    const MIDPOINTS: [f32; 15] = midpoints();
    MIDPOINTS.iter().map(|&midpoint| u8::from(midpoint < value)).sum()
}

const fn midpoints() -> [f32; 15] {
    let mut midpoints = [0.0; 15];
    let mut place = 0;
    while place < 15 {
        midpoints[place] = (NORMAL_FLOAT[place] + NORMAL_FLOAT[place + 1]) / 2.0;
        place += 1;
    }
    midpoints
}

/// Signed 8-bit dynamic numbers (Dettmers 2015, arXiv:1511.04561), ascending: from `-0.993` to 1, seven decades
/// of means between evenly spaced marks, each with twice as many marks as the one below it.
pub(crate) static DYNAMIC: LazyLock<[f32; 256]> = LazyLock::new(dynamic);

/// Bit for bit `bitsandbytes.functional.create_dynamic_map()`: every operation rounds as there.
fn dynamic() -> [f32; 256] {
    const DECADES: [f32; 7] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];
    let mut codes = vec![0.0, 1.0];
    for (place, decade) in DECADES.into_iter().enumerate() {
        let spaces = 1_u16 << place;
        let step = (1.0 - 0.1_f32) / f32::from(spaces);
        // torch counts the marks from the nearer end.
        let mark = |at: u16| {
            if at < spaces.div_ceil(2) { f32::from(at).mul_add(step, 0.1) } else { f32::from(spaces - at).mul_add(-step, 1.0) }
        };
        for at in 0..spaces {
            let mean = decade * ((mark(at) + mark(at + 1)) / 2.0);
            codes.extend([mean, -mean]);
        }
    }
    codes.sort_by(f32::total_cmp);
    codes.try_into().expect("127 means of each sign, zero and one are 256; this is a bug")
}

/// The places between -1 and 1 to which a number is rounded before its nearest dynamic code is looked up.
const CELLS: f32 = 65_535.0;

/// The place of the dynamic code nearest to `value` in `[-1, 1]`, as the processor's library of
/// bitsandbytes finds it: through a table of 65536 evenly spaced values, so that a value right beside
/// a midpoint may fall to its other side.
pub(crate) fn nearest_dynamic(value: f32) -> u8 {
    let cell = ((value + 1.0) * (CELLS / 2.0) + 0.5).floor();
    let value = cell * (2.0 / CELLS) - 1.0;
    static MIDPOINTS: LazyLock<Vec<f32>> = LazyLock::new(|| DYNAMIC.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect());
    u8::try_from(MIDPOINTS.partition_point(|&midpoint| midpoint < value)).expect("256 codes have 255 midpoints; this is a bug")
}
