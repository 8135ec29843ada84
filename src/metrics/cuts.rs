//! What every threshold of one label would decide.

use super::column::{Group, groups_of, totals};
use super::{Counts, MetricsError};

/// A threshold at one of the scores: every row of at least that score is given the label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// The score cut at.
    pub score: f64,
    /// What then is right and wrong.
    pub counts: Counts,
}

/// The cuts at all distinct scores of one label, the highest score first; the last gives the label to
/// every row. Between two cuts nothing changes: these are all the points of a precision-recall curve.
///
/// # Errors
/// [`MetricsError::Shape`] or [`MetricsError::Empty`].
pub fn cuts(scores: &[f32], held: &[bool]) -> Result<Vec<Cut>, MetricsError> {
    let groups = groups_of(scores, held)?;
    let (rows, positives) = totals(&groups);
    let (mut seen, mut found) = (0, 0);
    let cut = |group: &Group| {
        seen += group.weight;
        found += group.held;
        let counts = Counts {
            true_positives: found,
            false_positives: seen - found,
            false_negatives: positives - found,
            true_negatives: (rows - positives) - (seen - found),
        };
        Cut { score: group.score, counts }
    };
    Ok(groups.iter().rev().map(cut).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::average_precision;

    #[test]
    fn equal_scores_are_cut_at_once() {
        let found = cuts(&[0.2, 0.7, 0.7, 0.9], &[true, false, true, true]).unwrap();
        let shown: Vec<(u64, u64, u64, u64)> = found
            .iter()
            .map(|cut| (cut.counts.true_positives, cut.counts.false_positives, cut.counts.false_negatives, cut.counts.true_negatives))
            .collect();
        assert_eq!(shown, [(1, 0, 2, 1), (2, 1, 1, 0), (3, 1, 0, 0)]);
        assert!(cuts(&[], &[]).is_err() && cuts(&[0.1], &[]).is_err());
    }

    proptest! {
        #[test]
        fn their_steps_sum_to_average_precision(rows in prop::collection::vec((0..20u8, any::<bool>()), 1..60)) {
            let (scores, held): (Vec<f32>, Vec<bool>) = rows.iter().map(|(score, held)| (f32::from(*score) / 20.0, *held)).unzip();
            let expected = average_precision(&scores, &held).unwrap();
            let mut reached = 0.0;
            let area: f64 = cuts(&scores, &held).unwrap().iter().map(|cut| {
                let gained = cut.counts.recall() - reached;
                reached = cut.counts.recall();
                gained * cut.counts.precision()
            }).sum();
            if let Some(expected) = expected {
                prop_assert!((area - expected).abs() < 1e-12, "{area} against {expected}");
            }
        }
    }
}
