//! What thresholds are chosen for, followed cell by cell as more is predicted.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::spec::Targets;

/// The figure that decides between threshold policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Mean F1 over labels.
    MacroF1,
    /// Mean Jaccard index over rows.
    Jaccard,
    /// The mean of the two.
    MacroF1AndJaccard,
}

impl fmt::Display for Objective {
    /// As recipes name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MacroF1 => "macro_f1",
            Self::Jaccard => "jaccard",
            Self::MacroF1AndJaccard => "macro_f1_and_jaccard",
        })
    }
}

impl Objective {
    /// The figure, in `[0, 1]`, of decisions about `targets`; both have the same rows and labels.
    pub(super) fn of(self, decisions: &Targets, targets: &Targets) -> f64 {
        let macro_f1 = || decided(MacroF1::new(targets), decisions);
        let jaccard = || decided(Jaccard::new(targets), decisions);
        match self {
            Self::MacroF1 => macro_f1(),
            Self::Jaccard => jaccard(),
            Self::MacroF1AndJaccard => f64::midpoint(macro_f1(), jaccard()),
        }
    }
}

fn decided(mut figure: impl Follows, decisions: &Targets) -> f64 {
    for (row, given) in decisions.each_row().enumerate() {
        let given = given.iter().enumerate().filter(|(_, given)| **given);
        given.for_each(|(label, _)| figure.predict(row, label));
    }
    figure.value()
}

/// A figure that follows a falling cut, one newly predicted cell after another.
pub(super) trait Follows {
    /// The figure now.
    fn value(&self) -> f64;
    /// The cell of `row` and `label` becomes a yes.
    fn predict(&mut self, row: usize, label: usize);
}

/// Mean F1 over labels.
pub(super) struct MacroF1<'a> {
    targets: &'a Targets,
    labels: Vec<LabelCounts>,
    sum: f64,
}

#[derive(Clone, Copy)]
struct LabelCounts {
    support: u64,
    predicted: u64,
    found: u64,
}

impl LabelCounts {
    fn f1(self) -> f64 {
        if self.found == 0 { 0.0 } else { 2.0 * self.found as f64 / (self.predicted + self.support) as f64 }
    }
}

impl<'a> MacroF1<'a> {
    pub(super) fn new(targets: &'a Targets) -> Self {
        let start = |label| LabelCounts { support: targets.positives(label) as u64, predicted: 0, found: 0 };
        Self { targets, labels: (0..targets.labels()).map(start).collect(), sum: 0.0 }
    }
}

impl Follows for MacroF1<'_> {
    fn value(&self) -> f64 {
        self.sum / self.labels.len() as f64
    }

    fn predict(&mut self, row: usize, label: usize) {
        let counts = &mut self.labels[label];
        let before = counts.f1();
        counts.predicted += 1;
        counts.found += u64::from(self.targets.row(row)[label]);
        self.sum += counts.f1() - before;
    }
}

/// Mean Jaccard index over rows, 1 for a row with no label, predicted none.
pub(super) struct Jaccard<'a> {
    targets: &'a Targets,
    rows: Vec<RowCounts>,
    sum: f64,
}

#[derive(Clone, Copy, Default)]
struct RowCounts {
    both: u32,
    either: u32,
}

impl RowCounts {
    fn jaccard(self) -> f64 {
        if self.either == 0 { 1.0 } else { f64::from(self.both) / f64::from(self.either) }
    }
}

impl<'a> Jaccard<'a> {
    pub(super) fn new(targets: &'a Targets) -> Self {
        let start = |held: &[bool]| RowCounts { both: 0, either: held.iter().map(|held| u32::from(*held)).sum() };
        let rows: Vec<RowCounts> = targets.each_row().map(start).collect();
        let sum = rows.iter().map(|row| row.jaccard()).sum();
        Self { targets, rows, sum }
    }
}

impl Follows for Jaccard<'_> {
    fn value(&self) -> f64 {
        self.sum / self.rows.len() as f64
    }

    fn predict(&mut self, row: usize, label: usize) {
        let held = self.targets.row(row)[label];
        let counts = &mut self.rows[row];
        let before = counts.jaccard();
        counts.both += u32::from(held);
        counts.either += u32::from(!held);
        self.sum += counts.jaccard() - before;
    }
}
