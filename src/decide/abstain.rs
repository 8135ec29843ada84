//! When not to trust a decision: how near it stands to being another one, and whether anything was
//! recognised at all.

use super::{Decider, Thresholds};
use crate::spec::Activation;

/// Where a row of scores would first be decided differently.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margin {
    /// How far its score would have to move: the distance to its threshold, or under softmax the lead
    /// over the runner-up. At least zero.
    pub distance: f64,
    /// The label that would be decided differently, by position.
    pub label: usize,
}

/// When to abstain. What is absent is not asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AbstainPolicy {
    /// Abstain when the margin is smaller than this.
    pub margin: Option<f64>,
    /// Abstain when no label's score reaches this.
    pub score: Option<f64>,
}

/// Why a policy abstains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The decision stands too near to another one.
    Margin,
    /// No label is likely enough.
    Score,
}

impl Doubt {
    /// The name used in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Margin => "margin",
            Self::Score => "score",
        }
    }
}

impl Decider {
    /// The margin of a row of scores. A single label under softmax always holds and has the whole
    /// range as its margin.
    ///
    /// # Panics
    /// When there are more or fewer scores or thresholds than labels.
    #[must_use]
    pub fn margin(&self, scores: &[f32], thresholds: &Thresholds) -> Margin {
        let above = |label: usize| f64::from(scores[label]) - thresholds.values()[label];
        let nearest = |distance: &dyn Fn(usize) -> f64, labels: &[usize]| {
            let of = |&label: &usize| Margin { distance: distance(label), label };
            let first = |left: &Margin, right: &Margin| left.distance.total_cmp(&right.distance);
            labels.iter().map(of).min_by(first).unwrap_or(Margin { distance: 1.0, label: 0 })
        };
        match self.activation() {
            Activation::Sigmoid => nearest(&|label| above(label).abs(), &(0..scores.len()).collect::<Vec<_>>()),
            Activation::Softmax => {
                let best = self.judge(scores, thresholds).labels[0];
                let others: Vec<usize> = (0..scores.len()).filter(|&label| label != best).collect();
                nearest(&|label| above(best) - above(label), &others)
            }
        }
    }
}

impl AbstainPolicy {
    /// Everything that speaks against the decision on these scores; nothing when it may be trusted.
    #[must_use]
    pub fn doubts(&self, scores: &[f32], margin: Option<Margin>) -> Vec<Doubt> {
        let near = self.margin.zip(margin).is_some_and(|(least, found)| found.distance < least);
        let top = scores.iter().copied().fold(0.0, f32::max);
        let unlikely = self.score.is_some_and(|least| f64::from(top) < least);
        [(near, Doubt::Margin), (unlikely, Doubt::Score)].into_iter().filter_map(|(holds, doubt)| holds.then_some(doubt)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::LabelSet;

    fn decider(activation: Activation) -> Decider {
        Decider::plain(LabelSet::new(["anger", "fear", "joy"]).expect("three names"), activation)
    }

    #[test]
    fn the_margin_is_the_way_to_the_next_decision() {
        let thresholds = Thresholds::new(vec![0.5, 0.25, 0.75]).expect("in range");
        for (activation, scores, label, distance) in [
            (Activation::Sigmoid, [0.0, 0.0, 1.0], 1, 0.25),
            (Activation::Sigmoid, [0.5, 0.0, 0.0], 0, 0.0),
            (Activation::Sigmoid, [1.0, 1.0, 0.625], 2, 0.125),
            (Activation::Softmax, [0.5, 0.5, 0.0], 0, 0.25),
            (Activation::Softmax, [0.25, 0.125, 0.75], 1, 0.125),
        ] {
            assert_eq!(decider(activation).margin(&scores, &thresholds), Margin { distance, label }, "of {scores:?}");
        }
    }

    #[test]
    fn a_policy_doubts_what_it_was_told_to() {
        let margin = Margin { distance: 0.125, label: 0 };
        for (policy, expected) in [
            (AbstainPolicy::default(), vec![]),
            (AbstainPolicy { margin: Some(0.125), score: Some(0.5) }, vec![]),
            (AbstainPolicy { margin: Some(0.25), score: None }, vec![Doubt::Margin]),
            (AbstainPolicy { margin: Some(1.0), score: Some(0.51) }, vec![Doubt::Margin, Doubt::Score]),
        ] {
            assert_eq!(policy.doubts(&[0.5, 0.25], Some(margin)), expected, "{policy:?}");
        }
        assert_eq!(AbstainPolicy { margin: Some(1.0), score: None }.doubts(&[0.5], None), []);
    }
}
