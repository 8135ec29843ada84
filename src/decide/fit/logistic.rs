//! Logistic regression with a handful of features and soft targets, by damped Newton steps. The
//! loss is convex, the targets are soft, so the optimum is finite and the steps find it to the last
//! digits: a fit depends on the data alone, not on where an optimiser stopped.

/// Steps before giving up; ten are usual.
const MOST_STEPS: usize = 100;
/// Halvings of one step before it is taken for converged.
const MOST_HALVINGS: usize = 40;
/// Keeps the curvature invertible where features say the same, as share of its trace.
const DAMPING: f64 = 1e-12;

/// The weights that minimise `sum ln(1 + exp(m)) - t m` over rows, `m = weights . features`.
/// Features should be of size one or so; `start` is where the search begins.
pub(super) fn minimise<const K: usize>(rows: &[[f64; K]], targets: &[f64], start: [f64; K]) -> [f64; K] {
    let mut weights = start;
    let mut loss = loss_at(rows, targets, &weights);
    for _ in 0..MOST_STEPS {
        let step = newton_step(rows, targets, &weights);
        let mut share = 1.0;
        let improved = (0..MOST_HALVINGS).find_map(|_| {
            let next = std::array::from_fn(|k| weights[k] - share * step[k]);
            let found = loss_at(rows, targets, &next);
            share /= 2.0;
            (found < loss).then_some((next, found))
        });
        let Some((next, found)) = improved else { break };
        (weights, loss) = (next, found);
    }
    weights
}

fn margin<const K: usize>(features: &[f64; K], weights: &[f64; K]) -> f64 {
    features.iter().zip(weights).map(|(feature, weight)| feature * weight).sum()
}

fn loss_at<const K: usize>(rows: &[[f64; K]], targets: &[f64], weights: &[f64; K]) -> f64 {
    let cost = |(features, target): (&[f64; K], &f64)| {
        let margin = margin(features, weights);
        super::softplus(margin) - target * margin
    };
    rows.iter().zip(targets).map(cost).sum()
}

/// Curvature inverse times gradient.
fn newton_step<const K: usize>(rows: &[[f64; K]], targets: &[f64], weights: &[f64; K]) -> [f64; K] {
    let (mut gradient, mut curvature) = ([0.0; K], [[0.0; K]; K]);
    for (features, target) in rows.iter().zip(targets) {
        let chance = super::sigmoid(margin(features, weights));
        for i in 0..K {
            gradient[i] += (chance - target) * features[i];
            for j in 0..K {
                curvature[i][j] += chance * (1.0 - chance) * features[i] * features[j];
            }
        }
    }
    let trace: f64 = (0..K).map(|k| curvature[k][k]).sum();
    (0..K).for_each(|k| curvature[k][k] += DAMPING * trace + f64::MIN_POSITIVE);
    solve(curvature, gradient)
}

/// Gaussian elimination; the matrix is positive definite, so no pivot is zero.
fn solve<const K: usize>(mut matrix: [[f64; K]; K], mut right: [f64; K]) -> [f64; K] {
    for pivot in 0..K {
        for row in pivot + 1..K {
            let factor = matrix[row][pivot] / matrix[pivot][pivot];
            let above = matrix[pivot];
            matrix[row].iter_mut().zip(above).skip(pivot).for_each(|(cell, above)| *cell -= factor * above);
            right[row] -= factor * right[pivot];
        }
    }
    for row in (0..K).rev() {
        let known: f64 = (row + 1..K).map(|column| matrix[row][column] * right[column]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_vanishes_at_what_is_found() {
        let rows: Vec<[f64; 2]> = (0..50).map(|row| [f64::from(row % 7) - 3.0, 1.0]).collect();
        let targets: Vec<f64> = (0..50).map(|row| if row % 7 > 2 && row % 5 != 0 { 0.95 } else { 0.05 }).collect();
        let weights = minimise(&rows, &targets, [0.0; 2]);
        for k in 0..2 {
            let slope: f64 =
                rows.iter().zip(&targets).map(|(row, target)| (super::super::sigmoid(margin(row, &weights)) - target) * row[k]).sum();
            assert!(slope.abs() < 1e-7, "slope {slope} of weight {k}");
        }
    }

    #[test]
    fn features_that_say_the_same_do_not_break_it() {
        let rows = vec![[1.0, 1.0]; 10];
        let targets: Vec<f64> = (0..10).map(|row| f64::from(u8::from(row < 3))).collect();
        let weights = minimise(&rows, &targets, [0.0; 2]);
        assert!((super::super::sigmoid(weights[0] + weights[1]) - 0.3).abs() < 1e-6, "found {weights:?}");
    }
}
