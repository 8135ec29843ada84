//! What the routes know of the model they serve. The weights are the engine's; here is what turns
//! texts into ids and logits into answers, and what the answers say about their origin.

use std::collections::BTreeMap;

use super::wire::card;
use crate::bundle::{Bundle, Figure, MeasuredSet, ScoreReference};
use crate::decide::Decider;
use crate::text::TextEncoder;

/// One model, ready to be asked about.
#[derive(Debug, Clone)]
pub struct ServedModel {
    /// The name that requests and paths use.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The bundle's content hash, `sha256:...`.
    pub digest: String,
    /// How the weights are stored.
    pub precision: &'static str,
    /// When the bundle was made, seconds since 1970.
    pub created: u64,
    /// Texts to ids, exactly as in training.
    pub encoder: TextEncoder,
    /// Logits to probabilities and labels.
    pub decider: Decider,
    /// What live scores are compared with, where the bundle holds it.
    pub reference: Option<ScoreReference>,
    /// The share of rows judged out of fold that each label was decided for, where it was measured.
    pub expected: BTreeMap<String, f64>,
    /// The model card, as `GET /v1/models/{id}` gives it.
    pub card: serde_json::Value,
}

impl ServedModel {
    /// What routes need of an opened bundle.
    #[must_use]
    pub fn of(bundle: &Bundle) -> Self {
        Self {
            name: bundle.name().to_owned(),
            version: bundle.version().to_owned(),
            digest: bundle.id().to_owned(),
            precision: bundle.precision().name(),
            created: bundle.created(),
            encoder: bundle.text_encoder(),
            decider: bundle.decider().clone(),
            reference: bundle.card().scores.clone(),
            expected: expected(bundle),
            card: card::of(bundle),
        }
    }
}

/// Decisions of the cross-fitted set, the first that was measured, over its rows.
fn expected(bundle: &Bundle) -> BTreeMap<String, f64> {
    let sets = bundle.card().metrics.iter().filter(|set| set.rows > 0);
    let share = |set: &MeasuredSet, figures: &BTreeMap<String, Figure>| {
        let share = figures.get("predicted")?.value / set.rows as f64;
        (0.0..=1.0).contains(&share).then_some(share)
    };
    let of = |set: &MeasuredSet| -> BTreeMap<String, f64> {
        set.tuned.labels.iter().filter_map(|(label, figures)| Some((label.clone(), share(set, figures)?))).collect()
    };
    sets.map(of).next().unwrap_or_default()
}
