//! The rows that were judged worst, by their ids: their texts stay where the data is.

use super::plots::View;
use crate::metrics::log_loss;
use crate::train::TrainError;

/// One row that was judged badly.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hard<'a> {
    pub(super) id: &'a str,
    /// Mean log-loss over its labels, in nats.
    pub(super) loss: f64,
    /// Labels it holds and was not given.
    pub(super) missed: Vec<&'a str>,
    /// Labels it was given and does not hold.
    pub(super) invented: Vec<&'a str>,
    /// Labels it holds and was given.
    pub(super) found: Vec<&'a str>,
}

/// The `count` rows of highest loss, the worst first; rows of equal loss in the order of their file.
pub(super) fn hardest<'a>(view: &View<'a>, count: usize) -> Result<Vec<Hard<'a>>, TrainError> {
    let rows = view.rows();
    let loss = |row: usize| log_loss(rows.probabilities().row(row), rows.targets().row(row));
    let mut losses = (0..rows.len()).map(|row| Ok((row, loss(row)?))).collect::<Result<Vec<(usize, f64)>, TrainError>>()?;
    losses.sort_by(|left, right| right.1.total_cmp(&left.1));
    losses.truncate(count);
    Ok(losses.into_iter().map(|(row, loss)| hard(view, row, loss)).collect())
}

fn hard<'a>(view: &View<'a>, row: usize, loss: f64) -> Hard<'a> {
    let (held, given) = (view.rows().targets().row(row), view.rows().decisions().row(row));
    let named = |holds: bool, is_given: bool| -> Vec<&'a str> {
        let names = view.labels().names().iter().zip(held.iter().zip(given));
        names.filter(|(_, (h, g))| **h == holds && **g == is_given).map(|(name, _)| name.as_str()).collect()
    };
    Hard { id: &view.rows().ids()[row], loss, missed: named(true, false), invented: named(false, true), found: named(true, true) }
}
