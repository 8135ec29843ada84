//! The recorder: an interpreter of [`Ops`] that writes ONNX nodes instead of computing.
//!
//! Rows of tokens are `[batch * sequence, width]`, rows of texts `[batch, width]`; only attention,
//! pooling and the embedding see the two axes apart. No size of either axis is written down: a
//! graph answers any batch. Nodes are the plain ones of the ONNX operator set, which measured
//! faster on CPU than ONNX Runtime's fused ones. Weights stay where they are: an initialiser is a
//! name, a shape and a place in the bundle's `f32` image.

use std::collections::BTreeMap;

use super::ExportError;
use super::proto::{AttributeProto, EXTERNAL, FLOAT, INT64, NodeProto, StringStringEntryProto, TensorProto};
use crate::bundle::{GRAPH_INPUTS, Layout};
use crate::nn::{Attention, Embeddings, Linear, Norm, Ops, ParamSpec, UnaryOp};

/// Added to the scores of padding. Its exponential is zero in `f32`, and it leaves room below, so
/// that adding a score cannot overflow.
const MASKED: f32 = -1e30;

/// What one row of a recorded value stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// A token; rows are `batch * sequence`.
    Tokens,
    /// A text; rows are `batch`.
    Texts,
}

impl Rows {
    fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Texts => "texts",
        }
    }
}

/// A value of a recorded graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    name: String,
    rows: Rows,
    width: usize,
}

impl Recorded {
    /// The name of the tensor.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A graph as far as it was recorded.
pub struct OnnxGraph<'a> {
    layout: &'a Layout,
    location: &'a str,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    /// Tensors recorded on first use, by what they are.
    shared: Shared,
}

#[derive(Default)]
struct Shared {
    /// `i64 [1]`: the batch axis.
    batch: Option<String>,
    /// `i64 [1]`: the sequence axis.
    sequence: Option<String>,
    /// `f32 [batch, 1, 1, sequence]`: zero for tokens, [`MASKED`] for padding.
    mask: Option<String>,
    /// `i64`: `[batch, sequence, trailing...]` by what trails.
    shapes: BTreeMap<Vec<i64>, String>,
}

impl<'a> OnnxGraph<'a> {
    /// An empty graph over weights laid out by `layout` in the file that the graph calls
    /// `location`.
    #[must_use]
    pub fn new(layout: &'a Layout, location: &'a str) -> Self {
        Self { layout, location, nodes: Vec::new(), initializers: Vec::new(), shared: Shared::default() }
    }

    /// The nodes and initialisers, with `logits` renamed to `output`.
    pub(super) fn finish(mut self, logits: &Recorded, output: &str) -> (Vec<NodeProto>, Vec<TensorProto>) {
        for node in &mut self.nodes {
            for name in node.output.iter_mut().chain(&mut node.input).filter(|name| **name == logits.name) {
                output.clone_into(name);
            }
        }
        (self.nodes, self.initializers)
    }

