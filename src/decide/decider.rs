//! A bundle's last step: its activation, calibrators and thresholds as one value.

use super::{Calibrator, DecideError, Logits, Probabilities, Thresholds};
use crate::spec::{Activation, LabelSet};

/// Turns logits into probabilities and labels, the same way in training, reports and serving.
#[derive(Debug, Clone, PartialEq)]
pub struct Decider {
    labels: LabelSet,
    activation: Activation,
    calibrators: Vec<Calibrator>,
    thresholds: Thresholds,
}

/// What is said of one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// A probability for every label, in label order.
    pub scores: Vec<f32>,
    /// The labels that hold, by position, the one furthest above its threshold first.
    pub labels: Vec<usize>,
}

impl Decider {
    /// Takes one calibrator and one threshold a label.
    ///
    /// With [`Activation::Softmax`] the calibrators must all be [`Calibrator::Identity`], or all the
    /// same [`Calibrator::Temperature`]: the row is divided by it before the softmax.
    ///
    /// # Errors
    /// [`DecideError::Shape`] when their numbers are not that of the labels;
    /// [`DecideError::Parameter`] or [`DecideError::Form`] for a calibrator that is none.
    pub fn new(
        labels: LabelSet,
        activation: Activation,
        calibrators: Vec<Calibrator>,
        thresholds: Thresholds,
    ) -> Result<Self, DecideError> {
        let count =
            |what, found| if found == labels.len() { Ok(()) } else { Err(DecideError::Shape { what, expected: labels.len(), found }) };
        count("calibrators", calibrators.len())?;
        count("thresholds", thresholds.values().len())?;
        calibrators.iter().try_for_each(Calibrator::check)?;
        if activation == Activation::Softmax {
            let plain = matches!(calibrators[0], Calibrator::Identity | Calibrator::Temperature { .. });
            if !plain || calibrators.iter().any(|calibrator| *calibrator != calibrators[0]) {
                return Err(DecideError::Form {
                    what: "calibrators under softmax",
                    expected: "identity or one temperature for all labels",
                });
            }
        }
        Ok(Self { labels, activation, calibrators, thresholds })
    }

    /// No calibration, and the threshold 0.5 everywhere.
    #[must_use]
    pub fn plain(labels: LabelSet, activation: Activation) -> Self {
        let calibrators = vec![Calibrator::Identity; labels.len()];
        let thresholds = Thresholds::uniform(labels.len(), 0.5).expect("a label set is not empty and 0.5 lies in [0, 1]; this is a bug");
        Self { labels, activation, calibrators, thresholds }
    }

    /// The calibrated probabilities of a batch.
    ///
    /// # Panics
    /// When the logits have another number of labels: a backend gives its bundle's.
    #[must_use]
    pub fn probabilities(&self, logits: &Logits) -> Probabilities {
        assert_eq!(logits.labels(), self.labels.len(), "logits of another label set; this is a bug");
        match self.activation {
            Activation::Sigmoid => Calibrator::apply(&self.calibrators, logits),
            Activation::Softmax => {
                let temperature = if let Calibrator::Temperature { t } = self.calibrators[0] { t } else { 1.0 };
                Probabilities::new(logits.labels(), Probabilities::softmax(logits, temperature))
                    .expect("softmax gives probabilities; anything else is a bug")
            }
        }
    }

    /// Scores and labels of every text of a batch, in order.
    ///
    /// Under sigmoid a label holds when its score reaches its threshold. Under softmax exactly one
    /// holds: the one furthest above its threshold, the first of equals.
    ///
    /// # Panics
    /// As [`Decider::probabilities`].
    #[must_use]
    pub fn decide(&self, logits: &Logits) -> Vec<Prediction> {
        self.decide_with(logits, &self.thresholds)
    }

    /// As [`Decider::decide`], with thresholds of the caller's.
    ///
    /// # Panics
    /// As [`Decider::probabilities`], and when there are more or fewer thresholds than labels.
    #[must_use]
    pub fn decide_with(&self, logits: &Logits, thresholds: &Thresholds) -> Vec<Prediction> {
        assert_eq!(thresholds.values().len(), self.labels.len(), "thresholds of another label set; this is a bug");
        let probabilities = self.probabilities(logits);
        probabilities.each_row().map(|scores| self.judge(scores, thresholds)).collect()
    }

