//! The recorder: an interpreter of [`Ops`](crate::nn::Ops) that writes ONNX nodes instead of computing.
//!
//! Rows of tokens are `[batch * sequence, width]`, rows of texts `[batch, width]`; only attention,
//! pooling and the embedding see the two axes apart. No size of either axis is written down: a
//! graph answers any batch. Nodes are the plain ones of the ONNX operator set, which measured
//! faster on CPU than ONNX Runtime's fused ones. Weights stay where they are: an initialiser is a
//! name, a shape and a place in the bundle's `f32` image.

mod attend;
mod record;

use std::collections::BTreeMap;

use super::ExportError;
use super::proto::{AttributeProto, EXTERNAL, FLOAT, INT64, NodeProto, StringStringEntryProto, TensorProto};
use crate::bundle::{GRAPH_INPUTS, Layout};
use crate::nn::{Direction, Embedding, Embeddings, ParamSpec, Rotary, RotaryScaling};

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

/// What an attention sees, and whether its queries are tokens.
type Sight = (Direction, Option<usize>, bool);

#[derive(Default)]
struct Shared {
    /// `i64 [1]`: the batch axis.
    batch: Option<String>,
    /// `i64 [1]`: the sequence axis.
    sequence: Option<String>,
    /// `f32 [batch, 1, 1, sequence]`: zero for tokens, [`MASKED`] for padding.
    mask: Option<String>,
    /// What is added to scores where an attention does not see everything, by what it sees and
    /// what its queries are.
    sights: BTreeMap<Sight, String>,
    /// `f32 [batch, sequence]`: one for tokens, zero for padding.
    tokens: Option<String>,
    /// `i64 [batch, 1]`: the place of every text's last token.
    lasts: Option<String>,
    /// `f32 [sequence]`: every position.
    positions: Option<String>,
    /// `f32 [sequence, 1, head_width / 2]`: cosines and sines of a rotation, by the name of its speeds.
    angles: BTreeMap<String, [String; 2]>,
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

    /// Records one node over `x` and a layer's parameters.
    fn layer(&mut self, op: &str, x: &str, params: &[ParamSpec], attributes: Vec<AttributeProto>) -> Result<String, ExportError> {
        let params = params.iter().map(|spec| self.parameter(spec)).collect::<Result<Vec<_>, _>>()?;
        let inputs: Vec<&str> = std::iter::once(x).chain(params.iter().map(String::as_str)).collect();
        Ok(self.node(op, &inputs, attributes))
    }

    fn table(&mut self, table: &Embedding) -> Result<String, ExportError> {
        self.parameter(&table.params()[0])
    }

    /// The entries `from..to` of one axis.
    fn slice(&mut self, x: &str, from: usize, to: usize, axis: usize) -> String {
        let [from, to, axis] = [from, to, axis].map(|value| self.integers(&[signed(value)]));
        self.node("Slice", &[x, &from, &to, &axis], vec![])
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

    fn positions(&mut self) -> String {
        if self.shared.positions.is_none() {
            let sequence = self.sequence();
            let [first, step] = [0, 1].map(|value| self.index(value));
            let end = self.node("Squeeze", &[&sequence], vec![]);
            let range = self.node("Range", &[&first, &end, &step], vec![]);
            self.shared.positions = Some(self.node("Cast", &[&range], vec![AttributeProto::int("to", i64::from(FLOAT))]));
        }
        self.shared.positions.clone().expect("recorded above; this is a bug")
    }

    /// Cosines and sines of a rotation.
    fn angles(&mut self, rotary: &Rotary) -> [String; 2] {
        let name = speeds_name(rotary);
        if !self.shared.angles.contains_key(&name) {
            let (positions, axes) = (self.positions(), self.integers(&[1, 2]));
            let raw: Vec<u8> = rotary.speeds().iter().flat_map(|speed| speed.to_le_bytes()).collect();
            let speeds = self.constant(&name, FLOAT, &[signed(rotary.head_width / 2)], raw);
            let column = self.node("Unsqueeze", &[&positions, &axes], vec![]);
            let angles = self.node("Mul", &[&column, &speeds], vec![]);
            let pair = ["Cos", "Sin"].map(|function| self.node(function, &[&angles], vec![]));
            self.shared.angles.insert(name.clone(), pair);
        }
        self.shared.angles[&name].clone()
    }

    /// `i64 []`.
    fn index(&mut self, value: i64) -> String {
        self.constant(&format!("i64.{value}"), INT64, &[], value.to_le_bytes().to_vec())
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
            let table = self.table(positions)?;
            let (first, mut end) = (self.integers(&[signed(tables.first_position)]), self.sequence());
            if tables.first_position > 0 {
                end = self.node("Add", &[&end, &first], vec![]);
            }
            sum = Some(self.node("Slice", &[&table, &first, &end, &zero], vec![]));
        }
        if let Some(segments) = &tables.segments {
            let table = self.table(segments)?;
            let segment = self.node("Gather", &[&table, &zero], vec![]);
            sum = Some(match sum {
                Some(positions) => self.node("Add", &[&positions, &segment], vec![]),
                None => segment,
            });
        }
        Ok(sum)
    }
}

/// What the constant with a rotation's speeds is called.
fn speeds_name(rotary: &Rotary) -> String {
    let plain = format!("speeds.{}.{}", rotary.head_width, rotary.base);
    match rotary.scaling {
        None => plain,
        Some(RotaryScaling::Linear { factor }) => format!("{plain}.linear.{factor}"),
        Some(RotaryScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_positions }) => {
            format!("{plain}.llama3.{factor}.{low_freq_factor}.{high_freq_factor}.{original_positions}")
        }
    }
}

/// A size as the format writes it.
pub(super) fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