    /// Records one node of one output and returns the output's name.
    fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let output = format!("{}_{}", op.to_lowercase(), self.nodes.len());
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.clone()],
            name: output.clone(),
            op_type: op.to_owned(),
            attribute: attributes,
        });
        output
    }

    /// A constant of the graph's own; equal ones are kept once.
    fn constant(&mut self, name: &str, data_type: i32, dims: &[i64], raw: Vec<u8>) -> String {
        let name = format!("const.{name}");
        if self.initializers.iter().all(|tensor| tensor.name != name) {
            self.initializers.push(TensorProto {
                dims: dims.to_vec(),
                data_type: Some(data_type),
                name: name.clone(),
                raw_data: Some(raw),
                ..TensorProto::default()
            });
        }
        name
    }

    fn integers(&mut self, values: &[i64]) -> String {
        let name = values.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(&format!("i64[{name}]"), INT64, &[signed(values.len())], raw)
    }

    fn scalar(&mut self, value: f32) -> String {
        self.constant(&format!("f32.{value:e}"), FLOAT, &[], value.to_le_bytes().to_vec())
    }

    /// A parameter as an initialiser that points into the image.
    fn parameter(&mut self, spec: &ParamSpec) -> Result<String, ExportError> {
        let refused = |found: String| ExportError::Parameter { name: spec.name.clone(), expected: spec.shape.clone(), found };
        let span = self.layout.get(&spec.name).ok_or_else(|| refused("nothing".to_owned()))?;
        if span.shape != spec.shape {
            return Err(refused(format!("shape {:?}", span.shape)));
        }
        if self.initializers.iter().any(|tensor| tensor.name == spec.name) {
            return Ok(spec.name.clone());
        }
        let entry = |key: &str, value: String| StringStringEntryProto { key: key.to_owned(), value };
        self.initializers.push(TensorProto {
            dims: span.shape.iter().map(|&size| signed(size)).collect(),
            data_type: Some(FLOAT),
            name: spec.name.clone(),
            raw_data: None,
            external_data: vec![
                entry("location", self.location.to_owned()),
                entry("offset", span.offset.to_string()),
                entry("length", span.bytes.to_string()),
            ],
            data_location: Some(EXTERNAL),
        });
        Ok(spec.name.clone())
    }

    fn parameters<const N: usize>(&mut self, specs: &[ParamSpec]) -> Result<[String; N], ExportError> {
        let names = specs.iter().map(|spec| self.parameter(spec)).collect::<Result<Vec<_>, _>>()?;
        Ok(names.try_into().expect("the layer has this many parameters; this is a bug"))
    }

    fn axis(&mut self, index: i64) -> String {
        let attributes = vec![AttributeProto::int("start", index), AttributeProto::int("end", index + 1)];
        self.node("Shape", &[GRAPH_INPUTS[0]], attributes)
    }

    fn batch(&mut self) -> String {
        if self.shared.batch.is_none() {
            self.shared.batch = Some(self.axis(0));
        }
        self.shared.batch.clone().expect("recorded above; this is a bug")
    }

    fn sequence(&mut self) -> String {
        if self.shared.sequence.is_none() {
            self.shared.sequence = Some(self.axis(1));
        }
        self.shared.sequence.clone().expect("recorded above; this is a bug")
    }

    fn mask(&mut self) -> String {
        if self.shared.mask.is_none() {
            let ones = self.float_mask();
            let (one, masked, axes) = (self.scalar(1.0), self.scalar(MASKED), self.integers(&[1, 2]));
            let padding = self.node("Sub", &[&one, &ones], vec![]);
            let scores = self.node("Mul", &[&padding, &masked], vec![]);
            self.shared.mask = Some(self.node("Unsqueeze", &[&scores, &axes], vec![]));
        }
        self.shared.mask.clone().expect("recorded above; this is a bug")
    }

    /// `f32 [batch, sequence]`: one for tokens, zero for padding.
    fn float_mask(&mut self) -> String {
        self.node("Cast", &[GRAPH_INPUTS[1]], vec![AttributeProto::int("to", i64::from(FLOAT))])
    }

    /// `[batch * sequence, width]` to `[batch, sequence, trailing...]`.
    fn unfold(&mut self, x: &str, trailing: &[i64]) -> String {
        if !self.shared.shapes.contains_key(trailing) {
            let (batch, sequence, sizes) = (self.batch(), self.sequence(), self.integers(trailing));
            let shape = self.node("Concat", &[&batch, &sequence, &sizes], vec![AttributeProto::int("axis", 0)]);
            self.shared.shapes.insert(trailing.to_vec(), shape);
        }
        let shape = self.shared.shapes[trailing].clone();
        self.node("Reshape", &[x, &shape], vec![])
    }

    /// The sum of position and segment entries, `[sequence or 1, width]`, where there are any.
    fn place(&mut self, tables: &Embeddings) -> Result<Option<String>, ExportError> {
        if tables.positions.is_none() && tables.segments.is_none() {
            return Ok(None);
        }
        let zero = self.integers(&[0]);
        let mut sum = None;
        if let Some(positions) = &tables.positions {
            let [table] = self.parameters(&positions.params())?;
            let (first, mut end) = (self.integers(&[signed(tables.first_position)]), self.sequence());
            if tables.first_position > 0 {
                end = self.node("Add", &[&end, &first], vec![]);
            }
            sum = Some(self.node("Slice", &[&table, &first, &end, &zero], vec![]));
        }
        if let Some(segments) = &tables.segments {
            let [table] = self.parameters(&segments.params())?;
            let segment = self.node("Gather", &[&table, &zero], vec![]);
            sum = Some(match sum {
                Some(positions) => self.node("Add", &[&positions, &segment], vec![]),
                None => segment,
            });
        }
        Ok(sum)
    }

    /// `[rows, heads * head_width]` to `[batch, heads, rows of a text, head_width]`, or with the
    /// last two axes swapped.
    fn split_heads(&mut self, x: &Recorded, shape: &Attention, order: &[i64; 4]) -> String {
        let heads = [signed(shape.heads), signed(shape.head_width)];
        let split = match x.rows {
            Rows::Tokens => self.unfold(&x.name, &heads),
            Rows::Texts => {
                let shape = self.integers(&[-1, 1, heads[0], heads[1]]);
                self.node("Reshape", &[&x.name, &shape], vec![])
            }
        };
        self.node("Transpose", &[&split], vec![AttributeProto::ints("perm", order)])
    }
}

