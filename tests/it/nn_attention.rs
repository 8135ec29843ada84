//! Attention of every shape against its formula in double precision, forward and, by differences,
//! backward.

use std::ops::Range;

use limbic::nn::{
    Attention, Decode, Direction, Eager, Embedding, Embeddings, Init, Mode, NnError, Ops, ParamSpec, Path, Rotary, RotaryScaling, Rows,
    UnaryOp, Weights,
};

use crate::nn_support::{close, close_number, ragged, with_values};

/// Which rows ask.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Asking {
    Tokens,
    First,
    Last,
    Marked,
}

/// Texts longer than a run of queries that are computed together, and shorter than a register.
const LENGTHS: [usize; 4] = [3, 71, 1, 33];

/// Attention over the columns of one table of words, a word a token.
struct Case {
    shape: Attention,
    asking: Asking,
    table: Embedding,
}

impl Case {
    fn new(shape: Attention, asking: Asking) -> Self {
        let width = (shape.heads + 2 * shape.key_heads) * shape.head_width;
        let rows = LENGTHS.iter().sum();
        Self { shape, asking, table: Embedding { name: "words".to_owned(), rows, width, init: Init::Normal(0.7) } }
    }

    fn specs(&self) -> Vec<ParamSpec> {
        self.table.params()
    }

    /// Rows of tokens that ask, in every text: its first, its last, every one, or some.
    fn asking(&self, length: usize) -> Vec<usize> {
        match self.asking {
            Asking::Tokens => (0..length).collect(),
            Asking::First => vec![0],
            Asking::Last => vec![length - 1],
            Asking::Marked => (0..length).filter(|place| place % 3 == 2).collect(),
        }
    }

    /// The rows and their first token, of every text.
    fn texts() -> impl Iterator<Item = (usize, usize)> {
        LENGTHS.iter().scan(0, |end, &length| {
            *end += length;
            Some((*end - length, length))
        })
    }

    fn run(&self, weights: &Weights, mode: Mode, path: Path) -> (Vec<f32>, Option<Vec<f32>>) {
        let texts: Vec<Vec<u32>> = Self::texts().map(|(first, length)| (first as u32..(first + length) as u32).collect()).collect();
        let (ids, offsets) = ragged(&texts);
        let marked = Self::texts().flat_map(|(first, length)| self.asking(length).into_iter().map(move |place| first + place));
        let mut ops = Eager::with_path(weights, mode, &ids, &offsets, path).unwrap().with_marked(marked.collect()).unwrap();
        let output = self.forward(&mut ops).unwrap();
        let numbers = output.to_vec().unwrap();
        let gradients = (mode != Mode::Eval).then(|| ops.backward(&output, slope(numbers.len())).unwrap());
        (numbers, gradients.map(|gradients| gradients.get(weights, "words.weight").unwrap()))
    }

    fn forward(&self, ops: &mut Eager<'_>) -> Result<Rows, NnError> {
        let (width, keys) = (self.shape.heads * self.shape.head_width, self.shape.key_heads * self.shape.head_width);
        let tables = Embeddings { words: self.table.clone(), positions: None, first_position: 0, segments: None, scale: None };
        let x = ops.embed(&tables)?;
        let query = ops.columns(&x, 0, width)?;
        let (key, value) = (ops.columns(&x, width, keys)?, ops.columns(&x, width + keys, keys)?);
        let query = match self.asking {
            Asking::Tokens => query,
            Asking::First => ops.first_token(&query)?,
            Asking::Last => ops.last_token(&query)?,
            Asking::Marked => ops.marked(&query)?,
        };
        ops.attention(&self.shape, &query, &key, &value)
    }

    /// The formula, in double precision.
    fn expected(&self, weights: &Weights) -> Vec<f32> {
        let snapshot = weights.snapshot().unwrap();
        let table = snapshot.get("words.weight").unwrap().1;
        let row = |token: usize| &table[token * self.table.width..][..self.table.width];
        let mut out = Vec::new();
        for (first, length) in Self::texts() {
            for place in self.asking(length) {
                for head in 0..self.shape.heads {
                    out.extend(self.head(head, row(first + place), |key| row(first + key), self.seen(place, length)));
                }
            }
        }
        out
    }

