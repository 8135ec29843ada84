//! `POST /`: Hugging Face text-classification.
//!
//! Without `function_to_apply` the scores are the bundle's calibrated probabilities. Naming a
//! function asks for that function of the raw logits, which is uncalibrated. The answer is a list
//! of lists even for one text, as the official clients need it.

use super::check::{Faults, Members, TextLimits};
use super::inputs::Inputs;
use super::json::Node;
use super::ranked::Scoring;
use crate::serve::error::{ApiError, Violation};
use crate::spec::Activation;

/// A checked request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HfRequest {
    pub(crate) inputs: Inputs,
    pub(crate) scoring: Scoring,
    /// At most this many labels a text; all when absent.
    pub(crate) top_k: Option<usize>,
}

impl HfRequest {
    /// # Errors
    /// Every [`ApiError`] that a body can cause.
    pub(crate) fn parse(body: Node, limits: TextLimits) -> Result<Self, ApiError> {
        let mut faults = Faults::default();
        let mut members = Members::open(body, "", &mut faults);
        let inputs = Inputs::parse(members.take("inputs", &mut faults), "/inputs", &mut faults);
        // How the hosted service caches and waits means nothing here.
        let _ = members.take("options", &mut faults);
        let parameters = members.take("parameters", &mut faults).unwrap_or_else(|| Node::Object(Vec::new()));
        let mut parameters = Members::open(parameters, "/parameters", &mut faults);
        let scoring = function(&mut parameters, &mut faults);
        // Larger than any number of labels is a way to say all.
        let top_k = parameters.count("top_k", usize::MAX >> 12, &mut faults);
        // The older word for "all labels", which is what comes anyway.
        let _ = parameters.bool("return_all_scores", true, &mut faults);
        parameters.finish(&mut faults);
        members.finish(&mut faults);
        faults.finish()?;
        limits.check(inputs.pointer, &inputs.texts, |at| inputs.place(at))?;
        Ok(Self { inputs, scoring, top_k })
    }
}

fn function(parameters: &mut Members, faults: &mut Faults) -> Scoring {
    let Some(word) = parameters.string("function_to_apply", faults) else { return Scoring::Calibrated };
    match word.as_str() {
        "sigmoid" => Scoring::Plain(Activation::Sigmoid),
        "softmax" => Scoring::Plain(Activation::Softmax),
        "none" => Scoring::Raw,
        _ => {
            let detail = "function_to_apply: expected \"sigmoid\", \"softmax\" or \"none\", or nothing for calibrated probabilities";
            faults.note(Violation::at("/parameters/function_to_apply", detail));
            Scoring::Calibrated
        }
    }
}
