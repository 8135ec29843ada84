//! What the routes know of the model they serve. The weights are the engine's; here is what turns
//! texts into ids and logits into answers, and what the answers say about their origin.

use super::wire::card;
use crate::bundle::Bundle;
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
            card: card::of(bundle),
        }
    }
}