/// A size as the format writes it.
pub(super) fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

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
        let [words] = self.parameters(&tables.words.params())?;
        let mut sum = self.node("Gather", &[&words, GRAPH_INPUTS[0]], vec![]);
        let place = self.place(tables)?;
        if let Some(place) = place {
            sum = self.node("Add", &[&sum, &place], vec![]);
        }
        let width = tables.words.width;
        let flat = self.integers(&[-1, signed(width)]);
        let name = self.node("Reshape", &[&sum, &flat], vec![]);
        Ok(Recorded { name, rows: Rows::Tokens, width })
    }

    fn linear(&mut self, layer: &Linear, x: &Recorded) -> Result<Recorded, ExportError> {
        let [weight, bias] = self.parameters(&layer.params())?;
        let name = self.node("Gemm", &[&x.name, &weight, &bias], vec![AttributeProto::int("transB", 1)]);
        Ok(Recorded { name, rows: x.rows, width: layer.outputs })
    }

    fn layer_norm(&mut self, layer: &Norm, x: &Recorded, residual: Option<&Recorded>) -> Result<Recorded, ExportError> {
        let [weight, bias] = self.parameters(&layer.params())?;
        let mut input = x.name.clone();
        if let Some(residual) = residual {
            expect("layer_norm", residual, x.rows)?;
            input = self.node("Add", &[&input, &residual.name], vec![]);
        }
        #[expect(clippy::cast_possible_truncation, reason = "ONNX attributes are f32")]
        let attributes = vec![AttributeProto::int("axis", -1), AttributeProto::float("epsilon", layer.epsilon as f32)];
        let name = self.node("LayerNormalization", &[&input, &weight, &bias], attributes);
        Ok(Recorded { name, ..x.clone() })
    }

    fn unary(&mut self, op: UnaryOp, x: &Recorded) -> Result<Recorded, ExportError> {
        let name = match op {
            UnaryOp::Gelu => self.node("Gelu", &[&x.name], vec![]),
            UnaryOp::Tanh => self.node("Tanh", &[&x.name], vec![]),
            UnaryOp::Relu => self.node("Relu", &[&x.name], vec![]),
        };
        Ok(Recorded { name, ..x.clone() })
    }

    fn dropout(&mut self, _: f64, x: &Recorded) -> Result<Recorded, ExportError> {
        Ok(x.clone())
    }

    fn attention(&mut self, shape: &Attention, query: &Recorded, key: &Recorded, value: &Recorded) -> Result<Recorded, ExportError> {
        expect("attention keys", key, Rows::Tokens)?;
        expect("attention values", value, Rows::Tokens)?;
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a head's width is small")]
        let scale = (1.0 / (shape.head_width as f64).sqrt()) as f32;
        let scale = self.scalar(scale);
        let mask = self.mask();
        let query_heads = self.split_heads(query, shape, &[0, 2, 1, 3]);
        let query_heads = self.node("Mul", &[&query_heads, &scale], vec![]);
        let key_heads = self.split_heads(key, shape, &[0, 2, 3, 1]);
        let value_heads = self.split_heads(value, shape, &[0, 2, 1, 3]);
        let scores = self.node("MatMul", &[&query_heads, &key_heads], vec![]);
        let scores = self.node("Add", &[&scores, &mask], vec![]);
        let weights = self.node("Softmax", &[&scores], vec![AttributeProto::int("axis", -1)]);
        let mixed = self.node("MatMul", &[&weights, &value_heads], vec![]);
        let mixed = self.node("Transpose", &[&mixed], vec![AttributeProto::ints("perm", &[0, 2, 1, 3])]);
        let width = shape.heads * shape.head_width;
        let flat = self.integers(&[-1, signed(width)]);
        let name = self.node("Reshape", &[&mixed, &flat], vec![]);
        Ok(Recorded { name, rows: query.rows, width })
    }

    fn first_token(&mut self, x: &Recorded) -> Result<Recorded, ExportError> {
        expect("first_token", x, Rows::Tokens)?;
        let unfolded = self.unfold(&x.name, &[signed(x.width)]);
        let first = self.constant("i64.0", INT64, &[], 0_i64.to_le_bytes().to_vec());
        let name = self.node("Gather", &[&unfolded, &first], vec![AttributeProto::int("axis", 1)]);
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
