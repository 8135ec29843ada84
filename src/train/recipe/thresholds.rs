//! `[thresholds]`: one policy, or a choice between policies; from typed to resolved and back.

use super::file::{PolicyName, ThresholdsFile};
use super::resolve::{Resolved, need, unit, value, within};
use crate::decide::ThresholdPolicy;
use crate::decide::fit::Objective;

/// `[thresholds]`: how probabilities become labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ThresholdRule {
    /// This policy.
    Policy(ThresholdPolicy),
    /// `policy = "choose"`: the policy of [`Candidates::grid`](crate::decide::fit::Candidates::grid)
    /// whose cross-fitted decisions are best for `objective`.
    Choose(Objective),
}

pub(super) fn resolve(file: &ThresholdsFile) -> Resolved<ThresholdRule> {
    use PolicyName::{Choose, ExpectedF1, Fixed, GlobalF1, PerLabelF1, TargetPrecision, TargetRecall};
    let policy = file.policy.unwrap_or(Fixed);
    let unused = |key, owners: &[PolicyName], names: &str, set: bool| {
        let stray = set && !owners.contains(&policy);
        if stray { Err(value(key, &format!("no value unless thresholds.policy is {names}"), "set")) } else { Ok(()) }
    };
    let valued = [Fixed, TargetPrecision, TargetRecall];
    unused("thresholds.value", &valued, "fixed, target_precision or target_recall", file.value.is_some())?;
    unused("thresholds.shrink", &[PerLabelF1, ExpectedF1], "per_label_f1 or expected_f1", file.shrink.is_some())?;
    unused("thresholds.objective", &[Choose], "choose", file.objective.is_some())?;
    let shrink = || within("thresholds.shrink", file.shrink.unwrap_or(0.0), "a number in [0, 1]", unit);
    let target = || {
        let given = need("thresholds.value", "the precision or recall that each label shall reach", file.value)?;
        within("thresholds.value", given, "a number in (0, 1]", |&target| target > 0.0 && target <= 1.0)
    };
    Ok(ThresholdRule::Policy(match policy {
        Fixed => ThresholdPolicy::Fixed(within("thresholds.value", file.value.unwrap_or(0.5), "a number in [0, 1]", unit)?),
        GlobalF1 => ThresholdPolicy::GlobalF1,
        PerLabelF1 => ThresholdPolicy::PerLabelF1 { shrink: shrink()? },
        ExpectedF1 => ThresholdPolicy::ExpectedF1 { shrink: shrink()? },
        TargetPrecision => ThresholdPolicy::TargetPrecision(target()?),
        TargetRecall => ThresholdPolicy::TargetRecall(target()?),
        Choose => return Ok(ThresholdRule::Choose(file.objective.unwrap_or(Objective::MacroF1))),
    }))
}

pub(super) fn file(rule: ThresholdRule) -> ThresholdsFile {
    let plain = |policy| ThresholdsFile { policy: Some(policy), value: None, shrink: None, objective: None };
    match rule {
        ThresholdRule::Choose(objective) => ThresholdsFile { objective: Some(objective), ..plain(PolicyName::Choose) },
        ThresholdRule::Policy(policy) => match policy {
            ThresholdPolicy::Fixed(value) => ThresholdsFile { value: Some(value), ..plain(PolicyName::Fixed) },
            ThresholdPolicy::GlobalF1 => plain(PolicyName::GlobalF1),
            ThresholdPolicy::PerLabelF1 { shrink } => ThresholdsFile { shrink: Some(shrink), ..plain(PolicyName::PerLabelF1) },
            ThresholdPolicy::ExpectedF1 { shrink } => ThresholdsFile { shrink: Some(shrink), ..plain(PolicyName::ExpectedF1) },
            ThresholdPolicy::TargetPrecision(target) => ThresholdsFile { value: Some(target), ..plain(PolicyName::TargetPrecision) },
            ThresholdPolicy::TargetRecall(target) => ThresholdsFile { value: Some(target), ..plain(PolicyName::TargetRecall) },
        },
    }
}