    fn seen(&self, place: usize, length: usize) -> Range<usize> {
        let keys = (0..length).filter(|&key| match (self.shape.direction, self.shape.window) {
            (Direction::Both, window) => window.is_none_or(|window| key.abs_diff(place) <= window),
            (Direction::Past, window) => key <= place && window.is_none_or(|window| place - key < window),
        });
        let keys: Vec<usize> = keys.collect();
        keys[0]..keys[keys.len() - 1] + 1
    }

    fn head<'t>(&self, head: usize, query: &[f32], row: impl Fn(usize) -> &'t [f32], seen: Range<usize>) -> Vec<f32> {
        let (width, shared) = (self.shape.head_width, head / (self.shape.heads / self.shape.key_heads));
        let part = |row: &[f32], head: usize| -> Vec<f64> { row[head * width..][..width].iter().map(|&x| f64::from(x)).collect() };
        let query = part(query, head);
        let score = |key: usize| {
            let key = part(row(key), self.shape.heads + shared);
            let score = query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>() * self.shape.scale;
            self.shape.soft_cap.map_or(score, |cap| cap * (score / cap).tanh()).exp()
        };
        let powers: Vec<f64> = seen.clone().map(score).collect();
        let sum: f64 = powers.iter().sum();
        let mut mixed = vec![0.0; width];
        for (power, key) in powers.iter().zip(seen) {
            let value = part(row(key), self.shape.heads + self.shape.key_heads + shared);
            mixed.iter_mut().zip(value).for_each(|(mixed, value)| *mixed += power / sum * value);
        }
        mixed.into_iter().map(|x| x as f32).collect()
    }
}

fn slope(count: usize) -> Vec<f32> {
    (0..count).map(|index| (index as f32 * 0.7).sin()).collect()
}

/// Every direction, window, sharing and cap, and every way to ask: each shape once.
fn shapes() -> Vec<(Attention, Asking)> {
    let base = Attention { scale: 0.4, ..Attention::both(6, 10) };
    let past = Attention { direction: Direction::Past, ..base };
    let mut shapes = Vec::new();
    for shape in [base, past] {
        for key_heads in [6, 2, 1] {
            for window in [None, Some(1), Some(5), Some(40)] {
                for soft_cap in [None, Some(1.5)] {
                    let edge = if shape.direction == Direction::Both { Asking::First } else { Asking::Last };
                    for asking in [Asking::Tokens, edge, Asking::Marked] {
                        shapes.push((Attention { key_heads, window, soft_cap, ..shape }, asking));
                    }
                }
            }
        }
    }
    shapes
}

#[test]
fn attention_is_its_formula() {
    let mut seen = 0;
    for (shape, asking) in shapes() {
        let case = Case::new(shape, asking);
        let weights = Weights::init(&case.specs(), 3).unwrap();
        let expected = case.expected(&weights);
        for path in [Path::Kernels, Path::Composite] {
            close(&format!("{shape:?} {asking:?} {path:?}"), &case.run(&weights, Mode::Eval, path).0, &expected, 2e-6, 0.0);
        }
        seen += 1;
    }
    assert_eq!(seen, 2 * 3 * 4 * 2 * 3);
}

#[test]
fn gradients_are_those_of_candle_with_dropout_too() {
    for (shape, asking) in shapes() {
        let case = Case::new(Attention { dropout: 0.3, ..shape }, asking);
        let weights = Weights::init(&case.specs(), 3).unwrap();
        let run = |path| case.run(&weights, Mode::Train { seed: 4 }, path);
        let ((found, gradient), (expected, expected_gradient)) = (run(Path::Kernels), run(Path::Composite));
        close(&format!("{shape:?} {asking:?}"), &found, &expected, 1e-5, 0.0);
        close(&format!("gradient of {shape:?} {asking:?}"), &gradient.unwrap(), &expected_gradient.unwrap(), 2e-5, 0.0);
    }
}

#[test]
fn the_sum_changes_as_the_gradient_says() {
    for (shape, asking) in shapes().into_iter().step_by(5) {
        let case = Case::new(shape, asking);
        let weights = Weights::init(&case.specs(), 3).unwrap();
        let gradient = case.run(&weights, Mode::Train { seed: 1 }, Path::Kernels).1.unwrap();
        let length = gradient.iter().map(|x| x * x).sum::<f32>().sqrt();
        let at = |sign: f32| {
            let snapshot = weights.snapshot().unwrap();
            let values = snapshot.get("words.weight").unwrap().1;
            let moved = values.iter().zip(&gradient).map(|(value, slope)| value + sign * 1e-2 * slope / length).collect();
            let moved = with_values(&weights, &case.specs(), &[("words.weight", moved)]);
            let out = case.run(&moved, Mode::Eval, Path::Kernels).0;
            out.iter().zip(slope(out.len())).map(|(x, slope)| f64::from(*x) * f64::from(slope)).sum::<f64>()
        };
        let found = (at(1.0) - at(-1.0)) / 2e-2;
        close_number(&format!("{shape:?} {asking:?}"), found, f64::from(length), 5e-3);
    }
}

