//! Fitting thresholds.
//!
//! A cut lies half-way between two neighbouring distinct scores, or half-way between the lowest
//! score and 0, where everything is predicted; so equal scores are never parted, and what a cut
//! promises is what `score >= threshold` gives. Of cuts that are equally good the one nearest one
//! half is taken.

use super::objective::{Follows, Jaccard, MacroF1};
use super::{Doubt, ThresholdPolicy, Warning};
use crate::decide::{DecideError, Probabilities, Thresholds};
use crate::spec::Targets;

/// The threshold of a label that no row holds: nothing could be tuned.
pub const DEFAULT_THRESHOLD: f64 = 0.5;

/// Thresholds by `policy`, and a warning for every label that no row holds: under
/// [`ThresholdPolicy::PerLabelF1`] it gets [`DEFAULT_THRESHOLD`].
///
/// # Errors
/// [`DecideError::Shape`] when rows or labels differ or there is no row;
/// [`DecideError::Parameter`] for a policy's number outside `[0, 1]`.
pub fn fit_thresholds(
    policy: ThresholdPolicy,
    probabilities: &Probabilities,
    targets: &Targets,
) -> Result<(Thresholds, Vec<Warning>), DecideError> {
    let same = |what, expected, found| if expected == found { Ok(()) } else { Err(DecideError::Shape { what, expected, found }) };
    same("labels in the targets", probabilities.labels(), targets.labels())?;
    same("rows of targets", probabilities.rows(), targets.rows())?;
    if targets.rows() == 0 {
        return Err(DecideError::Shape { what: "row or more", expected: 1, found: 0 });
    }
    let labels = targets.labels();
    let empty = (0..labels).filter(|label| targets.positives(*label) == 0);
    let warnings = empty.map(|label| Warning { label, fold: None, doubt: Doubt::NoPositives }).collect();
    let values = match policy {
        ThresholdPolicy::Fixed(value) => vec![value; labels],
        ThresholdPolicy::GlobalF1 => vec![global(&mut MacroF1::new(targets), probabilities); labels],
        ThresholdPolicy::PerLabelF1 { shrink } => {
            if !(0.0..=1.0).contains(&shrink) {
                return Err(DecideError::Parameter { what: "shrink", value: shrink, expected: "a number in [0, 1]" });
            }
            let prior = global(&mut Jaccard::new(targets), probabilities);
            let pull = |tuned: f64| shrink * prior + (1.0 - shrink) * tuned;
            (0..labels).map(|label| best_f1(probabilities, targets, label).map_or(DEFAULT_THRESHOLD, pull)).collect()
        }
    };
    Ok((Thresholds::new(values)?, warnings))
}

/// The cut with the best F1 of one label; none when no row holds it.
fn best_f1(probabilities: &Probabilities, targets: &Targets, label: usize) -> Option<f64> {
    let mut cells: Vec<(f32, bool)> = probabilities.column(label).zip(targets.column(label)).collect();
    cells.sort_by(|left, right| right.0.total_cmp(&left.0));
    let support = targets.positives(label) as u64;
    // F1 is `2 found / (predicted + support)`: kept as two whole numbers, so that equal is equal.
    let mut best: Option<((u64, u64), f64)> = None;
    let (mut found, mut predicted) = (0, 0);
    for (index, (score, held)) in cells.iter().enumerate() {
        found += u64::from(*held);
        predicted += 1;
        let next = cells.get(index + 1).map_or(0.0, |cell| cell.0);
        if index + 1 < cells.len() && next == *score {
            continue;
        }
        let (f1, cut) = ((found, predicted + support), half_way(next, *score));
        let better = best.is_none_or(|(held, at)| match (f1.0 * held.1).cmp(&(held.0 * f1.1)) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => nearer(cut, at),
            std::cmp::Ordering::Greater => true,
        });
        if better {
            best = Some((f1, cut));
        }
    }
    best.filter(|_| support > 0).map(|(_, cut)| cut)
}

/// In double precision the half-way point of two distinct singles lies strictly between them.
fn half_way(below: f32, above: f32) -> f64 {
    f64::midpoint(f64::from(below), f64::from(above))
}

fn nearer(cut: f64, than: f64) -> bool {
    (cut - 0.5).abs() < (than - 0.5).abs()
}

/// The one cut for all labels at which `objective` is best.
fn global(objective: &mut impl Follows, probabilities: &Probabilities) -> f64 {
    let labels = probabilities.labels();
    let values = probabilities.values();
    let mut cells: Vec<usize> = (0..values.len()).collect();
    cells.sort_by(|left, right| values[*right].total_cmp(&values[*left]));
    let mut best = (f64::NEG_INFINITY, DEFAULT_THRESHOLD);
    for (index, cell) in cells.iter().enumerate() {
        objective.predict(cell / labels, cell % labels);
        let next = cells.get(index + 1).map_or(0.0, |next| values[*next]);
        if index + 1 < cells.len() && next == values[*cell] {
            continue;
        }
        let (value, cut) = (objective.value(), half_way(next, values[*cell]));
        if value > best.0 || (value == best.0 && nearer(cut, best.1)) {
            best = (value, cut);
        }
    }
    best.1
}
