//! The manifest's `generation`: how a model that writes its labels is asked and searched.
//!
//! Optional: a classifier has none, and its id is what it always was. The prompt stands here as it is
//! put around a text; how it was made, from which template and for which day, is in the recipe.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::BundleError;
use crate::text::Prompt;

/// More beams than this are taken for a broken file.
const MAX_BEAMS: usize = 4096;

/// How a generator is asked for its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// What stands around a text.
    pub prompt: Prompt,
    /// Lists of labels that are followed at a time, at least one.
    pub beams: usize,
    /// Lists whose share of the probability is below this are left alone; from 0 to below 1.
    pub negligible: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GenerationTwin {
    prompt: PromptTwin,
    spelling: SpellingTwin,
    beams: usize,
    negligible: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PromptTwin {
    before: String,
    after: String,
    end: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    markers: Vec<String>,
}

/// How a set of labels is written.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SpellingTwin {
    /// As `text::LabelSpelling` writes it.
    JsonList,
}

impl GenerationTwin {
    pub(super) fn of(Generation { prompt, beams, negligible }: &Generation) -> Self {
        let Prompt { before, after, end, markers } = prompt.clone();
        let prompt = PromptTwin { before, after, end, markers };
        Self { prompt, spelling: SpellingTwin::JsonList, beams: *beams, negligible: *negligible }
    }

    pub(super) fn resolve(self, at: &Path) -> Result<Generation, BundleError> {
        let Self { prompt: PromptTwin { before, after, end, markers }, spelling: SpellingTwin::JsonList, beams, negligible } = self;
        if !(1..=MAX_BEAMS).contains(&beams) {
            return Err(BundleError::value(at, "generation.beams", format!("between 1 and {MAX_BEAMS}"), beams));
        }
        if !(0.0..1.0).contains(&negligible) {
            return Err(BundleError::value(at, "generation.negligible", "from 0 to below 1", negligible));
        }
        Ok(Generation { prompt: Prompt { before, after, end, markers }, beams, negligible })
    }
}
