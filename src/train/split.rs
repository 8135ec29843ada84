//! Which rows are held out, and from which model.
//!
//! Folds that look alike (stratified over labels), or one random hold-out; near duplicates always on
//! one side. When one fold alone is fitted, the split says so, and everything made of it can say so
//! too. Seeded: the same data, recipe and seed give the same split.

use std::ops::Range;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::deal::Dealer;
use super::groups::Groups;
use super::recipe::{FoldsRecipe, Most, Split};
use crate::spec::Targets;

/// Folds inside the held-out rows of one fold, on which calibrators are cross-fitted.
const INNER: usize = 5;

/// Why no split could be made.
#[derive(Debug, Error, PartialEq)]
pub enum SplitError {
    /// Fewer than two folds, or more folds than groups.
    #[error("folds.k is {k}: expected 2 to {groups}, the number of texts that are no near duplicates")]
    Folds {
        /// Folds asked for.
        k: usize,
        /// Groups there are.
        groups: usize,
    },
    /// A share so small or large that one side would be empty.
    #[error("folds.fraction is {fraction}: expected a share that leaves rows on both sides, of {groups} texts that are no near duplicates")]
    Fraction {
        /// Share asked for.
        fraction: f64,
        /// Groups there are.
        groups: usize,
    },
    /// Held-out rows that are all near duplicates of one another.
    #[error(
        "one fold holds out {rows} rows, all near duplicates: expected two texts at least, to fit calibrators on one and judge the other"
    )]
    Inner {
        /// Rows held out.
        rows: usize,
    },
}

/// One split of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folds {
    k: usize,
    seed: u64,
    /// The one fold that is fitted and judged; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    only: Option<usize>,
    of_row: Vec<usize>,
}

impl Folds {
    /// Splits as the recipe says.
    ///
    /// # Errors
    /// [`SplitError`] when there are too few texts for it.
    pub fn new(targets: &Targets, groups: &Groups, recipe: &FoldsRecipe) -> Result<Self, SplitError> {
        match recipe.split {
            Split::Stratified { k, only } => Ok(Self { only, ..Self::stratify(targets, groups, k, recipe.seed)? }),
            Split::HoldOut { fraction, stratify } => Self::hold_out(targets, groups, fraction, stratify, recipe.seed),
        }
    }

    /// Deals the groups out to `k` folds.
    ///
    /// # Errors
    /// [`SplitError::Folds`] when there are fewer than two folds or fewer groups than folds.
    pub fn stratify(targets: &Targets, groups: &Groups, k: usize, seed: u64) -> Result<Self, SplitError> {
        if k < 2 || k > groups.members().len() {
            return Err(SplitError::Folds { k, groups: groups.members().len() });
        }
        let of_group = Dealer::new(targets, groups, &vec![1.0 / k as f64; k], seed).deal();
        let of_row = groups.of_row().iter().map(|&group| of_group[group]).collect();
        Ok(Self { k, seed, only: None, of_row })
    }

    /// Holds out a share of the rows, as fold 0 of two, the only one that is fitted.
    ///
    /// # Errors
    /// [`SplitError::Fraction`] when one side would be empty.
    pub fn hold_out(targets: &Targets, groups: &Groups, fraction: f64, stratify: bool, seed: u64) -> Result<Self, SplitError> {
        let of_group = if stratify {
            Dealer::new(targets, groups, &[fraction, 1.0 - fraction], seed).deal()
        } else {
            lots(groups, (fraction * targets.rows() as f64).round() as usize, seed)
        };
        let of_row: Vec<usize> = groups.of_row().iter().map(|&group| of_group[group]).collect();
        if !of_row.contains(&0) || !of_row.contains(&1) {
            return Err(SplitError::Fraction { fraction, groups: groups.members().len() });
        }
        Ok(Self { k: 2, seed, only: Some(0), of_row })
    }

    /// The folds that are fitted and judged.
    #[must_use]
    pub fn fitted(&self) -> Range<usize> {
        self.only.map_or(0..self.k, |only| only..only + 1)
    }

    /// Number of folds.
    #[must_use]
    pub fn k(&self) -> usize {
        self.k
    }

    /// The fold that each row is held out in.
    #[must_use]
    pub fn of_row(&self) -> &[usize] {
        &self.of_row
    }

    /// Rows held out in `fold`, ascending.
    #[must_use]
    pub fn held_out(&self, fold: usize) -> Vec<usize> {
        self.rows(|of_row| of_row == fold)
    }

    /// Rows trained on in `fold`, ascending.
    #[must_use]
    pub fn trained(&self, fold: usize) -> Vec<usize> {
        self.rows(|of_row| of_row != fold)
    }

    /// `sha256:` of the split: equal for rows dealt alike.
    ///
    /// # Panics
    /// Never: a split is plain values.
    #[must_use]
    pub fn hash(&self) -> String {
        let bytes = serde_json::to_vec(self).expect("folds are plain values; anything else, this is a bug");
        format!("sha256:{:x}", Sha256::digest(&bytes))
    }

    /// The split of the given rows alone, which become rows 0, 1 and so on.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        Self { of_row: rows.iter().map(|&row| self.of_row[row]).collect(), ..*self }
    }

    /// The rows that stay, ascending, when at most so many stay on either side of the one fold; by
    /// lot. All of them when several folds are fitted.
    #[must_use]
    pub fn at_most(&self, most: Most) -> Vec<usize> {
        let Some(fold) = self.only else { return (0..self.of_row.len()).collect() };
        let mut random = StdRng::seed_from_u64(self.seed);
        let mut stay = Vec::new();
        for (mut rows, most) in [(self.trained(fold), most.trained), (self.held_out(fold), most.held_out)] {
            rows.shuffle(&mut random);
            rows.truncate(most.unwrap_or(rows.len()));
            stay.append(&mut rows);
        }
        stay.sort_unstable();
        stay
    }

    /// The parts of the rows judged, for cross-fitting calibrators and thresholds: of each of `rows`
    /// its fold when all folds are fitted, else one of a few parts inside the one fold.
    ///
    /// # Errors
    /// [`SplitError::Inner`] when the rows cannot be parted.
    pub fn parts(&self, targets: &Targets, groups: &Groups, rows: &[usize]) -> Result<Vec<usize>, SplitError> {
        if self.only.is_none() {
            return Ok(rows.iter().map(|&row| self.of_row[row]).collect());
        }
        let groups = groups.select(rows);
        let k = INNER.min(groups.members().len());
        let inner = Self::stratify(&targets.select(rows), &groups, k, self.seed);
        inner.map(|folds| folds.of_row).map_err(|_| SplitError::Inner { rows: rows.len() })
    }

    fn rows(&self, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        (0..self.of_row.len()).filter(|&row| wanted(self.of_row[row])).collect()
    }
}

/// Part 0 for groups drawn by lot until they hold `rows` rows, part 1 for the others.
fn lots(groups: &Groups, rows: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..groups.members().len()).collect();
    order.shuffle(&mut StdRng::seed_from_u64(seed));
    let (mut parts, mut held) = (vec![1; order.len()], 0);
    for group in order {
        if held < rows {
            parts[group] = 0;
            held += groups.members()[group].len();
        }
    }
    parts
}
