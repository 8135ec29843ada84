//! An inference request, checked: what it says is the same in JSON and in a message, and only where the elements of its input
//! stand differs. In JSON they are a list, or bytes behind the JSON that it says are binary.

use std::time::Duration;

use super::tensor;
use crate::decide::Thresholds;
use crate::serve::batching::Priority;
use crate::serve::error::{ApiError, Violation};
use crate::serve::model::ServedModel;
use crate::serve::wire::check::{Faults, Members, TextLimits};
use crate::serve::wire::json::Node;
use crate::spec::MAX_LABELS;

/// The one input.
const INPUT: &str = "text";
/// Where its elements stand in JSON.
const DATA: &str = "/inputs/0/data";
/// Larger numbers than this cannot be told exactly in JSON.
const EXACT: usize = 1 << 52;

/// A checked request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InferRequest {
    /// To be given back.
    pub(crate) id: Option<String>,
    pub(crate) texts: Vec<String>,
    pub(crate) outputs: Vec<Output>,
    /// Instead of the bundle's.
    pub(crate) thresholds: Option<Thresholds>,
    /// Where the body says one.
    pub(crate) priority: Option<Priority>,
    /// The client's own limit, which may only shorten the server's.
    pub(crate) timeout: Option<Duration>,
    /// Where the texts stood.
    pointer: &'static str,
}

/// Where the elements of the input stand, and how they are taken from there.
pub(super) struct Elements<F> {
    pub(super) pointer: &'static str,
    /// Given the members of the input that nobody took yet.
    pub(super) read: F,
}

/// One output asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) tensor: Tensor,
    /// The so many highest scores as `value:index:label` instead of the tensor itself.
    pub(crate) classification: Option<usize>,
    pub(crate) binary: bool,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tensor {
    /// Calibrated probabilities, FP32, `[texts, labels]`.
    Probabilities,
    /// The labels decided, BYTES, `[texts]`: a JSON list of names each.
    Labels,
}

impl Tensor {
    pub(crate) const ALL: [Self; 2] = [Self::Probabilities, Self::Labels];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Probabilities => "probabilities",
            Self::Labels => "labels",
        }
    }
}

/// What `parameters` of the whole request say.
struct Parameters {
    thresholds: Option<Thresholds>,
    priority: Option<Priority>,
    timeout: Option<Duration>,
    binary: bool,
}

impl InferRequest {
    /// Reads a body whose first `json_bytes` are JSON, or all of it.
    ///
    /// # Errors
    /// Every [`ApiError`] that a body can cause.
    pub(crate) fn parse(body: &[u8], json_bytes: Option<usize>, model: &ServedModel, limits: TextLimits) -> Result<Self, ApiError> {
        let Some((json, binary)) = body.split_at_checked(json_bytes.unwrap_or(body.len())) else {
            let detail = format!("inference-header-content-length is more than the {} bytes of the body", body.len());
            return Err(ApiError::Invalid(vec![Violation::header("inference-header-content-length", detail)]));
        };
        let read = |input: &mut Members, faults: &mut Faults| {
            let mut parameters = input.take("parameters", faults).map(|node| Members::open(node, "/inputs/0/parameters", faults));
            let size = parameters.as_mut().and_then(|members| members.whole("binary_data_size", 0..=EXACT, faults));
            elements(input.take("data", faults), size, binary, faults)
        };
        Self::check(Node::parse(json)?, Elements { pointer: DATA, read }, model, limits)
    }

    /// Checks what a request says, written as the JSON that says the same.
    ///
    /// # Errors
    /// Every [`ApiError`] that a request can cause.
    pub(super) fn check(
        said: Node,
        elements: Elements<impl FnOnce(&mut Members, &mut Faults) -> Vec<String>>,
        model: &ServedModel,
        limits: TextLimits,
    ) -> Result<Self, ApiError> {
        let pointer = elements.pointer;
        let mut faults = Faults::default();
        let mut members = Members::open(said, "", &mut faults);
        let id = members.string("id", &mut faults);
        let Parameters { thresholds, priority, timeout, binary: all_binary } =
            Parameters::parse(members.take("parameters", &mut faults), model, &mut faults);
        let texts = texts(members.take("inputs", &mut faults), elements, &mut faults);
        let outputs = outputs(members.take("outputs", &mut faults), all_binary, &mut faults);
        faults.finish()?;
        limits.check(pointer, &texts, |at| format!("{pointer}/{at}"))?;
        Ok(Self { id, texts, outputs, thresholds, priority, timeout, pointer })
    }

    /// Where text `at` stood.
    pub(crate) fn place(&self, at: usize) -> String {
        format!("{}/{at}", self.pointer)
    }
}

impl Parameters {
    fn parse(node: Option<Node>, model: &ServedModel, faults: &mut Faults) -> Self {
        let mut members = Members::open(node.unwrap_or_else(|| Node::Object(Vec::new())), "/parameters", faults);
        let thresholds = members.share("threshold", faults);
        let thresholds = thresholds.and_then(|value| Thresholds::uniform(model.decider.labels().len(), value).ok());
        let priority = match members.whole("priority", 0..=EXACT, faults) {
            // Zero is the protocol's word for the usual one; one is the most urgent.
            None | Some(0) => None,
            Some(1) => Some(Priority::High),
            Some(2) => Some(Priority::Normal),
            Some(_) => Some(Priority::Low),
        };
        let timeout = members.whole("timeout", 0..=EXACT, faults).filter(|&micros| micros > 0);
        let timeout = timeout.map(|micros| Duration::from_micros(micros as u64));
        Self { thresholds, priority, timeout, binary: members.bool("binary_data_output", false, faults) }
    }
}

