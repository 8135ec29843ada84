//! The same run under other training seeds: how much of a figure is luck.
//!
//! Folds stay; fresh weights, the order of rows and dropout change. Nothing of a repeat ships, and no
//! logits are averaged over seeds: the calibrators that ship belong to one model, and an average of
//! several is surer than any of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::TrainError;
use super::cross::{Encoded, Ground};
use super::fit::FitRecord;
use super::groups::Groups;
use super::journal::Journal;
use super::make::{Made, make};
use super::recipe::{FinalFit, Recipe};
use super::split::Folds;
use crate::bundle::{Figures, MeasuredSet};

/// The figures of one run under several training seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Repeats {
    /// The seeds; the first is the one whose model ships.
    pub seeds: Vec<u64>,
    /// Set after set, those that every seed has.
    pub sets: Vec<SpreadSet>,
}

/// One set of rows under several seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpreadSet {
    /// As the set that it repeats.
    pub name: String,
    /// Overall figures with each seed's own thresholds.
    pub tuned: BTreeMap<String, Spread>,
    /// Overall figures with every threshold at 0.5.
    pub at_half: BTreeMap<String, Spread>,
}

/// One figure under several seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// In the order of the seeds.
    pub values: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, of a sample: over one less than their number.
    pub deviation: f64,
}

impl Spread {
    /// Of two values or more.
    #[must_use]
    pub fn of(values: Vec<f64>) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self { mean, deviation: (squares / (count - 1.0).max(1.0)).sqrt(), values }
    }
}

/// Repeats the run under the recipe's further seeds; none when it has no further seeds. Also gives
/// the fits of the repeats.
pub(super) fn repeat(
    ground: &Ground<'_>,
    (folds, groups): (&Folds, &Groups),
    dev: Option<&Encoded>,
    first: &Made,
    journal: &mut Journal<'_>,
) -> Result<(Option<Repeats>, Vec<FitRecord>), TrainError> {
    let recipe = ground.recipe;
    if recipe.repeat.is_empty() {
        return Ok((None, Vec::new()));
    }
    let (mut seeds, mut runs, mut fits) = (vec![recipe.train.seed], vec![first.seen.sets.clone()], Vec::new());
    for &seed in &recipe.repeat {
        let Made { seen, .. } = under(ground, seed, |ground| make(ground, folds, groups, dev, journal))?;
        seeds.push(seed);
        runs.push(seen.sets);
        fits.extend(seen.fits);
    }
    Ok((Some(Repeats { seeds, sets: spread(&runs) }), fits))
}

/// Does `what` on the ground of the repeat of this seed.
pub(super) fn under<T>(ground: &Ground<'_>, seed: u64, what: impl FnOnce(&Ground<'_>) -> T) -> T {
    what(&Ground { recipe: &reseeded(ground.recipe, seed), under: &format!("seed-{seed}/"), ..*ground })
}

/// The recipe under another seed, without a last fit on both files, of which nothing is measured.
fn reseeded(recipe: &Recipe, seed: u64) -> Recipe {
    let mut again = recipe.clone();
    again.train.seed = seed;
    if again.final_fit == FinalFit::RefitWithDev {
        again.final_fit = FinalFit::Refit;
    }
    again
}

fn spread(runs: &[Vec<MeasuredSet>]) -> Vec<SpreadSet> {
    let of = |name: &str, figures: fn(&MeasuredSet) -> &Figures| -> Option<BTreeMap<String, Spread>> {
        let sets: Option<Vec<&MeasuredSet>> = runs.iter().map(|sets| sets.iter().find(|set| set.name == name)).collect();
        let sets = sets?;
        let value = |key: &String| -> Option<Vec<f64>> { sets.iter().map(|set| Some(figures(set).overall.get(key)?.value)).collect() };
        let keys = figures(sets[0]).overall.keys();
        Some(keys.filter_map(|key| Some((key.clone(), Spread::of(value(key)?)))).collect())
    };
    let set = |set: &MeasuredSet| {
        Some(SpreadSet { name: set.name.clone(), tuned: of(&set.name, |set| &set.tuned)?, at_half: of(&set.name, |set| &set.at_half)? })
    };
    runs[0].iter().filter_map(set).collect()
}