#[test]
fn shared_key_heads_are_repeated_ones() {
    let shared = Attention { key_heads: 2, direction: Direction::Past, ..Attention::both(6, 10) };
    let case = Case::new(shared, Asking::Tokens);
    let weights = Weights::init(&case.specs(), 3).unwrap();
    let repeated = Case::new(Attention { key_heads: 6, ..shared }, Asking::Tokens);
    let snapshot = weights.snapshot().unwrap();
    // Columns of the queries, then every key head thrice, then every value head.
    let heads: Vec<usize> = (0..6).chain([6, 6, 6, 7, 7, 7]).chain([8, 8, 8, 9, 9, 9]).collect();
    let rows = snapshot.get("words.weight").unwrap().1.chunks_exact(case.table.width);
    let table = rows.flat_map(|row| heads.iter().flat_map(|head| row[head * 10..][..10].to_vec())).collect();
    let other = Weights::init(&repeated.specs(), 3).unwrap();
    let other = with_values(&other, &repeated.specs(), &[("words.weight", table)]);
    let found = case.run(&weights, Mode::Eval, Path::Kernels).0;
    assert_eq!(found, repeated.run(&other, Mode::Eval, Path::Kernels).0);
}

#[test]
fn rotations_are_stretched_as_their_scaling_says() {
    let plain = Rotary { head_width: 8, base: 10_000.0, scaling: None };
    let with = |scaling| Rotary { scaling: Some(scaling), ..plain }.speeds();
    let speeds = plain.speeds();
    assert_eq!(with(RotaryScaling::Linear { factor: 4.0 }), speeds.iter().map(|speed| speed / 4.0).collect::<Vec<_>>());
    // Over 64 positions the points turn 10.2, 1.02, 0.1 and 0.01 times: fast, between, slow, slow.
    let llama = RotaryScaling::Llama3 { factor: 8.0, low_freq_factor: 0.5, high_freq_factor: 4.0, original_positions: 64 };
    let found = with(llama);
    let turns = 64.0 * 0.1 / std::f64::consts::TAU;
    let share = (turns - 0.5) / 3.5;
    let between = (1.0 - share) * 0.1 / 8.0 + share * 0.1;
    for (found, expected) in found.iter().zip([1.0, between, 0.01 / 8.0, 0.001 / 8.0]) {
        close_number("a speed", f64::from(*found), expected, 1e-6);
    }
}

#[test]
fn shapes_that_are_none_are_refused() {
    let base = Attention::both(6, 10);
    let check = |shape: Attention, expected: &str| {
        let case = Case::new(Attention { key_heads: base.key_heads, ..shape }, Asking::Tokens);
        let weights = Weights::init(&case.specs(), 3).unwrap();
        let mut ops = Eager::new(&weights, Mode::Eval, &[1], &[0, 1]).unwrap();
        let error = Case { shape, ..case }.forward(&mut ops).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}: expected {expected}");
    };
    check(Attention { key_heads: 4, ..base }, "key heads is 4 of 6 heads: expected a divisor of the heads");
    check(Attention { scale: 0.0, ..base }, "an attention's scale is 0: expected above 0");
    check(Attention { soft_cap: Some(-1.0), ..base }, "an attention's soft cap is -1: expected above 0");
    check(Attention { direction: Direction::Past, window: Some(0), ..base }, "a causal window is 0: expected at least 1");

    let case = Case::new(base, Asking::Tokens);
    let weights = Weights::init(&case.specs(), 3).unwrap();
    let mut ops = Eager::new(&weights, Mode::Eval, &[1], &[0, 1]).unwrap();
    let x = case.forward(&mut ops).unwrap();
    let error = ops.unary(UnaryOp::SoftCap(0.0), &x).unwrap_err().to_string();
    assert_eq!(error, "a soft cap is 0: expected above 0");
}
