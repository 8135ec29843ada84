//! `[folds]`, `[final]` and `[repeat]`: which rows judge which model, which model ships, and how often
//! it is all done again.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::RecipeError;
use super::file::{FinalFile, FoldsFile};
use super::resolve::{Resolved, need, seed, value, within};

/// `[folds]`: how rows are held out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoldsRecipe {
    /// `kind` and what belongs to it.
    pub split: Split,
    /// `trained_rows` and `held_out_rows`: of one fold, at most so many rows on either side, drawn
    /// by lot; the others take no part in the run. All when left out.
    pub most: Most,
    /// `seed` of the split.
    pub seed: u64,
}

/// How rows are held out. Near duplicates always stay together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Split {
    /// `stratified`: `k` folds in which every label is as frequent as in the whole.
    Stratified {
        /// `k`: at least two; 5 by default.
        k: usize,
        /// `only`: the one fold that is fitted and judged, from zero; all of them when left out.
        only: Option<usize>,
    },
    /// `holdout`: one share of the rows, drawn by lot, is held out.
    HoldOut {
        /// `fraction` of the rows, in (0, 1).
        fraction: f64,
        /// `stratify`: whether labels are as frequent among them as in the whole; true by default.
        stratify: bool,
    },
}

/// The most rows on either side of one fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Most {
    /// Rows trained on.
    pub trained: Option<usize>,
    /// Rows held out.
    pub held_out: Option<usize>,
}

/// `[final]`: what becomes of the folds in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinalFit {
    /// `fit = "refit"`, the default: a model fitted on all rows of the training file ships.
    Refit,
    /// The same with `include_dev = true`: that model is measured on dev, and one that is fitted on
    /// the rows of both files ships.
    RefitWithDev,
    /// `fit = "fold"`: the very model that judged the held-out rows ships.
    Fold,
}

/// `folds.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SplitName {
    Stratified,
    HoldOut,
}

/// `final.fit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FitName {
    Refit,
    Fold,
}

impl Split {
    /// The folds that are fitted and judged.
    #[must_use]
    pub fn fitted(&self) -> Range<usize> {
        match *self {
            Self::Stratified { k, only: None } => 0..k,
            Self::Stratified { only: Some(fold), .. } => fold..fold + 1,
            Self::HoldOut { .. } => 0..1,
        }
    }

    /// Whether one model judges, and not all rows.
    #[must_use]
    pub fn is_one(&self) -> bool {
        !matches!(self, Self::Stratified { only: None, .. })
    }
}

impl fmt::Display for Split {
    /// As a card says it: `5 folds`, `one fold of 5 (fold 4)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stratified { k, only: None } => write!(f, "{k} folds"),
            Self::Stratified { k, only: Some(fold) } => write!(f, "one fold of {k} (fold {fold})"),
            Self::HoldOut { fraction, .. } => write!(f, "one random hold-out of {} %", percent(*fraction)),
        }
    }
}

/// A share in percent, to a tenth.
fn percent(share: f64) -> f64 {
    (share * 1000.0).round() / 10.0
}

pub(super) fn folds(file: &FoldsFile) -> Resolved<FoldsRecipe> {
    let kind = file.kind.unwrap_or(SplitName::Stratified);
    let unused = |key, set: bool, unless: &str| if set { Err(value(key, unless, "set")) } else { Ok(()) };
    let split = match kind {
        SplitName::Stratified => {
            unused("folds.fraction", file.fraction.is_some(), "no value unless folds.kind is holdout")?;
            unused("folds.stratify", file.stratify.is_some(), "no value unless folds.kind is holdout")?;
            let k = within("folds.k", file.k.unwrap_or(5), "at least 2", |&k| k >= 2)?;
            let in_range = |only| within("folds.only", only, &format!("a fold below folds.k, {k}, counted from zero"), |&fold| fold < k);
            Split::Stratified { k, only: file.only.map(in_range).transpose()? }
        }
        SplitName::HoldOut => {
            unused("folds.k", file.k.is_some(), "no value unless folds.kind is stratified")?;
            unused("folds.only", file.only.is_some(), "no value unless folds.kind is stratified")?;
            let fraction = need("folds.fraction", "the share of rows that is held out", file.fraction)?;
            let fraction = within("folds.fraction", fraction, "a share in (0, 1)", |&share| share > 0.0 && share < 1.0)?;
            Split::HoldOut { fraction, stratify: file.stratify.unwrap_or(true) }
        }
    };
    let most = |key, rows: Option<usize>| {
        unused(key, rows.is_some() && !split.is_one(), "no value unless one fold is fitted: folds.only, or folds.kind = holdout")?;
        rows.map(|rows| within(key, rows, "at least 1", |&rows| rows >= 1)).transpose()
    };
    let most = Most { trained: most("folds.trained_rows", file.trained_rows)?, held_out: most("folds.held_out_rows", file.held_out_rows)? };
    Ok(FoldsRecipe { split, most, seed: seed("folds.seed", file.seed)? })
}

pub(super) fn final_fit(file: &FinalFile, split: &Split, has_dev: bool) -> Resolved<FinalFit> {
    let include_dev = file.include_dev.unwrap_or(false);
    let refused = |key, expected: &str, found: &str| -> RecipeError { value(key, expected, found) };
    match file.fit.unwrap_or(FitName::Refit) {
        FitName::Fold if !split.is_one() => {
            Err(refused("final.fit", "refit, unless one fold is fitted: folds.only, or folds.kind = holdout", "fold"))
        }
        FitName::Fold if include_dev => Err(refused("final.include_dev", "false when final.fit is fold", "true")),
        FitName::Fold => Ok(FinalFit::Fold),
        FitName::Refit if include_dev && !has_dev => Err(refused("final.include_dev", "false without data.dev", "true")),
        FitName::Refit if include_dev => Ok(FinalFit::RefitWithDev),
        FitName::Refit => Ok(FinalFit::Refit),
    }
}

/// Further seeds: different from the first, and from one another.
pub(super) fn repeat(seeds: Option<Vec<u64>>, first: u64) -> Resolved<Vec<u64>> {
    let seeds = seeds.unwrap_or_default();
    for (place, &seed) in seeds.iter().enumerate() {
        if seed == first || seeds[..place].contains(&seed) {
            return Err(value("repeat.seeds", "seeds different from train.seed and from one another", seed));
        }
    }
    Ok(seeds)
}

pub(super) fn folds_file(folds: &FoldsRecipe) -> FoldsFile {
    let rest =
        FoldsFile { seed: Some(folds.seed), trained_rows: folds.most.trained, held_out_rows: folds.most.held_out, ..FoldsFile::default() };
    match folds.split {
        Split::Stratified { k, only } => FoldsFile { kind: Some(SplitName::Stratified), k: Some(k), only, ..rest },
        Split::HoldOut { fraction, stratify } => {
            FoldsFile { kind: Some(SplitName::HoldOut), fraction: Some(fraction), stratify: Some(stratify), ..rest }
        }
    }
}

pub(super) fn final_file(fit: FinalFit) -> FinalFile {
    let (fit, include_dev) = match fit {
        FinalFit::Refit => (FitName::Refit, false),
        FinalFit::RefitWithDev => (FitName::Refit, true),
        FinalFit::Fold => (FitName::Fold, false),
    };
    FinalFile { fit: Some(fit), include_dev: Some(include_dev) }
}
