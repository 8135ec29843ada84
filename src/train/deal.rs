//! Dealing groups of rows out to parts that look alike: iterative stratification (Sechidis, Tsoumakas
//! and Vlahavas 2011, "On the stratification of multi-label data"), over groups instead of rows.
//!
//! The rarest label is dealt out first, each group to the part that wants that label most. A group
//! of near duplicates goes to one part as a whole. Parts may be of unequal size.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};

use super::groups::Groups;
use crate::spec::Targets;

/// The state of one deal, to as many parts as there are shares; shares sum to one.
pub(super) struct Dealer<'a> {
    groups: &'a [Vec<usize>],
    /// Rows of each group that hold each label.
    held: Vec<Vec<usize>>,
    /// Rows each fold still wants.
    wants_rows: Vec<f64>,
    /// Rows of each label that each fold still wants: `[fold][label]`.
    wants_label: Vec<Vec<f64>>,
    fold_of: Vec<Option<usize>>,
    /// Groups in the order they are dealt: large ones first, while there is room to balance them.
    order: Vec<usize>,
    random: StdRng,
}

impl<'a> Dealer<'a> {
    pub(super) fn new(targets: &Targets, groups: &'a Groups, shares: &[f64], seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let groups = groups.members();
        let count = |members: &Vec<usize>, label: usize| members.iter().filter(|&&row| targets.row(row)[label]).count();
        let held = groups.iter().map(|members| (0..targets.labels()).map(|label| count(members, label)).collect()).collect();
        let wants_rows = shares.iter().map(|share| share * targets.rows() as f64).collect();
        let labels_of = |share: f64| (0..targets.labels()).map(|label| share * targets.positives(label) as f64).collect();
        let wants_label = shares.iter().map(|&share| labels_of(share)).collect();
        let mut order: Vec<usize> = (0..groups.len()).collect();
        order.shuffle(&mut random);
        order.sort_by_key(|&group| std::cmp::Reverse(groups[group].len()));
        Self { groups, held, wants_rows, wants_label, fold_of: vec![None; groups.len()], order, random }
    }

    /// The part of each group.
    pub(super) fn deal(mut self) -> Vec<usize> {
        while let Some(label) = self.rarest_label() {
            for group in self.order.clone() {
                if self.fold_of[group].is_none() && self.held[group][label] > 0 {
                    self.place(group, Some(label));
                }
            }
        }
        for group in self.order.clone() {
            if self.fold_of[group].is_none() {
                self.place(group, None);
            }
        }
        self.fold_of.into_iter().map(|fold| fold.expect("every group was placed; anything else, this is a bug")).collect()
    }

    /// The label with the fewest rows not yet dealt, if any is left.
    fn rarest_label(&self) -> Option<usize> {
        let labels = self.wants_label[0].len();
        let left = |label: usize| -> usize {
            let open = self.held.iter().zip(&self.fold_of).filter(|(_, fold)| fold.is_none());
            open.map(|(held, _)| held[label]).sum()
        };
        (0..labels).map(|label| (left(label), label)).filter(|&(left, _)| left > 0).min().map(|(_, label)| label)
    }

    /// Gives the group to the fold that wants the label most, then rows most, then by lot.
    fn place(&mut self, group: usize, label: Option<usize>) {
        let wish = |fold: usize| (label.map_or(0.0, |label| self.wants_label[fold][label]), self.wants_rows[fold]);
        let folds = 0..self.wants_rows.len();
        let best = folds.clone().map(wish).fold((f64::NEG_INFINITY, f64::NEG_INFINITY), |a, b| if b > a { b } else { a });
        let equals: Vec<usize> = folds.filter(|&fold| wish(fold) == best).collect();
        let fold = *equals.choose(&mut self.random).expect("some fold has the best wish; anything else, this is a bug");
        self.fold_of[group] = Some(fold);
        self.wants_rows[fold] -= self.groups[group].len() as f64;
        for (wants, &held) in self.wants_label[fold].iter_mut().zip(&self.held[group]) {
            *wants -= held as f64;
        }
    }
}
