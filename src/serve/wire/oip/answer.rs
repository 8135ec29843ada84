//! The outputs, and how JSON gives them: in itself, or as bytes behind it.

use serde::Serialize;
use utoipa::ToSchema;

use super::request::{InferRequest, Output, Tensor};
use super::tensor;
use crate::decide::Prediction;
use crate::serve::model::ServedModel;

/// The whole answer.
pub(crate) struct InferAnswer<'a> {
    pub(super) model_name: &'a str,
    pub(super) model_version: &'a str,
    pub(super) id: Option<&'a str>,
    pub(super) outputs: Vec<OutputTensor>,
}

/// One output.
pub(super) struct OutputTensor {
    pub(super) name: &'static str,
    pub(super) shape: Vec<usize>,
    pub(super) data: Data,
    /// Whether JSON gives it as bytes.
    binary: bool,
}

/// Elements, row-major.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Data {
    /// Probabilities.
    Fp32(Vec<f32>),
    /// Lists of labels, or `score:index:label`.
    Bytes(Vec<String>),
}

impl Data {
    pub(super) const fn datatype(&self) -> &'static str {
        match self {
            Self::Fp32(_) => "FP32",
            Self::Bytes(_) => "BYTES",
        }
    }

    pub(super) fn packed(&self) -> Vec<u8> {
        match self {
            Self::Fp32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Bytes(strings) => tensor::packed(strings),
        }
    }
}

/// The answer as JSON; members are written in this order.
#[derive(Serialize, ToSchema)]
#[schema(as = InferAnswer)]
pub(crate) struct InferBody<'a> {
    model_name: &'a str,
    model_version: &'a str,
    /// The request's own, where it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    id: Option<&'a str>,
    outputs: Vec<Part<'a>>,
}

/// One output.
#[derive(Serialize, ToSchema)]
#[schema(as = OutputTensor)]
struct Part<'a> {
    /// `probabilities` or `labels`.
    name: &'static str,
    /// `FP32` or `BYTES`.
    datatype: &'static str,
    shape: &'a [usize],
    /// Where the elements stand behind the JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = BinarySize)]
    parameters: Option<BinarySize>,
    /// Row-major, where the elements stand here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Data)]
    data: Option<&'a Data>,
}

/// How many bytes behind the JSON are this output's.
#[derive(Serialize, ToSchema)]
struct BinarySize {
    binary_data_size: usize,
}

/// A body, and how much of it is JSON where something follows.
pub(crate) struct Written {
    pub(crate) body: Vec<u8>,
    pub(crate) json_bytes: Option<usize>,
}

impl<'a> InferAnswer<'a> {
    pub(crate) fn new(model: &'a ServedModel, asked: &'a InferRequest, predictions: &[Prediction]) -> Self {
        let names = model.decider.labels().names();
        let outputs = asked.outputs.iter().map(|&output| {
            let (shape, data) = elements(output, predictions, names);
            OutputTensor { name: output.tensor.name(), shape, data, binary: output.binary }
        });
        Self { model_name: &model.name, model_version: &model.version, id: asked.id.as_deref(), outputs: outputs.collect() }
    }

    /// JSON, and behind it what was asked for in binary.
    pub(crate) fn written(&self) -> Written {
        let mut binary: Option<Vec<u8>> = None;
        let outputs = self.outputs.iter().map(|OutputTensor { name, shape, data, binary: packed }| {
            let packed = packed.then(|| data.packed());
            let parameters = packed.as_ref().map(|packed| BinarySize { binary_data_size: packed.len() });
            let inline = packed.is_none().then_some(data);
            packed.into_iter().for_each(|packed| binary.get_or_insert_default().extend(packed));
            Part { name, datatype: data.datatype(), shape, parameters, data: inline }
        });
        let outputs = outputs.collect();
        let body = InferBody { model_name: self.model_name, model_version: self.model_version, id: self.id, outputs };
        let mut body = serde_json::to_vec(&body).expect("an answer has string keys: this is a bug");
        let json_bytes = binary.as_ref().map(|_| body.len());
        body.extend(binary.unwrap_or_default());
        Written { body, json_bytes }
    }
}

fn elements(output: Output, predictions: &[Prediction], names: &[String]) -> (Vec<usize>, Data) {
    let rows = predictions.len();
    match (output.classification, output.tensor) {
        (Some(most), _) => {
            let most = most.min(names.len());
            let strings = predictions.iter().flat_map(|prediction| classified(&prediction.scores, names, most));
            (vec![rows, most], Data::Bytes(strings.collect()))
        }
        (None, Tensor::Probabilities) => {
            let values = predictions.iter().flat_map(|prediction| prediction.scores.iter().copied());
            (vec![rows, names.len()], Data::Fp32(values.collect()))
        }
        (None, Tensor::Labels) => (vec![rows], Data::Bytes(predictions.iter().map(|prediction| held(&prediction.labels, names)).collect())),
    }
}

/// The highest scores of one text as `value:index:label`.
fn classified(scores: &[f32], names: &[String], most: usize) -> Vec<String> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // Stable: equal scores keep the bundle's order.
    order.sort_by(|&left, &right| scores[right].total_cmp(&scores[left]));
    order.into_iter().take(most).map(|label| format!("{}:{label}:{}", scores[label], names[label])).collect()
}

/// Label names as a JSON list: a name may hold any separator.
fn held(labels: &[usize], names: &[String]) -> String {
    let labels: Vec<&str> = labels.iter().map(|&label| names[label].as_str()).collect();
    serde_json::to_string(&labels).expect("a list of strings: this is a bug")
}
