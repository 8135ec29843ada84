//! Further labelled data beside the data set that a run is about: for stages before it and for
//! labels learnt along with its own.
//!
//! Each set has labels of its own. Several share one head, a column a label, set after set; a row
//! answers the columns of its set and leaves the others absent. No text of the run's own files is
//! let in, by its normal form: what is measured on them would else be measured on what was learnt.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::TrainError;
use super::answers::Answers;
use super::cross::Encoded;
use super::data::{DataFormat, Dataset};
use super::groups::normal_form;
use super::journal::Journal;
use super::rows::Rows;
use crate::bundle::FurtherData;
use crate::spec::LabelSet;
use crate::text::TextEncoder;

/// One `[[multitask]]` or `[[stages.data]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SetRecipe {
    /// `name` for the bundle's card.
    pub name: String,
    /// `licence`, an SPDX expression; `unknown` by default.
    pub licence: String,
    /// `format` of the file.
    pub format: DataFormat,
    /// `path` of the file.
    pub path: PathBuf,
    /// `labels` in the file's order.
    pub labels: LabelSet,
    /// `rows`: at most so many, drawn by lot; all when left out.
    pub rows: Option<usize>,
    /// `weight` of its answers in the loss; 1 by default.
    pub weight: f64,
}

/// Some sets, read and encoded.
pub(super) struct Sets {
    /// Each with the first of its columns.
    sets: Vec<(usize, f64, Encoded)>,
    columns: usize,
    /// What the card says of each.
    pub(super) cards: Vec<FurtherData>,
}

/// What reading sets takes.
pub(super) struct Reading<'a> {
    pub(super) encoder: &'a TextEncoder,
    /// Where a path of the recipe leads.
    pub(super) place: &'a dyn Fn(&Path) -> PathBuf,
    /// Normal forms of the run's own texts.
    pub(super) own: &'a HashSet<String>,
    /// What the sets are for: `stage-0`, or `multitask`.
    pub(super) purpose: &'a str,
    /// Decides the lot.
    pub(super) seed: u64,
}

impl Sets {
    /// Reads the sets; their columns begin at `first`.
    pub(super) fn read(recipes: &[SetRecipe], first: usize, reading: &Reading<'_>, journal: &mut Journal<'_>) -> Result<Self, TrainError> {
        let mut read = Self { sets: Vec::new(), columns: first, cards: Vec::new() };
        for recipe in recipes {
            let data = Dataset::read(&(reading.place)(&recipe.path), recipe.format, &recipe.labels)?;
            let all = data.examples().len();
            let free = (0..all).filter(|&row| !reading.own.contains(&normal_form(&data.examples()[row].text)));
            let mut rows: Vec<usize> = free.collect();
            let dropped = all - rows.len();
            rows.shuffle(&mut StdRng::seed_from_u64(reading.seed));
            rows.truncate(recipe.rows.unwrap_or(rows.len()));
            rows.sort_unstable();
            if rows.is_empty() {
                return Err(TrainError::NothingLeft { set: recipe.name.clone(), purpose: reading.purpose.to_owned(), dropped });
            }
            let data = data.select(&rows);
            journal.say(&format!(
                "{}: {} rows of {}; {dropped} were left out because their texts stand in the run's own files",
                reading.purpose,
                rows.len(),
                recipe.name
            ));
            read.cards.push(FurtherData {
                purpose: reading.purpose.to_owned(),
                description: recipe.name.clone(),
                licence: recipe.licence.clone(),
                rows: rows.len(),
                sha256: data.fingerprint().to_owned(),
            });
            let texts: Vec<&str> = data.examples().iter().map(|example| example.text.as_str()).collect();
            let encodings = reading.encoder.encode_all(&texts)?;
            read.sets.push((read.columns, recipe.weight, Encoded { data, encodings }));
            read.columns += recipe.labels.len();
        }
        Ok(read)
    }

    /// Columns of the head that they share with whatever stands before them.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Every row, set after set, its answers in the columns of its set.
    pub(super) fn rows(&self) -> Rows<'_> {
        let rows = self.sets.iter().map(|(first, _, set)| {
            let answers = Answers::placed(set.data.targets(), *first, self.columns);
            set.rows().answering(answers)
        });
        rows.reduce(Rows::joined).expect("a recipe names at least one set; anything else, this is a bug")
    }

    /// The factor on each column's loss: one for columns before the sets', then each set's weight.
    pub(super) fn weights(&self) -> Vec<f32> {
        let mut weights = vec![1.0; self.columns];
        for (first, weight, set) in &self.sets {
            weights[*first..first + set.data.labels().len()].fill(*weight as f32);
        }
        weights
    }
}