    /// The labels of one row of scores, by the same rule, wherever the scores come from.
    ///
    /// # Panics
    /// When there are more or fewer scores or thresholds than labels.
    #[must_use]
    pub fn judge(&self, scores: &[f32], thresholds: &Thresholds) -> Prediction {
        let margin = |label: usize| f64::from(scores[label]) - thresholds.values()[label];
        let mut labels: Vec<usize> = (0..scores.len()).collect();
        labels.sort_by(|left, right| margin(*right).total_cmp(&margin(*left)));
        match self.activation {
            Activation::Sigmoid => labels.retain(|&label| thresholds.holds(label, scores[label])),
            Activation::Softmax => labels.truncate(1),
        }
        Prediction { scores: scores.to_vec(), labels }
    }

    /// The labels, in order.
    #[must_use]
    pub fn labels(&self) -> &LabelSet {
        &self.labels
    }

    /// The activation.
    #[must_use]
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// The calibrators, in label order.
    #[must_use]
    pub fn calibrators(&self) -> &[Calibrator] {
        &self.calibrators
    }

    /// The thresholds, in label order.
    #[must_use]
    pub fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decider(activation: Activation, thresholds: Vec<f64>) -> Decider {
        let labels = LabelSet::new(["anger", "fear", "joy"]).expect("three names");
        let thresholds = Thresholds::new(thresholds).expect("in range");
        Decider::new(labels, activation, vec![Calibrator::Identity; 3], thresholds).expect("three of each")
    }

    fn check(decider: &Decider, row: [f32; 3], expected: &[usize]) {
        let logits = Logits::new(3, row.to_vec()).expect("finite");
        let predictions = decider.decide(&logits);
        assert_eq!(predictions.len(), 1);
        assert_eq!(predictions[0].labels, expected, "of {row:?}, scores {:?}", predictions[0].scores);
        assert_eq!(predictions[0].scores, decider.probabilities(&logits).row(0));
    }

    #[test]
    fn a_score_on_its_threshold_holds_and_the_widest_margin_leads() {
        let sigmoid = decider(Activation::Sigmoid, vec![0.5, 0.5, 0.9]);
        check(&sigmoid, [0.0, -1e-3, 0.0], &[0]);
        check(&sigmoid, [1.0, 2.0, 2.0], &[1, 0]);
        check(&sigmoid, [2.0, 2.0, 9.0], &[0, 1, 2]);
        check(&sigmoid, [-1e4, -1e4, 1e4], &[2]);
        check(&sigmoid, [-1.0, -1.0, -1.0], &[]);
    }

    #[test]
    fn softmax_names_exactly_one() {
        let softmax = decider(Activation::Softmax, vec![0.5; 3]);
        check(&softmax, [0.0, 0.0, 0.0], &[0]);
        check(&softmax, [-9.0, 1.0, 0.5], &[1]);
        check(&softmax, [-1e4, -1e4, 1e4], &[2]);
    }

    #[test]
    fn the_caller_may_bring_thresholds() {
        let sigmoid = decider(Activation::Sigmoid, vec![0.5; 3]);
        let logits = Logits::new(3, vec![0.1, 0.1, 0.1, -3.0, -3.0, 3.0]).expect("finite");
        let all = sigmoid.decide_with(&logits, &Thresholds::uniform(3, 0.0).expect("in range"));
        assert!(all.iter().all(|prediction| prediction.labels.len() == 3));
        let none = sigmoid.decide_with(&logits, &Thresholds::uniform(3, 1.0).expect("in range"));
        assert!(none.iter().all(|prediction| prediction.labels.is_empty()));
    }

    #[test]
    fn parts_of_another_size_or_form_are_refused() {
        let labels = LabelSet::new(["anger", "joy"]).expect("two names");
        let half = || Thresholds::uniform(2, 0.5).expect("in range");
        let build = |activation, calibrators, thresholds| Decider::new(labels.clone(), activation, calibrators, thresholds);
        let warm = || Calibrator::Temperature { t: 2.0 };
        let wrong = [
            build(Activation::Sigmoid, vec![Calibrator::Identity], half()),
            build(Activation::Sigmoid, vec![Calibrator::Identity; 2], Thresholds::uniform(3, 0.5).expect("in range")),
            build(Activation::Sigmoid, vec![Calibrator::Sigmoid { a: -1.0, b: 0.0 }, Calibrator::Identity], half()),
            build(Activation::Softmax, vec![Calibrator::Sigmoid { a: 1.0, b: 0.0 }; 2], half()),
            build(Activation::Softmax, vec![warm(), Calibrator::Identity], half()),
        ];
        for (case, decider) in wrong.into_iter().enumerate() {
            assert!(decider.is_err(), "case {case} passed");
        }
        assert!(build(Activation::Softmax, vec![warm(); 2], half()).is_ok());
    }
}
