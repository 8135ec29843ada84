//! What differs from server to server: limits, models, labels.

use crate::serve::config::Limits;
use crate::serve::label_sets;
use crate::serve::registry::{Line, Registry};

/// The server that is described.
pub(crate) struct Scope {
    pub(super) limits: Limits,
    /// Whether the metrics are beside the rest.
    pub(super) metrics: bool,
    /// Every `name` and `name@version` that a request may ask for.
    pub(super) models: Vec<String>,
    pub(super) names: Vec<String>,
    pub(super) versions: Vec<String>,
    /// Labels that any of the models has.
    pub(super) labels: Vec<String>,
    /// The label sets that fit any of the models, with the labels that it has something for.
    pub(super) sets: Vec<(String, Vec<String>)>,
    /// Tokens that the model with the longest reach takes.
    pub(super) max_length: usize,
}

impl Scope {
    pub(crate) fn of(registry: &Registry, limits: Limits, metrics: bool) -> Self {
        let empty = Vec::new;
        let mut scope =
            Self { limits, metrics, models: empty(), names: empty(), versions: empty(), labels: empty(), sets: Vec::new(), max_length: 1 };
        for Line { current, all, .. } in registry.list() {
            scope.names.push(current.model.name.clone());
            scope.models.push(current.model.name.clone());
            for model in all.iter().map(|served| &served.model) {
                scope.models.push(format!("{}@{}", model.name, model.version));
                add(&mut scope.versions, std::slice::from_ref(&model.version));
                add(&mut scope.labels, model.decider.labels().names());
                scope.max_length = scope.max_length.max(model.encoder.max_length());
                for set in label_sets::all() {
                    if let Ok(map) = set.map(model.decider.labels(), model.decider.activation()) {
                        scope.add_set(&set.name, map.labels().names());
                    }
                }
            }
        }
        scope
    }

    fn add_set(&mut self, name: &str, labels: &[String]) {
        match self.sets.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => add(known, labels),
            None => self.sets.push((name.to_owned(), labels.to_vec())),
        }
    }
}

fn add(known: &mut Vec<String>, more: &[String]) {
    for name in more {
        if !known.contains(name) {
            known.push(name.clone());
        }
    }
}
