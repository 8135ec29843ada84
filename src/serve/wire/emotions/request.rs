//! A request, member by member; what is wrong with any of them is told at once.

use super::asked::{self, Explain, Reader};
use super::thresholds::Deciding;
use super::{Granularity, LongText};
use crate::decide::{AbstainPolicy, LabelMap};
use crate::serve::error::{ApiError, Violation};
use crate::serve::label_sets::PublishedSet;
use crate::serve::model::ServedModel;
use crate::serve::wire::check::{Faults, Members, TextLimits};
use crate::serve::wire::inputs::Inputs;
use crate::serve::wire::json::Node;
use crate::spec::{LabelSet, MAX_LABELS};

/// A checked request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EmotionsRequest {
    pub(crate) inputs: Inputs,
    pub(crate) deciding: Deciding,
    pub(crate) top_k: Option<usize>,
    pub(crate) logits: bool,
    pub(crate) reader: Reader,
    pub(crate) explain: Option<Explain>,
    pub(crate) abstain: Option<AbstainPolicy>,
    pub(crate) label_set: Option<(&'static PublishedSet, LabelMap)>,
}

impl EmotionsRequest {
    /// `model` is the one that the body names, or the default.
    ///
    /// # Errors
    /// Every [`ApiError`] that a body can cause.
    pub(crate) fn parse(body: Node, model: &ServedModel, limits: TextLimits) -> Result<Self, ApiError> {
        let mut faults = Faults::default();
        let mut members = Members::open(body, "", &mut faults);
        let inputs = Inputs::parse(members.take("input", &mut faults), "/input", &mut faults);
        // Looked up already; here it is only checked to be a string, and to stand once.
        let _ = members.string("model", &mut faults);
        let deciding = Deciding::parse(members.take("thresholds", &mut faults), model, &mut faults);
        let top_k = members.count("top_k", MAX_LABELS, &mut faults);
        let logits = members.bool("logits", false, &mut faults);
        let reader = Reader::parse(&mut members, model, &mut faults);
        let label_set = asked::label_set(&mut members, model, &mut faults);
        let labels = label_set.as_ref().map_or(model.decider.labels(), |(_, map)| map.labels());
        let explain = explain(&mut members, labels, reader, &mut faults);
        let abstain = asked::abstain(&mut members, deciding != Deciding::Nothing, &mut faults);
        members.finish(&mut faults);
        faults.finish()?;
        let limits = if matches!(reader.long_text, LongText::Window { .. }) { limits.through_windows() } else { limits };
        limits.check(inputs.pointer, &inputs.texts, |at| inputs.place(at))?;
        Ok(Self { inputs, deciding, top_k, logits, reader, explain, abstain, label_set })
    }

    /// The labels that the answer speaks of.
    pub(crate) fn labels<'a>(&'a self, model: &'a ServedModel) -> &'a LabelSet {
        self.label_set.as_ref().map_or(model.decider.labels(), |(_, map)| map.labels())
    }
}

fn explain(members: &mut Members, labels: &LabelSet, reader: Reader, faults: &mut Faults) -> Option<Explain> {
    let explain = Explain::parse(members, labels, faults)?;
    if reader.granularity == Granularity::Window || matches!(reader.long_text, LongText::Window { .. }) {
        faults.note(Violation::at("/explain", "explain: a text read through windows is not explained: expected null beside \"window\""));
    }
    Some(explain)
}
