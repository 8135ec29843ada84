//! What a request may ask for beyond scores and labels, member by member.

use std::num::NonZeroUsize;

use super::thresholds::{check_share, unknown_label};
use crate::decide::{AbstainPolicy, Aggregation, LabelMap};
use crate::serve::error::Violation;
use crate::serve::label_sets::{self, PublishedSet};
use crate::serve::model::ServedModel;
use crate::serve::wire::check::{Faults, Members, step, subject};
use crate::serve::wire::json::Node;
use crate::spec::LabelSet;
use crate::text::Long;

/// What to do with a text of more tokens than the model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LongText {
    /// Cut it, and say so in the answer.
    Truncate,
    /// Refuse the request.
    Refuse,
    /// Read all of it through windows.
    Window {
        /// Tokens between the starts of two windows; the reader's own choice when absent.
        stride: Option<NonZeroUsize>,
    },
}

impl LongText {
    pub(crate) fn long(self) -> Long {
        match self {
            Self::Truncate | Self::Refuse => Long::Cut,
            Self::Window { stride } => Long::Windows { step: stride },
        }
    }
}

/// Which parts of a text are answered for beside the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Granularity {
    /// None.
    Document,
    /// Its sentences.
    Sentence,
    /// Its windows.
    Window,
}

/// How texts are read, and how what was read becomes one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) long_text: LongText,
    pub(crate) granularity: Granularity,
    pub(crate) aggregation: Aggregation,
}

impl Reader {
    /// Takes `granularity`, `long_text` and `window`.
    pub(super) fn parse(members: &mut Members, model: &ServedModel, faults: &mut Faults) -> Self {
        let granularity = match members.string("granularity", faults).as_deref() {
            None | Some("document") => Granularity::Document,
            Some("sentence") => Granularity::Sentence,
            Some("window") => Granularity::Window,
            Some(_) => unknown("/granularity", "\"document\", \"sentence\" or \"window\"", Granularity::Document, faults),
        };
        let windows = LongText::Window { stride: None };
        let long_text = match (members.string("long_text", faults).as_deref(), granularity) {
            (None, Granularity::Document | Granularity::Sentence) | (Some("truncate"), _) => LongText::Truncate,
            (None, Granularity::Window) | (Some("window"), _) => windows,
            (Some("error"), _) => LongText::Refuse,
            (Some(_), _) => unknown("/long_text", "\"truncate\", \"error\" or \"window\"", windows, faults),
        };
        if granularity == Granularity::Window && long_text != windows {
            let detail = "long_text: granularity \"window\" reads all of a text: expected \"window\" or nothing";
            faults.note(Violation::at("/long_text", detail));
        }
        let usual = Aggregation::usual(model.decider.activation());
        let mut reader = Self { long_text, granularity, aggregation: usual };
        if let Some(node) = members.take("window", faults) {
            reader.window(node, model.encoder.max_length(), faults);
        }
        reader
    }

    /// Takes the members of `window`.
    fn window(&mut self, node: Node, max_length: usize, faults: &mut Faults) {
        let LongText::Window { stride } = &mut self.long_text else {
            faults.note(Violation::at("/window", "window: no window is read here: expected long_text \"window\" beside it"));
            return;
        };
        let mut members = Members::open(node, "/window", faults);
        *stride = members.count("stride", max_length, faults).and_then(NonZeroUsize::new);
        self.aggregation = match members.string("aggregation", faults).as_deref() {
            None => self.aggregation,
            Some("max") => Aggregation::Max,
            Some("mean") => Aggregation::Mean,
            Some(_) => unknown("/window/aggregation", "\"max\" or \"mean\"", self.aggregation, faults),
        };
        members.finish(faults);
    }
}

fn unknown<T>(pointer: &str, expected: &str, instead: T, faults: &mut Faults) -> T {
    faults.note(Violation::at(pointer, format!("{}: expected {expected}", subject(pointer))));
    instead
}

/// Whose scores an explanation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Explain {
    /// Those of the labels decided, or of the likeliest one where none is.
    Decided,
    /// Those of these labels, by position.
    Labels(Vec<usize>),
}

impl Explain {
    /// Takes `explain`: null or false, true, or a list of labels.
    pub(super) fn parse(members: &mut Members, labels: &LabelSet, faults: &mut Faults) -> Option<Self> {
        let list = match members.take("explain", faults)? {
            Node::Bool(wanted) => return wanted.then_some(Self::Decided),
            Node::Array(list) if !list.is_empty() => list,
            other => {
                faults.mistyped("/explain", "a boolean or a list of at least one label", &other);
                return None;
            }
        };
        let mut positions = Vec::new();
        for (at, node) in list.into_iter().enumerate() {
            let pointer = step("/explain", &at.to_string());
            match node {
                Node::String(name) => match labels.index_of(&name) {
                    Some(label) if positions.contains(&label) => {
                        faults.note(Violation::at(&pointer, format!("{} stands twice", subject(&pointer))));
                    }
                    Some(label) => positions.push(label),
                    None => unknown_label(&pointer, labels, faults),
                },
                other => faults.mistyped(&pointer, "a label", &other),
            }
            if faults.is_full() {
                break;
            }
        }
        Some(Self::Labels(positions))
    }
}

/// Takes `abstain`: an object of `margin` and `score`, each a number in `[0, 1]`, at least one.
pub(super) fn abstain(members: &mut Members, decides: bool, faults: &mut Faults) -> Option<AbstainPolicy> {
    let mut inner = Members::open(members.take("abstain", faults)?, "/abstain", faults);
    let policy = AbstainPolicy { margin: inner.share("margin", faults), score: inner.share("score", faults) };
    inner.finish(faults);
    if policy == AbstainPolicy::default() && faults.is_empty() {
        faults.note(Violation::at("/abstain", "abstain: expected margin, score or both"));
    }
    if policy.margin.is_some() && !decides {
        faults.note(Violation::at("/abstain/margin", "abstain.margin: without thresholds there is no margin to them"));
    }
    Some(policy)
}

/// Takes `label_set`: the name of a published set, and the model's labels as its labels.
pub(super) fn label_set(members: &mut Members, model: &ServedModel, faults: &mut Faults) -> Option<(&'static PublishedSet, LabelMap)> {
    let name = members.string("label_set", faults)?;
    let Some(set) = label_sets::find(&name) else {
        let known: Vec<&str> = label_sets::all().iter().map(|set| set.name.as_str()).collect();
        faults.note(Violation::at("/label_set", format!("label_set is unknown here; known are {}", known.join(", "))));
        return None;
    };
    match set.map(model.decider.labels(), model.decider.activation()) {
        Ok(map) => Some((set, map)),
        Err(error) => {
            faults.note(Violation::at("/label_set", format!("label_set: {name} does not fit this model: {error}")));
            None
        }
    }
}

impl Members {
    /// A number in `[0, 1]`.
    pub(crate) fn share(&mut self, name: &'static str, faults: &mut Faults) -> Option<f64> {
        let node = self.take(name, faults)?;
        let pointer = self.pointer(name);
        match node {
            Node::Number(value) => {
                check_share(value, &pointer, faults);
                Some(value)
            }
            other => {
                faults.mistyped(&pointer, "a number in [0, 1]", &other);
                None
            }
        }
    }
}
