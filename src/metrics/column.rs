//! One label's scores against its truth, sorted once and measured under any weights.
//!
//! Every figure takes the rows' weights: how often each row counts. All ones is the figure itself;
//! the counts of a resample are the bootstrap. So both come from the same lines, and a resample
//! costs no sorting.

use super::MetricsError;

/// Probabilities are kept this far from 0 and 1 before the logarithm: scikit-learn's rule for
/// single precision.
const CLIP: f64 = f32::EPSILON as f64;

/// One label over all rows, in ascending order of score.
#[derive(Debug, Clone)]
pub(super) struct Column {
    cells: Vec<Cell>,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    row: u32,
    score: f32,
    held: bool,
}

/// A run of equal scores.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Group {
    pub(super) score: f64,
    pub(super) weight: u64,
    pub(super) held: u64,
}

impl Column {
    pub(super) fn new(scores: impl Iterator<Item = f32>, held: impl Iterator<Item = bool>) -> Self {
        let mut cells: Vec<Cell> = (0..).zip(scores.zip(held)).map(|(row, (score, held))| Cell { row, score, held }).collect();
        cells.sort_by(|left, right| left.score.total_cmp(&right.score));
        Self { cells }
    }

    /// Runs of equal scores from the lowest up, under `weights`; runs of no weight are left out.
    pub(super) fn groups(&self, weights: &[u32]) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for cell in &self.cells {
            let weight = u64::from(weights[cell.row as usize]);
            if weight == 0 {
                continue;
            }
            let score = f64::from(cell.score);
            match groups.last_mut() {
                Some(last) if last.score == score => {
                    last.weight += weight;
                    last.held += weight * u64::from(cell.held);
                }
                _ => groups.push(Group { score, weight, held: weight * u64::from(cell.held) }),
            }
        }
        groups
    }
}

/// `sum over cuts of (recall gained) x precision`, cuts from the highest score down.
pub(super) fn average_precision_of(groups: &[Group]) -> Option<f64> {
    let (weight, held) = totals(groups);
    if held == 0 || held == weight {
        return None;
    }
    let (mut seen, mut found, mut sum) = (0, 0, 0.0);
    for group in groups.iter().rev() {
        seen += group.weight;
        found += group.held;
        sum += group.held as f64 * found as f64 / seen as f64;
    }
    Some(sum / held as f64)
}

/// The chance that a row that holds the label scores above one that does not, ties counting half.
pub(super) fn auroc_of(groups: &[Group]) -> Option<f64> {
    let (weight, held) = totals(groups);
    let without = weight - held;
    if held == 0 || without == 0 {
        return None;
    }
    let (mut below, mut wins) = (0, 0.0);
    for group in groups {
        let here = group.weight - group.held;
        wins += group.held as f64 * (below as f64 + here as f64 / 2.0);
        below += here;
    }
    Some(wins / (held as f64 * without as f64))
}

pub(super) fn log_loss_of(groups: &[Group]) -> f64 {
    let cost = |group: &Group| {
        let score = group.score.clamp(CLIP, 1.0 - CLIP);
        -(group.held as f64 * score.ln() + (group.weight - group.held) as f64 * (-score).ln_1p())
    };
    mean(groups, cost)
}

pub(super) fn brier_of(groups: &[Group]) -> f64 {
    let cost = |group: &Group| {
        let above = 1.0 - group.score;
        group.held as f64 * above * above + (group.weight - group.held) as f64 * group.score * group.score
    };
    mean(groups, cost)
}

fn mean(groups: &[Group], cost: impl Fn(&Group) -> f64) -> f64 {
    groups.iter().map(cost).sum::<f64>() / totals(groups).0 as f64
}

pub(super) fn totals(groups: &[Group]) -> (u64, u64) {
    groups.iter().fold((0, 0), |(weight, held), group| (weight + group.weight, held + group.held))
}

/// The groups of one label's `scores` against `held`, every row once.
pub(super) fn groups_of(scores: &[f32], held: &[bool]) -> Result<Vec<Group>, MetricsError> {
    MetricsError::same("answers", scores.len(), held.len())?;
    if scores.is_empty() {
        return Err(MetricsError::Empty);
    }
    Ok(Column::new(scores.iter().copied(), held.iter().copied()).groups(&vec![1; scores.len()]))
}

/// Average precision of one label, in `[0, 1]`; none when all rows hold it or none does. The
/// definition of scikit-learn: no interpolation, equal scores at once.
///
/// # Errors
/// [`MetricsError::Shape`] or [`MetricsError::Empty`].
pub fn average_precision(scores: &[f32], held: &[bool]) -> Result<Option<f64>, MetricsError> {
    groups_of(scores, held).map(|groups| average_precision_of(&groups))
}

/// Area under the receiver operating characteristic of one label, in `[0, 1]`; none when all rows
/// hold it or none does.
///
/// # Errors
/// [`MetricsError::Shape`] or [`MetricsError::Empty`].
pub fn auroc(scores: &[f32], held: &[bool]) -> Result<Option<f64>, MetricsError> {
    groups_of(scores, held).map(|groups| auroc_of(&groups))
}

/// Mean negative log-likelihood of one label in nats, probabilities kept 1.2e-7 from 0 and 1.
///
/// # Errors
/// [`MetricsError::Shape`] or [`MetricsError::Empty`].
pub fn log_loss(scores: &[f32], held: &[bool]) -> Result<f64, MetricsError> {
    groups_of(scores, held).map(|groups| log_loss_of(&groups))
}

/// Mean squared distance of one label's probability from its truth (Brier 1950), in `[0, 1]`.
///
/// # Errors
/// [`MetricsError::Shape`] or [`MetricsError::Empty`].
pub fn brier(scores: &[f32], held: &[bool]) -> Result<f64, MetricsError> {
    groups_of(scores, held).map(|groups| brier_of(&groups))
}