fn texts(
    inputs: Option<Node>,
    elements: Elements<impl FnOnce(&mut Members, &mut Faults) -> Vec<String>>,
    faults: &mut Faults,
) -> Vec<String> {
    let input = match inputs {
        Some(Node::Array(list)) => {
            <[Node; 1]>::try_from(list).map_err(|list| format!("expected one input, {INPUT:?}, found {}", list.len()))
        }
        Some(other) => Err(format!("expected a list of one input, {INPUT:?}, found {}", other.kind())),
        None => Err(format!("missing: expected a list of one input, {INPUT:?}")),
    };
    let [input] = match input {
        Ok(input) => input,
        Err(detail) => {
            faults.note(Violation::at("/inputs", format!("inputs: {detail}")));
            return Vec::new();
        }
    };
    let mut input = Members::open(input, "/inputs/0", faults);
    for (member, expected) in [("name", INPUT), ("datatype", "BYTES")] {
        if input.string(member, faults).is_none_or(|found| found != expected) && !faults.is_full() {
            let pointer = input.pointer(member);
            faults.note(Violation::at(pointer, format!("inputs[0].{member}: expected {expected:?}")));
        }
    }
    let count = shape(input.take("shape", faults), faults);
    let texts = (elements.read)(&mut input, faults);
    if faults.is_empty() && texts.is_empty() {
        faults.note(Violation::at(elements.pointer, "inputs[0]: expected at least one text"));
    } else if faults.is_empty() && count != Some(texts.len()) {
        let detail = format!("inputs[0].shape: expected [{0}] or [{0}, 1] for {0} elements", texts.len());
        faults.note(Violation::at("/inputs/0/shape", detail));
    }
    texts
}

/// The elements, from wherever JSON says that they stand.
fn elements(data: Option<Node>, size: Option<usize>, binary: &[u8], faults: &mut Faults) -> Vec<String> {
    let wrong = |faults: &mut Faults, detail: String| {
        faults.note(Violation::at(DATA, detail));
        Vec::new()
    };
    match (data, size) {
        (Some(Node::Array(list)), None) if binary.is_empty() => tensor::flat(list, DATA, faults),
        (None, Some(size)) if size == binary.len() => tensor::unpacked(binary, DATA, faults),
        (None, Some(size)) => wrong(faults, format!("inputs[0]: expected {size} bytes of binary data, found {}", binary.len())),
        (Some(Node::Array(_)), None) => wrong(faults, format!("inputs[0]: {} bytes behind the JSON belong to no input", binary.len())),
        (Some(_), Some(_)) => wrong(faults, "inputs[0] has both data and binary_data_size: expected one".to_owned()),
        (None, None) => wrong(faults, "inputs[0]: expected data or binary_data_size".to_owned()),
        (Some(other), None) => {
            faults.mistyped(DATA, "a list of strings", &other);
            Vec::new()
        }
    }
}

/// The number of elements of `[n]` or `[n, 1]`.
fn shape(node: Option<Node>, faults: &mut Faults) -> Option<usize> {
    let dimension = |node: &Node| match node {
        Node::Number(value) if value.fract() == 0.0 && (0.0..=EXACT as f64).contains(value) => Some(*value as usize),
        _ => None,
    };
    let count = match &node {
        Some(Node::Array(list)) => match list.iter().map(dimension).collect::<Option<Vec<_>>>().as_deref() {
            Some([count] | [count, 1]) => Some(*count),
            _ => None,
        },
        _ => None,
    };
    if count.is_none() {
        faults.note(Violation::at("/inputs/0/shape", "inputs[0].shape: expected [n] or [n, 1]"));
    }
    count
}

fn outputs(node: Option<Node>, all_binary: bool, faults: &mut Faults) -> Vec<Output> {
    let usual = |tensor| Output { tensor, classification: None, binary: all_binary };
    let list = match node {
        None => return Tensor::ALL.map(usual).into(),
        Some(Node::Array(list)) if list.is_empty() => return Tensor::ALL.map(usual).into(),
        Some(Node::Array(list)) => list,
        Some(other) => {
            faults.mistyped("/outputs", "a list of outputs", &other);
            return Vec::new();
        }
    };
    let mut outputs: Vec<Output> = Vec::new();
    for (at, node) in list.into_iter().enumerate() {
        if faults.is_full() {
            break;
        }
        let Some(output) = output(at, node, all_binary, faults) else { continue };
        if outputs.iter().any(|other| other.tensor == output.tensor) {
            faults.note(Violation::at(format!("/outputs/{at}/name"), format!("outputs[{at}].name stands twice")));
        }
        outputs.push(output);
    }
    outputs
}

fn output(at: usize, node: Node, all_binary: bool, faults: &mut Faults) -> Option<Output> {
    let pointer = format!("/outputs/{at}");
    let mut members = Members::open(node, &pointer, faults);
    let name = members.string("name", faults);
    let parameters = members.take("parameters", faults).unwrap_or_else(|| Node::Object(Vec::new()));
    let mut parameters = Members::open(parameters, &format!("{pointer}/parameters"), faults);
    let classification = parameters.whole("classification", 0..=MAX_LABELS, faults).filter(|&most| most > 0);
    let binary = parameters.bool("binary_data", all_binary, faults);
    let tensor = Tensor::ALL.into_iter().find(|tensor| name.as_deref() == Some(tensor.name()));
    if tensor.is_none() {
        let detail = format!("outputs[{at}].name: expected \"probabilities\" or \"labels\"");
        faults.note(Violation::at(format!("{pointer}/name"), detail));
    }
    tensor.map(|tensor| Output { tensor, classification, binary })
}
