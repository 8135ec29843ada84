//! The manifest's `scores`: the distribution of each label's scores, as it stands on disk.
//!
//! Optional since the first bundles had none: what is absent is not written, so their ids stay. Checked
//! like everything else that was read; refuses to fill in what is missing.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{BundleError, ScoreBin, ScoreReference};
use crate::spec::LabelSet;

/// More bins a label than this are taken for a broken file.
const MAX_BINS: usize = 100;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScoresTwin {
    set: String,
    labels: BTreeMap<String, Vec<BinTwin>>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BinTwin {
    from: f64,
    rows: u64,
    score: f64,
    held: f64,
}

impl ScoresTwin {
    /// Of a reference that has as many labels as `labels`.
    pub(super) fn of(reference: &ScoreReference, labels: &LabelSet) -> Self {
        let twin = |&ScoreBin { from, rows, score, held }: &ScoreBin| BinTwin { from, rows, score, held };
        let by_label = labels.names().iter().zip(&reference.labels);
        Self {
            set: reference.set.clone(),
            labels: by_label.map(|(label, bins)| (label.clone(), bins.iter().map(twin).collect())).collect(),
        }
    }

    /// The reference, one list of bins a label.
    pub(super) fn resolve(mut self, labels: &LabelSet, at: &Path) -> Result<ScoreReference, BundleError> {
        let wrong =
            |label: &str, expected: &str, found: String| BundleError::value(at, format!("scores.labels.{label:?}"), expected, found);
        let mut all = Vec::with_capacity(labels.len());
        for label in labels.names() {
            let bins = self.labels.remove(label).ok_or_else(|| wrong(label, "bins", "nothing".to_owned()))?;
            let bins: Vec<ScoreBin> =
                bins.into_iter().map(|BinTwin { from, rows, score, held }| ScoreBin { from, rows, score, held }).collect();
            check(&bins).map_err(|(expected, found)| wrong(label, expected, found))?;
            all.push(bins);
        }
        match self.labels.keys().next() {
            Some(label) => Err(wrong(label, "the bundle's labels", "another".to_owned())),
            None => Ok(ScoreReference { set: self.set, labels: all }),
        }
    }
}

fn check(bins: &[ScoreBin]) -> Result<(), (&'static str, String)> {
    if bins.is_empty() || bins.len() > MAX_BINS {
        return Err(("between 1 and 100 bins", bins.len().to_string()));
    }
    if bins[0].from != 0.0 || !bins.windows(2).all(|pair| pair[0].from < pair[1].from) {
        return Err(("bins from 0 up", format!("{:?}", bins.iter().map(|bin| bin.from).collect::<Vec<_>>())));
    }
    let unit = |value: f64| (0.0..=1.0).contains(&value);
    match bins.iter().find(|bin| bin.rows == 0 || ![bin.from, bin.score, bin.held].into_iter().all(unit)) {
        Some(bin) => Err(("rows in every bin, and numbers in [0, 1]", format!("{bin:?}"))),
        None => Ok(()),
    }
}
