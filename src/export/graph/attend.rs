//! Attention in nodes: heads, what each query sees, and where a text ends.
//!
//! Positions are places in the padded row. A causal attention with rotary positions depends on the
//! distances between tokens alone, which padding at either end does not change; so a decoder's graph
//! answers rows padded at the left and at the right alike. Learned positions count from the first
//! place, so the graph of an encoder wants its padding at the right.

use super::{MASKED, OnnxGraph, Recorded, Rows, signed};
use crate::export::proto::{AttributeProto, FLOAT};
use crate::nn::{Attention, Direction};

impl OnnxGraph<'_> {
    /// What is added to the scores of queries of this kind.
    pub(super) fn scores_mask(&mut self, shape: &Attention, queries: Rows) -> String {
        let mask = self.mask();
        match (shape.direction, shape.window, queries) {
            (Direction::Both, None, _) | (Direction::Past, None, Rows::Texts) => mask,
            (Direction::Both, Some(_), Rows::Texts) => {
                let mask = self.sight(shape, Rows::Tokens, &mask);
                self.slice(&mask, 0, 1, 2)
            }
            _ => self.sight(shape, queries, &mask),
        }
    }

    /// `f32 [batch, 1, queries, sequence]`: the mask of padding, and [`MASKED`] where a query does not
    /// look.
    fn sight(&mut self, shape: &Attention, queries: Rows, mask: &str) -> String {
        let key = (shape.direction, shape.window, queries == Rows::Tokens);
        if !self.shared.sights.contains_key(&key) {
            let far = match (shape.direction, shape.window) {
                (Direction::Both, window) => self.beyond(window.unwrap_or(usize::MAX)),
                (Direction::Past, window) => self.unseen(window, queries),
            };
            let masked = self.scalar(MASKED);
            let far = self.node("Cast", &[&far], vec![AttributeProto::int("to", i64::from(FLOAT))]);
            let far = self.node("Mul", &[&far, &masked], vec![]);
            let sum = self.node("Add", &[mask, &far], vec![]);
            self.shared.sights.insert(key, sum);
        }
        self.shared.sights[&key].clone()
    }

    /// `bool [sequence, sequence]`: keys more than a window from the query, on either side.
    fn beyond(&mut self, window: usize) -> String {
        let positions = self.positions();
        let axis = self.integers(&[1]);
        #[expect(clippy::cast_precision_loss, reason = "a window is small")]
        let window = self.scalar(window as f32);
        let column = self.node("Unsqueeze", &[&positions, &axis], vec![]);
        let apart = self.node("Sub", &[&column, &positions], vec![]);
        let apart = self.node("Abs", &[&apart], vec![]);
        self.node("Greater", &[&apart, &window], vec![])
    }

    /// `bool [sequence, sequence]`, or `[batch, 1, 1, sequence]` for the texts' last tokens: keys that
    /// lie ahead of the query, or as far behind it as the window is wide.
    fn unseen(&mut self, window: Option<usize>, queries: Rows) -> String {
        let positions = self.positions();
        let at = match queries {
            Rows::Tokens => {
                let axis = self.integers(&[1]);
                self.node("Unsqueeze", &[&positions, &axis], vec![])
            }
            Rows::Texts => {
                let (lasts, axes) = (self.lasts(), self.integers(&[1, 2]));
                let lasts = self.node("Cast", &[&lasts], vec![AttributeProto::int("to", i64::from(FLOAT))]);
                self.node("Unsqueeze", &[&lasts, &axes], vec![])
            }
        };
        let behind = self.node("Sub", &[&at, &positions], vec![]);
        let zero = self.scalar(0.0);
        let ahead = self.node("Less", &[&behind, &zero], vec![]);
        let Some(window) = window else { return ahead };
        #[expect(clippy::cast_precision_loss, reason = "a window is small")]
        let window = self.scalar(window as f32);
        let far = self.node("GreaterOrEqual", &[&behind, &window], vec![]);
        self.node("Or", &[&ahead, &far], vec![])
    }

    /// `i64 [batch, 1]`: the place of every text's last token.
    pub(super) fn lasts(&mut self) -> String {
        if self.shared.lasts.is_none() {
            let (tokens, positions) = (self.tokens(), self.positions());
            let places = self.node("Mul", &[&tokens, &positions], vec![]);
            self.shared.lasts = Some(self.node("ArgMax", &[&places], vec![AttributeProto::int("axis", 1)]));
        }
        self.shared.lasts.clone().expect("recorded above; this is a bug")
    }

    /// `f32 [batch, sequence]`: one for tokens, zero for padding.
    fn tokens(&mut self) -> String {
        if self.shared.tokens.is_none() {
            self.shared.tokens = Some(self.float_mask());
        }
        self.shared.tokens.clone().expect("recorded above; this is a bug")
    }

    /// Attention in which every head has keys of its own; axes are batch, head, token, number.
    pub(super) fn attend(&mut self, shape: &Attention, query: &Recorded, [key, value]: [&Recorded; 2]) -> String {
        let scale = self.scale(shape);
        let mask = self.scores_mask(shape, query.rows);
        let heads = [signed(shape.heads), signed(shape.head_width)];
        let query = self.split_heads(query, &heads, &[0, 2, 1, 3]);
        let query = self.node("Mul", &[&query, &scale], vec![]);
        let key = self.split_heads(key, &heads, &[0, 2, 3, 1]);
        let value = self.split_heads(value, &heads, &[0, 2, 1, 3]);
        let mixed = self.mix(shape, [&query, &key, &value], &mask);
        self.node("Transpose", &[&mixed], vec![AttributeProto::ints("perm", &[0, 2, 1, 3])])
    }

    /// Attention in which heads share keys in groups; axes are batch, key head, head of the group,
    /// token, number.
    pub(super) fn attend_grouped(&mut self, shape: &Attention, query: &Recorded, [key, value]: [&Recorded; 2]) -> String {
        let scale = self.scale(shape);
        let mask = self.scores_mask(shape, query.rows);
        let axis = self.integers(&[2]);
        let mask = self.node("Unsqueeze", &[&mask, &axis], vec![]);
        let [heads, group, width] = [shape.key_heads, shape.heads / shape.key_heads, shape.head_width].map(signed);
        let query = self.split_heads(query, &[heads, group, width], &[0, 2, 3, 1, 4]);
        let query = self.node("Mul", &[&query, &scale], vec![]);
        let key = self.split_heads(key, &[heads, width], &[0, 2, 3, 1]);
        let value = self.split_heads(value, &[heads, width], &[0, 2, 1, 3]);
        let [key, value] = [key, value].map(|rows| self.node("Unsqueeze", &[&rows, &axis], vec![]));
        let mixed = self.mix(shape, [&query, &key, &value], &mask);
        self.node("Transpose", &[&mixed], vec![AttributeProto::ints("perm", &[0, 3, 1, 2, 4])])
    }

    fn scale(&mut self, shape: &Attention) -> String {
        #[expect(clippy::cast_possible_truncation, reason = "the graph computes in f32")]
        self.scalar(shape.scale as f32)
    }

    /// The values mixed by the softmax of scaled queries' scores.
    fn mix(&mut self, shape: &Attention, [query, key, value]: [&str; 3], mask: &str) -> String {
        let mut scores = self.node("MatMul", &[query, key], vec![]);
        if let Some(cap) = shape.soft_cap {
            scores = self.soft_cap(&scores, cap);
        }
        let scores = self.node("Add", &[&scores, mask], vec![]);
        let weights = self.node("Softmax", &[&scores], vec![AttributeProto::int("axis", -1)]);
        self.node("MatMul", &[&weights, value], vec![])
    }

    /// `cap * tanh(x / cap)`.
    pub(super) fn soft_cap(&mut self, x: &str, cap: f64) -> String {
        #[expect(clippy::cast_possible_truncation, reason = "the graph computes in f32")]
        let cap = self.scalar(cap as f32);
        let x = self.node("Div", &[x, &cap], vec![]);
        let x = self.node("Tanh", &[&x], vec![]);
        self.node("Mul", &[&x, &cap], vec![])
    }

    /// `[rows, width]` to `[batch, rows of a text, heads...]`, its axes then in this order.
    fn split_heads(&mut self, x: &Recorded, heads: &[i64], order: &[i64]) -> String {
        let split = match x.rows {
            Rows::Tokens => self.unfold(&x.name, heads),
            Rows::Texts => {
                let shape = self.integers(&[&[-1, 1], heads].concat());
                self.node("Reshape", &[&x.name, &shape], vec![])
            }
        };
        self.node("Transpose", &[&split], vec![AttributeProto::ints("perm", order)])
    }
}
