//! From logits of held-out rows to calibrators and thresholds, and to figures that are honest.
//!
//! What ships is fitted on all rows judged. What is reported about those rows is cross-fitted: the
//! calibrators and thresholds that judge a part of the rows were fitted on the other parts alone, so
//! no row is reported on by numbers tuned on it; a choice between threshold policies is made anew for
//! each part. Parts are the folds; when one fold alone was fitted, parts of its held-out rows.

use serde::{Deserialize, Serialize};

use super::TrainError;
use super::cross::OutOfFold;
use super::data::Dataset;
use super::groups::Groups;
use super::recipe::{Recipe, ThresholdRule};
use super::split::Folds;
use crate::bundle::{ScoreBin, ScoreReference};
use crate::decide::fit::{Candidates, CrossFitted, choose_policy, cross_fit, cross_fit_choosing, fit_all};
use crate::decide::{Decider, Logits, ThresholdPolicy};
use crate::metrics::{Bin, reliability};
use crate::spec::{Targets, Task};

/// Rows judged by models that did not see them.
pub(super) struct JudgedRows {
    pub(super) data: Dataset,
    /// Row by row.
    pub(super) logits: Logits,
    /// The part that each row belongs to, for cross-fitting.
    pub(super) parts: Vec<usize>,
    /// Hash of the split.
    pub(super) folds: String,
}

/// What a run makes of its out-of-fold logits.
pub(super) struct Calibration {
    /// Ships.
    pub(super) decider: Decider,
    /// Is reported.
    pub(super) honest: CrossFitted,
    /// Which policy the thresholds come from.
    pub(super) policy: PolicyReport,
    /// What could not be fitted.
    pub(super) warnings: Vec<String>,
}

impl JudgedRows {
    /// The rows held out by the folds; `data` are all rows of the run, and `groups` their near duplicates.
    pub(super) fn new(judged: &OutOfFold, data: &Dataset, folds: &Folds, groups: &Groups) -> Result<Self, TrainError> {
        let parts = folds.parts(data.targets(), groups, &judged.rows)?;
        Ok(Self { data: data.select(&judged.rows), logits: judged.logits.clone(), parts, folds: folds.hash() })
    }

    /// Which labels the rows hold.
    pub(super) fn targets(&self) -> &Targets {
        self.data.targets()
    }

    /// The same with other rows as one more part.
    pub(super) fn and(&self, data: &Dataset, logits: &Logits) -> Result<Self, TrainError> {
        let part = self.parts.iter().max().map_or(0, |last| last + 1);
        Ok(Self {
            data: self.data.join(data)?,
            logits: Logits::new(logits.labels(), [self.logits.values(), logits.values()].concat())?,
            parts: self.parts.iter().copied().chain(std::iter::repeat_n(part, logits.rows())).collect(),
            folds: self.folds.clone(),
        })
    }
}

/// Bins of each label's scores that a bundle carries: tenths, the usual choice for a stability index.
const SCORE_BINS: usize = 10;

impl Calibration {
    /// How each label's cross-fitted scores of `judged` are distributed; `set` is those rows' name on the card.
    pub(super) fn scores(&self, set: &str, judged: &JudgedRows) -> Result<ScoreReference, TrainError> {
        let (scores, targets) = (&self.honest.probabilities, judged.targets());
        let label = |label: usize| -> Result<Vec<ScoreBin>, TrainError> {
            let (scores, held): (Vec<f32>, Vec<bool>) = scores.column(label).zip(targets.column(label)).unzip();
            let bins = reliability(&scores, &held, SCORE_BINS)?;
            // The first bin takes whatever is lower than anything seen.
            let from = |at: usize, bin: &Bin| if at == 0 { 0.0 } else { bin.from };
            let bin = |(at, bin): (usize, Bin)| ScoreBin { from: from(at, &bin), rows: bin.rows, score: bin.score, held: bin.held };
            Ok(bins.into_iter().enumerate().map(bin).collect())
        };
        Ok(ScoreReference { set: set.to_owned(), labels: (0..targets.labels()).map(label).collect::<Result<_, _>>()? })
    }
}

/// The threshold policy of what ships, and how it was come by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyReport {
    /// The policy.
    pub policy: String,
    /// None when the recipe names its policy.
    pub choice: Option<PolicyChoice>,
}

/// How a policy was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyChoice {
    /// The figure it was chosen for.
    pub objective: String,
    /// Every candidate and that figure of its cross-fitted decisions. The best of several flatters: the
    /// figures out of fold are those of choices made without the rows that they judge.
    pub candidates: Vec<(String, f64)>,
    /// What each part's rows, as a rule a fold's, were judged by: chosen on the other parts.
    pub folds: Vec<String>,
}

/// Fits the recipe's calibrators and thresholds, on all rows and part by part.
pub(super) fn calibrate(recipe: &Recipe, judged: &JudgedRows) -> Result<Calibration, TrainError> {
    let (labels, kind) = (&recipe.data.labels, recipe.calibration);
    let JudgedRows { data, logits, parts, .. } = judged;
    let targets = data.targets();
    let (policy, choice, honest) = match recipe.thresholds {
        ThresholdRule::Policy(policy) => (policy, None, cross_fit(logits, targets, parts, kind, policy)?),
        ThresholdRule::Choose(objective) => {
            let candidates = Candidates::grid(objective);
            let choice = choose_policy(logits, targets, parts, kind, &candidates)?;
            let honest = cross_fit_choosing(logits, targets, parts, kind, &candidates)?;
            let names = candidates.policies.iter().map(ThresholdPolicy::to_string);
            let report = PolicyChoice {
                objective: objective.to_string(),
                candidates: names.zip(choice.values).collect(),
                folds: honest.policies.iter().map(ThresholdPolicy::to_string).collect(),
            };
            (choice.policy, Some(report), honest)
        }
    };
    let fitted = fit_all(logits, targets, parts, kind, policy)?;
    let warnings = fitted.warnings.iter().chain(&honest.warnings).map(|warning| warning.told(labels)).collect();
    let decider = Decider::new(labels.clone(), Task::MultiLabel.activation(), fitted.calibrators, fitted.thresholds)?;
    Ok(Calibration { decider, honest, policy: PolicyReport { policy: policy.to_string(), choice }, warnings })
}
