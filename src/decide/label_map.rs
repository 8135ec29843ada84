//! Answers in the words of another label set.
//!
//! A label of the other set holds when one of the labels behind it was decided: no threshold is
//! needed that nobody fitted. Its score is the largest of theirs. Whatever their dependence, the
//! probability that at least one of them holds is no smaller than that (Fréchet's bound), and it is
//! that where one implies the others; adding them up or treating them as independent would count
//! twice what emotions of one kind have in common. Under softmax labels exclude one another, and the
//! sum is exact. A score mapped from several labels is a bound, and is not calibrated.

use super::{DecideError, Prediction};
use crate::spec::{Activation, LabelSet};

/// A model's labels as those of another set.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelMap {
    labels: LabelSet,
    /// For each of `labels` the model's labels behind it, at least one.
    sources: Vec<Vec<usize>>,
    missing: Vec<String>,
    unmapped: Vec<usize>,
    activation: Activation,
}

impl LabelMap {
    /// Maps `model`'s labels to a set in which each label names those behind it; names that the
    /// model does not have are passed over.
    ///
    /// # Errors
    /// [`DecideError::Shape`] when the model has not one of the names;
    /// [`DecideError::Form`] when a label of the set is malformed or stands twice.
    pub fn new<'a>(
        model: &LabelSet,
        activation: Activation,
        set: impl IntoIterator<Item = (&'a str, &'a [String])>,
    ) -> Result<Self, DecideError> {
        let (mut names, mut sources, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for (name, behind) in set {
            let found: Vec<usize> = behind.iter().filter_map(|source| model.index_of(source)).collect();
            if found.is_empty() {
                missing.push(name.to_owned());
            } else {
                names.push(name);
                sources.push(found);
            }
        }
        if names.is_empty() {
            return Err(DecideError::Shape { what: "labels or more in common with the set", expected: 1, found: 0 });
        }
        let labels = LabelSet::new(names).map_err(|_| DecideError::Form { what: "labels of the set", expected: "distinct names" })?;
        let unmapped = (0..model.len()).filter(|label| !sources.iter().any(|behind| behind.contains(label))).collect();
        Ok(Self { labels, sources, missing, unmapped, activation })
    }

    /// A row of the model's scores as scores of this set.
    ///
    /// # Panics
    /// When there are fewer scores than the model has labels.
    #[must_use]
    pub fn scores(&self, scores: &[f32]) -> Vec<f32> {
        let combined = |behind: &Vec<usize>| {
            let each = behind.iter().map(|&label| scores[label]);
            match self.activation {
                Activation::Sigmoid => each.fold(0.0, f32::max),
                Activation::Softmax => each.sum::<f32>().min(1.0),
            }
        };
        self.sources.iter().map(combined).collect()
    }

    /// A prediction in the labels of this set, those of the widest margin first.
    ///
    /// # Panics
    /// As [`LabelMap::scores`].
    #[must_use]
    pub fn prediction(&self, prediction: &Prediction) -> Prediction {
        let mut labels = Vec::new();
        for held in &prediction.labels {
            for (label, behind) in self.sources.iter().enumerate() {
                if behind.contains(held) && !labels.contains(&label) {
                    labels.push(label);
                }
            }
        }
        Prediction { scores: self.scores(&prediction.scores), labels }
    }

    /// How scores were combined.
    #[must_use]
    pub const fn combination(&self) -> &'static str {
        match self.activation {
            Activation::Sigmoid => "max",
            Activation::Softmax => "sum",
        }
    }

    /// Whether every score is one label's own or an exact sum, and so as calibrated as the model.
    #[must_use]
    pub fn keeps_calibration(&self) -> bool {
        self.activation == Activation::Softmax || self.sources.iter().all(|behind| behind.len() == 1)
    }

    /// The labels of the set that the model can speak of.
    #[must_use]
    pub fn labels(&self) -> &LabelSet {
        &self.labels
    }

    /// Labels of the set that none of the model's stands behind. They have no score: zero would say
    /// that they do not hold.
    #[must_use]
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// The model's labels that stand behind none of the set, by position.
    #[must_use]
    pub fn unmapped(&self) -> &[usize] {
        &self.unmapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> Vec<(&'static str, Vec<String>)> {
        let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        vec![("negative", named(&["anger", "fear", "grief"])), ("positive", named(&["joy"])), ("neutral", named(&["neutral"]))]
    }

    fn map(activation: Activation) -> LabelMap {
        let model = LabelSet::new(["joy", "trust", "fear", "anger"]).expect("four names");
        let set = set();
        LabelMap::new(&model, activation, set.iter().map(|(name, behind)| (*name, &behind[..]))).expect("names in common")
    }

    #[test]
    fn scores_and_labels_follow_those_behind_them() {
        let map_many = map(Activation::Sigmoid);
        assert_eq!(map_many.labels().names(), ["negative", "positive"]);
        assert_eq!((map_many.missing(), map_many.unmapped()), (&["neutral".to_owned()][..], &[1][..]));
        let prediction = Prediction { scores: vec![0.5, 0.9, 0.25, 0.75], labels: vec![1, 3, 0, 2] };
        assert_eq!(map_many.prediction(&prediction), Prediction { scores: vec![0.75, 0.5], labels: vec![0, 1] });
        assert!(!map_many.keeps_calibration());
        let map_one = map(Activation::Softmax);
        assert_eq!(map_one.scores(&[0.25, 0.0, 0.5, 0.25]), [0.75, 0.25]);
        assert!(map_one.keeps_calibration());
    }

    #[test]
    fn a_set_without_a_name_in_common_is_refused() {
        let model = LabelSet::new(["boredom"]).expect("a name");
        let set = set();
        let found = LabelMap::new(&model, Activation::Sigmoid, set.iter().map(|(name, behind)| (*name, &behind[..])));
        assert!(matches!(found, Err(DecideError::Shape { expected: 1, .. })), "{found:?}");
        let joy = ["joy".to_owned()];
        let model = LabelSet::new(["joy"]).expect("a name");
        let twice = LabelMap::new(&model, Activation::Sigmoid, [("a", &joy[..]), ("a", &joy[..])]);
        assert!(matches!(twice, Err(DecideError::Form { .. })), "{twice:?}");
    }
}
