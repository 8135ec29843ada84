//! Inference as messages: what a [`ModelInferRequest`] says is put into the words of JSON and checked as such, so that both
//! renderings take and refuse the same; an answer is put into a [`ModelInferResponse`].
//!
//! The elements of the input stand in `contents.bytes_contents` or, as bytes, in `raw_input_contents`, and those of the
//! outputs stand in the answer as the input's did in the request: a client reads what it writes.

use std::collections::HashMap;

use super::answer::{Data, InferAnswer, OutputTensor};
use super::request::{Elements, InferRequest};
use super::tensor;
use crate::serve::error::{ApiError, Violation};
use crate::serve::model::ServedModel;
use crate::serve::proto::inference::infer_parameter::ParameterChoice;
use crate::serve::proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use crate::serve::proto::inference::model_infer_response::InferOutputTensor;
use crate::serve::proto::inference::{InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse};
use crate::serve::wire::check::{Faults, TextLimits};
use crate::serve::wire::json::Node;

/// Where an element stands, in either form.
const CONTENTS: &str = "/inputs/0/contents";

/// Where the elements of a message's tensors stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// In the tensor.
    Typed,
    /// Behind all tensors, as bytes.
    Raw,
}

/// Reads a message, which says itself in which form its answer is expected.
///
/// # Errors
/// Every [`ApiError`] that a request can cause.
pub(crate) fn parse(message: ModelInferRequest, model: &ServedModel, limits: TextLimits) -> Result<(InferRequest, Form), ApiError> {
    let ModelInferRequest { id, parameters, mut inputs, outputs, raw_input_contents: raw, .. } = message;
    let form = if raw.is_empty() { Form::Typed } else { Form::Raw };
    let contents = inputs.first_mut().and_then(|input| input.contents.take());
    let said = Node::Object(vec![
        ("id".to_owned(), if id.is_empty() { Node::Null } else { Node::String(id) }),
        ("parameters".to_owned(), object(parameters)),
        ("inputs".to_owned(), Node::Array(inputs.into_iter().map(input).collect())),
        ("outputs".to_owned(), Node::Array(outputs.into_iter().map(output).collect())),
    ]);
    let read = |_: &mut _, faults: &mut Faults| elements(contents, &raw, faults);
    InferRequest::check(said, Elements { pointer: CONTENTS, read }, model, limits).map(|asked| (asked, form))
}

fn input(InferInputTensor { name, datatype, shape, parameters, .. }: InferInputTensor) -> Node {
    let shape = shape.into_iter().map(|size| Node::Number(size as f64)).collect();
    Node::Object(vec![
        ("name".to_owned(), Node::String(name)),
        ("datatype".to_owned(), Node::String(datatype)),
        ("shape".to_owned(), Node::Array(shape)),
        ("parameters".to_owned(), object(parameters)),
    ])
}

fn output(InferRequestedOutputTensor { name, parameters }: InferRequestedOutputTensor) -> Node {
    Node::Object(vec![("name".to_owned(), Node::String(name)), ("parameters".to_owned(), object(parameters))])
}

fn object(parameters: HashMap<String, InferParameter>) -> Node {
    let value = |parameter: InferParameter| match parameter.parameter_choice {
        None => Node::Null,
        Some(ParameterChoice::BoolParam(value)) => Node::Bool(value),
        Some(ParameterChoice::StringParam(value)) => Node::String(value),
        Some(ParameterChoice::DoubleParam(value)) => Node::Number(value),
        // Beyond 2^53 these lose digits, and no parameter may be that large.
        Some(ParameterChoice::Int64Param(value)) => Node::Number(value as f64),
        Some(ParameterChoice::Uint64Param(value)) => Node::Number(value as f64),
    };
    Node::Object(parameters.into_iter().map(|(name, parameter)| (name, value(parameter))).collect())
}

/// The texts, from the one place where they stand.
fn elements(contents: Option<InferTensorContents>, raw: &[Vec<u8>], faults: &mut Faults) -> Vec<String> {
    let mut contents = contents.unwrap_or_default();
    let typed = std::mem::take(&mut contents.bytes_contents);
    let detail = match raw {
        _ if contents != InferTensorContents::default() => "inputs[0].contents: expected bytes_contents alone".to_owned(),
        [] => return strings(typed, faults),
        [_, ..] if !typed.is_empty() => "inputs[0] has both contents and raw_input_contents: expected one".to_owned(),
        [bytes] => return tensor::unpacked(bytes, CONTENTS, faults),
        [..] => format!("raw_input_contents: expected one entry, for the one input, found {}", raw.len()),
    };
    faults.note(Violation::at(CONTENTS, detail));
    Vec::new()
}

fn strings(elements: Vec<Vec<u8>>, faults: &mut Faults) -> Vec<String> {
    let mut strings = Vec::with_capacity(elements.len());
    for (at, element) in elements.into_iter().enumerate() {
        match String::from_utf8(element) {
            Ok(string) => strings.push(string),
            Err(_) if faults.is_full() => break,
            Err(_) => faults.note(Violation::at(format!("{CONTENTS}/{at}"), format!("element {at}: expected UTF-8"))),
        }
    }
    strings
}

/// The answer in the form that the request had.
pub(crate) fn message(answer: InferAnswer<'_>, form: Form) -> ModelInferResponse {
    let mut raw = Vec::new();
    let outputs = answer.outputs.into_iter().map(|OutputTensor { name, shape, data, .. }| {
        let datatype = data.datatype().to_owned();
        let contents = match form {
            Form::Typed => Some(typed(data)),
            Form::Raw => {
                raw.push(data.packed());
                None
            }
        };
        // A dimension is a number of texts or of labels.
        let shape = shape.into_iter().map(|size| i64::try_from(size).unwrap_or(i64::MAX)).collect();
        InferOutputTensor { name: name.to_owned(), datatype, shape, parameters: HashMap::new(), contents }
    });
    let outputs = outputs.collect();
    ModelInferResponse {
        model_name: answer.model_name.to_owned(),
        model_version: answer.model_version.to_owned(),
        id: answer.id.unwrap_or_default().to_owned(),
        parameters: HashMap::new(),
        outputs,
        raw_output_contents: raw,
    }
}

fn typed(data: Data) -> InferTensorContents {
    match data {
        Data::Fp32(values) => InferTensorContents { fp32_contents: values, ..InferTensorContents::default() },
        Data::Bytes(strings) => {
            let bytes_contents = strings.into_iter().map(String::into_bytes).collect();
            InferTensorContents { bytes_contents, ..InferTensorContents::default() }
        }
    }
}
