//! Isotonic regression by pooling adjacent violators (Ayer et al. 1955), as scikit-learn's
//! `IsotonicRegression(out_of_bounds="clip")` has it: equal logits are one point at their mean,
//! knots inside a level run are dropped, lines run straight between the rest.

use crate::decide::Calibrator;

/// A run of logits at one level.
struct Block {
    first: f64,
    last: f64,
    sum: f64,
    weight: f64,
}

impl Block {
    fn level(&self) -> f64 {
        self.sum / self.weight
    }
}

/// The least-squares fit that never falls. There must be a logit.
pub(super) fn fit(logits: &[f64], targets: &[bool]) -> Calibrator {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|left, right| logits[*left].total_cmp(&logits[*right]));
    let mut points: Vec<Block> = Vec::new();
    for row in order {
        let (logit, held) = (logits[row], f64::from(u8::from(targets[row])));
        match points.last_mut() {
            Some(point) if point.last == logit => (point.sum, point.weight) = (point.sum + held, point.weight + 1.0),
            _ => points.push(Block { first: logit, last: logit, sum: held, weight: 1.0 }),
        }
    }
    let mut blocks: Vec<Block> = Vec::new();
    for mut block in points {
        while let Some(before) = blocks.pop_if(|before| before.level() >= block.level()) {
            block = Block { first: before.first, sum: before.sum + block.sum, weight: before.weight + block.weight, ..block };
        }
        blocks.push(block);
    }
    let ends = |block: &Block| if block.first == block.last { vec![block.first] } else { vec![block.first, block.last] };
    let knots = blocks.iter().flat_map(|block| ends(block).into_iter().map(|logit| (logit, block.level())));
    let (x, y) = knots.unzip();
    Calibrator::Isotonic { x, y }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(logits: &[f64], targets: &[bool], x: &[f64], y: &[f64]) {
        assert_eq!(fit(logits, targets), Calibrator::Isotonic { x: x.to_vec(), y: y.to_vec() });
    }

    #[test]
    fn violators_are_pooled_and_ties_are_one_point() {
        check(&[1.0, 2.0, 3.0], &[false, true, true], &[1.0, 2.0, 3.0], &[0.0, 1.0, 1.0][..]);
    }

    #[test]
    fn a_falling_sample_is_level() {
        check(&[3.0, 1.0, 2.0, 1.0], &[false, true, false, true], &[1.0, 3.0], &[0.5, 0.5]);
    }
}
