//! The label sets that answers can be given in, as published data: `GET /v1/label_sets` shows what
//! lies in the JSON files beside this one, word for word.
//!
//! A set names, for each of its labels, the labels of any model that stand behind it. How their
//! scores combine is [`LabelMap`]'s. A new set is a new file here; a set that shipped does not change.

use std::sync::LazyLock;

use serde_json::Value;

use crate::decide::{DecideError, LabelMap};
use crate::spec::{Activation, LabelSet};

const FILES: [&str; 4] =
    [include_str!("semeval-11.json"), include_str!("goemotions-28.json"), include_str!("ekman-6.json"), include_str!("valence.json")];

static SETS: LazyLock<Vec<PublishedSet>> = LazyLock::new(|| {
    FILES.iter().map(|file| PublishedSet::read(file).expect("a published label set has its members: this is a bug")).collect()
});

/// One published set.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PublishedSet {
    /// What requests call it.
    pub(crate) name: String,
    /// The labels behind each of its labels, in its order.
    labels: Vec<(String, Vec<String>)>,
    /// The file itself.
    pub(crate) published: Value,
}

/// All sets, in the order published.
pub(crate) fn all() -> &'static [PublishedSet] {
    &SETS
}

/// The set of that name.
pub(crate) fn find(name: &str) -> Option<&'static PublishedSet> {
    all().iter().find(|set| set.name == name)
}

impl PublishedSet {
    fn read(file: &str) -> Option<Self> {
        let published: Value = serde_json::from_str(file).ok()?;
        let strings = |list: &Value| list.as_array()?.iter().map(|name| Some(name.as_str()?.to_owned())).collect::<Option<Vec<_>>>();
        let labels = published["labels"].as_object()?.iter().map(|(label, behind)| Some((label.clone(), strings(behind)?)));
        let (name, labels) = (published["name"].as_str()?.to_owned(), labels.collect::<Option<Vec<_>>>()?);
        Some(Self { name, labels, published })
    }

    /// A model's labels as this set's.
    ///
    /// # Errors
    /// As [`LabelMap::new`]: the model has no label in common with it.
    pub(crate) fn map(&self, model: &LabelSet, activation: Activation) -> Result<LabelMap, DecideError> {
        LabelMap::new(model, activation, self.labels.iter().map(|(label, behind)| (label.as_str(), behind.as_slice())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEMEVAL: [&str; 11] =
        ["anger", "anticipation", "disgust", "fear", "joy", "love", "optimism", "pessimism", "sadness", "surprise", "trust"];

    /// The name of a set, how many of its labels the model has something for, and which of the
    /// model's stand behind none.
    #[track_caller]
    fn check(model: &[&str], name: &str, count: usize, unmapped: &[&str]) {
        let model = LabelSet::new(model.iter().copied()).expect("distinct names");
        let map = find(name).expect(name).map(&model, Activation::Sigmoid).expect("labels in common");
        let lost: Vec<&str> = map.unmapped().iter().map(|&label| model.names()[label].as_str()).collect();
        assert_eq!((map.labels().len(), lost), (count, unmapped.to_vec()), "{name}");
    }

    #[test]
    fn each_set_takes_the_models_it_should() {
        assert_eq!(all().iter().map(|set| set.name.as_str()).collect::<Vec<_>>(), ["semeval-11", "goemotions-28", "ekman-6", "valence"]);
        let goemotions: Vec<&str> = find("goemotions-28").expect("it").labels.iter().map(|(label, _)| label.as_str()).collect();
        assert_eq!(goemotions.len(), 28);
        check(&SEMEVAL, "semeval-11", 11, &[]);
        check(&SEMEVAL, "ekman-6", 6, &["anticipation", "trust"]);
        check(&SEMEVAL, "valence", 3, &[]);
        check(&SEMEVAL, "goemotions-28", 8, &["anticipation", "pessimism", "trust"]);
        check(&goemotions, "goemotions-28", 28, &[]);
        check(&goemotions, "ekman-6", 6, &["neutral"]);
        check(&goemotions, "valence", 4, &[]);
        check(
            &goemotions,
            "semeval-11",
            10,
            &[
                "amusement",
                "approval",
                "confusion",
                "desire",
                "disappointment",
                "disapproval",
                "embarrassment",
                "excitement",
                "gratitude",
                "pride",
                "realization",
                "relief",
                "remorse",
                "neutral",
            ],
        );
    }

    /// A set's own model must get its own scores back.
    #[test]
    fn a_model_of_the_set_itself_stays_as_it_is() {
        let model = LabelSet::new(SEMEVAL).expect("distinct names");
        let map = find("semeval-11").expect("it").map(&model, Activation::Sigmoid).expect("labels in common");
        let scores: Vec<f32> = (0..11_u8).map(|label| f32::from(label) / 16.0).collect();
        assert_eq!((map.scores(&scores), map.keeps_calibration()), (scores, true));
    }
}
