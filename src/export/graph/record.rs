//! The vocabulary, operation by operation, as ONNX nodes.

use super::{OnnxGraph, Recorded, Rows, signed};
use crate::bundle::GRAPH_INPUTS;
use crate::export::ExportError;
use crate::export::proto::AttributeProto;
use crate::nn::{Attention, BinaryOp, Embeddings, Linear, Norm, Ops, RmsNorm, Rotary, UnaryOp};

fn expect(operation: &'static str, x: &Recorded, rows: Rows) -> Result<(), ExportError> {
    if x.rows == rows {
        return Ok(());
    }
    Err(ExportError::Rows { operation, expected: rows.name(), found: x.rows.name() })
}

impl Ops for OnnxGraph<'_> {
    type Value = Recorded;
    type Error = ExportError;

    fn embed(&mut self, tables: &Embeddings) -> Result<Recorded, ExportError> {
        let words = self.table(&tables.words)?;
        let mut sum = self.node("Gather", &[&words, GRAPH_INPUTS[0]], vec![]);
        let place = self.place(tables)?;
        if let Some(place) = place {
            sum = self.node("Add", &[&sum, &place], vec![]);
        }
        if let Some(scale) = tables.scale {
            let scale = self.scalar(scale);
            sum = self.node("Mul", &[&sum, &scale], vec![]);
        }
        let width = tables.words.width;
        let flat = self.integers(&[-1, signed(width)]);
        let name = self.node("Reshape", &[&sum, &flat], vec![]);
        Ok(Recorded { name, rows: Rows::Tokens, width })
    }

    fn linear(&mut self, layer: &Linear, x: &Recorded) -> Result<Recorded, ExportError> {
        let name = self.layer("Gemm", &x.name, &layer.params(), vec![AttributeProto::int("transB", 1)])?;
        Ok(Recorded { name, rows: x.rows, width: layer.outputs })
    }

    fn layer_norm(&mut self, layer: &Norm, x: &Recorded, residual: Option<&Recorded>) -> Result<Recorded, ExportError> {
        let mut input = x.name.clone();
        if let Some(residual) = residual {
            expect("layer_norm", residual, x.rows)?;
            input = self.node("Add", &[&input, &residual.name], vec![]);
        }
        #[expect(clippy::cast_possible_truncation, reason = "ONNX attributes are f32")]
        let attributes = vec![AttributeProto::int("axis", -1), AttributeProto::float("epsilon", layer.epsilon as f32)];
        let name = self.layer("LayerNormalization", &input, &layer.params(), attributes)?;
        Ok(Recorded { name, ..x.clone() })
    }

    fn rms_norm(&mut self, layer: &RmsNorm, x: &Recorded) -> Result<Recorded, ExportError> {
        let mut weight = self.parameter(&layer.weight())?;
        if layer.unit_offset {
            let one = self.scalar(1.0);
            weight = self.node("Add", &[&weight, &one], vec![]);
        }
        #[expect(clippy::cast_possible_truncation, reason = "the graph computes in f32")]
        let (epsilon, axis) = (self.scalar(layer.epsilon as f32), self.integers(&[-1]));
        let whole = layer.width == x.width;
        let mut rows = x.name.clone();
        if !whole {
            let heads = self.integers(&[-1, signed(x.width / layer.width), signed(layer.width)]);
            rows = self.node("Reshape", &[&rows, &heads], vec![]);
        }
        let squares = self.node("Mul", &[&rows, &rows], vec![]);
        let mean = self.node("ReduceMean", &[&squares, &axis], vec![]);
        let mean = self.node("Add", &[&mean, &epsilon], vec![]);
        let root = self.node("Sqrt", &[&mean], vec![]);
        let normal = self.node("Div", &[&rows, &root], vec![]);
        let mut name = self.node("Mul", &[&normal, &weight], vec![]);
        if !whole {
            let flat = self.integers(&[-1, signed(x.width)]);
            name = self.node("Reshape", &[&name, &flat], vec![]);
        }
        Ok(Recorded { name, ..x.clone() })
    }

    fn unary(&mut self, op: UnaryOp, x: &Recorded) -> Result<Recorded, ExportError> {
        let name = match op {
            UnaryOp::Gelu => self.node("Gelu", &[&x.name], vec![]),
            UnaryOp::GeluTanh => self.node("Gelu", &[&x.name], vec![AttributeProto::string("approximate", "tanh")]),
            UnaryOp::Silu => {
                let gate = self.node("Sigmoid", &[&x.name], vec![]);
                self.node("Mul", &[&x.name, &gate], vec![])
            }
            UnaryOp::SoftCap(cap) => self.soft_cap(&x.name, cap),
            UnaryOp::Tanh => self.node("Tanh", &[&x.name], vec![]),
            UnaryOp::Relu => self.node("Relu", &[&x.name], vec![]),
        };
        Ok(Recorded { name, ..x.clone() })
    }

    fn binary(&mut self, op: BinaryOp, x: &Recorded, y: &Recorded) -> Result<Recorded, ExportError> {
        expect("binary", y, x.rows)?;
        let op = match op {
            BinaryOp::Add => "Add",
            BinaryOp::Multiply => "Mul",
        };
        let name = self.node(op, &[&x.name, &y.name], vec![]);
        Ok(Recorded { name, ..x.clone() })
    }

    fn columns(&mut self, x: &Recorded, first: usize, width: usize) -> Result<Recorded, ExportError> {
        let name = self.slice(&x.name, first, first + width, 1);
        Ok(Recorded { name, rows: x.rows, width })
    }

    fn rotate(&mut self, rotary: &Rotary, x: &Recorded) -> Result<Recorded, ExportError> {
        expect("rotate", x, Rows::Tokens)?;
        let (head, half) = (rotary.head_width, rotary.head_width / 2);
        let [cosines, sines] = self.angles(rotary);
        let heads = self.unfold(&x.name, &[signed(x.width / head), signed(head)]);
        let (a, b) = (self.slice(&heads, 0, half, 3), self.slice(&heads, half, head, 3));
        let mut turned = |first: &str, second: &str, op: &str| {
            let (one, other) = (self.node("Mul", &[first, &cosines], vec![]), self.node("Mul", &[second, &sines], vec![]));
            self.node(op, &[&one, &other], vec![])
        };
        let (a, b) = (turned(&a, &b, "Sub"), turned(&b, &a, "Add"));
        let both = self.node("Concat", &[&a, &b], vec![AttributeProto::int("axis", 3)]);
        let flat = self.integers(&[-1, signed(x.width)]);
        let name = self.node("Reshape", &[&both, &flat], vec![]);
        Ok(Recorded { name, ..x.clone() })
    }

    fn dropout(&mut self, _: f64, x: &Recorded) -> Result<Recorded, ExportError> {
        Ok(x.clone())
    }

    fn attention(&mut self, shape: &Attention, query: &Recorded, key: &Recorded, value: &Recorded) -> Result<Recorded, ExportError> {
        expect("attention keys", key, Rows::Tokens)?;
        expect("attention values", value, Rows::Tokens)?;
        let pair = [key, value];
        let mixed = if shape.key_heads == shape.heads { self.attend(shape, query, pair) } else { self.attend_grouped(shape, query, pair) };
        let width = shape.heads * shape.head_width;
        let flat = self.integers(&[-1, signed(width)]);
        let name = self.node("Reshape", &[&mixed, &flat], vec![]);
        Ok(Recorded { name, rows: query.rows, width })
    }

    fn first_token(&mut self, x: &Recorded) -> Result<Recorded, ExportError> {
        expect("first_token", x, Rows::Tokens)?;
        let unfolded = self.unfold(&x.name, &[signed(x.width)]);
        let first = self.index(0);
        let name = self.node("Gather", &[&unfolded, &first], vec![AttributeProto::int("axis", 1)]);
        Ok(Recorded { name, rows: Rows::Texts, width: x.width })
    }

    fn last_token(&mut self, x: &Recorded) -> Result<Recorded, ExportError> {
        expect("last_token", x, Rows::Tokens)?;
        let (unfolded, lasts) = (self.unfold(&x.name, &[signed(x.width)]), self.lasts());
        let name = self.node("GatherND", &[&unfolded, &lasts], vec![AttributeProto::int("batch_dims", 1)]);
        Ok(Recorded { name, rows: Rows::Texts, width: x.width })
    }

    fn mean_tokens(&mut self, x: &Recorded) -> Result<Recorded, ExportError> {
        expect("mean_tokens", x, Rows::Tokens)?;
        let unfolded = self.unfold(&x.name, &[signed(x.width)]);
        let (last, middle) = (self.integers(&[2]), self.integers(&[1]));
        let mask = self.float_mask();
        let column = self.node("Unsqueeze", &[&mask, &last], vec![]);
        let kept = self.node("Mul", &[&unfolded, &column], vec![]);
        let no_axis = || vec![AttributeProto::int("keepdims", 0)];
        let sum = self.node("ReduceSum", &[&kept, &middle], no_axis());
        let count = self.node("ReduceSum", &[&column, &middle], no_axis());
        let name = self.node("Div", &[&sum, &count], vec![]);
        Ok(Recorded { name, rows: Rows::Texts, width: x.width })
    }
}
