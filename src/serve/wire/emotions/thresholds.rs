//! `thresholds`: null, a number, an object of label to number, or `"none"`; and what the answer says
//! of those that decided.

use serde::Serialize;
use utoipa::ToSchema;

use super::by_label::ByLabel;
use crate::decide::Thresholds;
use crate::serve::error::Violation;
use crate::serve::model::ServedModel;
use crate::serve::wire::check::{Faults, step, subject};
use crate::serve::wire::json::Node;
use crate::spec::LabelSet;

/// Which thresholds decide.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Deciding {
    /// The bundle's.
    Bundle,
    /// The request's; labels it does not name keep the bundle's.
    Request(Thresholds),
    /// None: scores only.
    Nothing,
}

impl Deciding {
    pub(super) fn parse(node: Option<Node>, model: &ServedModel, faults: &mut Faults) -> Self {
        let labels = model.decider.labels();
        let values = match node {
            None => return Self::Bundle,
            Some(Node::String(word)) if word == "none" => return Self::Nothing,
            Some(Node::Number(value)) => {
                check_share(value, "/thresholds", faults);
                vec![value; labels.len()]
            }
            Some(Node::Object(members)) => per_label(members, labels, model.decider.thresholds().values().to_vec(), faults),
            Some(other) => {
                faults.mistyped("/thresholds", "null, a number, an object of label to number, or \"none\"", &other);
                return Self::Bundle;
            }
        };
        // Values out of range have been noted, so the request is refused before these would count.
        Thresholds::new(values).map_or(Self::Bundle, Self::Request)
    }

    /// The thresholds themselves, where there are any.
    pub(crate) fn thresholds<'a>(&'a self, model: &'a ServedModel) -> Option<&'a Thresholds> {
        match self {
            Self::Bundle => Some(model.decider.thresholds()),
            Self::Request(thresholds) => Some(thresholds),
            Self::Nothing => None,
        }
    }
}

fn per_label(members: Vec<(String, Node)>, labels: &LabelSet, mut values: Vec<f64>, faults: &mut Faults) -> Vec<f64> {
    let mut seen = vec![false; labels.len()];
    for (name, node) in members {
        if faults.is_full() {
            break;
        }
        let pointer = step("/thresholds", &name);
        match (labels.index_of(&name), node) {
            (None, _) => unknown_label(&pointer, labels, faults),
            (Some(label), _) if std::mem::replace(&mut seen[label], true) => {
                faults.note(Violation::at(&pointer, format!("{} stands twice", subject(&pointer))));
            }
            (Some(label), Node::Number(value)) => {
                check_share(value, &pointer, faults);
                values[label] = value;
            }
            (Some(_), other) => faults.mistyped(&pointer, "a number in [0, 1]", &other),
        }
    }
    values
}

/// Notes a name that is none of `labels`.
pub(super) fn unknown_label(pointer: &str, labels: &LabelSet, faults: &mut Faults) {
    let known = labels.names().join(", ");
    faults.note(Violation::at(pointer, format!("{} is no label here; they are {known}", subject(pointer))));
}

/// Notes a number outside `[0, 1]`.
pub(super) fn check_share(value: f64, pointer: &str, faults: &mut Faults) {
    if !(0.0..=1.0).contains(&value) {
        faults.note(Violation::at(pointer, format!("{} is {value}: expected a number in [0, 1]", subject(pointer))));
    }
}

/// The thresholds that decided, and whose they were.
#[derive(Serialize, Clone, ToSchema)]
pub(crate) struct ThresholdsUsed<'a> {
    /// `bundle`, `request` or `none`.
    source: &'static str,
    /// By label of the model; empty with `none`.
    #[schema(value_type = BTreeMap<String, f64>)]
    values: ByLabel<'a, f64>,
}

impl<'a> ThresholdsUsed<'a> {
    pub(crate) fn of(deciding: &'a Deciding, model: &'a ServedModel) -> Self {
        let names = model.decider.labels().names();
        let source = match deciding {
            Deciding::Bundle => "bundle",
            Deciding::Request(_) => "request",
            Deciding::Nothing => "none",
        };
        let values = deciding.thresholds(model).map_or(&[][..], Thresholds::values);
        Self { source, values: ByLabel::all(names, values) }
    }
}
