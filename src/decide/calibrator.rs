//! What turns one logit into a probability that means what it says.
//!
//! Every calibrator is non-decreasing: calibration may change how sure a score sounds, never which
//! of two texts scores higher. One that would turn the order round is refused here.

use super::probabilities::{sigmoid, softplus};
use super::{DecideError, Probabilities};

/// More knots than this is taken for a broken file.
const MOST_KNOTS: usize = 1 << 20;
const FINITE: &str = "a finite number";
const NOT_NEGATIVE: &str = "a finite number of at least 0";

/// One label's map from a logit `z` to a probability. Build through the constructors, which check;
/// a [`Decider`](super::Decider) checks again.
#[derive(Debug, Clone, PartialEq)]
pub enum Calibrator {
    /// `sigmoid(z)`.
    Identity,
    /// `sigmoid(z / t)` (Guo et al. 2017, "On calibration of modern neural networks").
    Temperature {
        /// Positive.
        t: f64,
    },
    /// `sigmoid(a z + b)` (Platt 1999, "Probabilistic outputs for support vector machines"; there
    /// and in scikit-learn both signs are the other way round).
    Sigmoid {
        /// Not negative.
        a: f64,
        /// Any.
        b: f64,
    },
    /// `sigmoid(a ln s - b ln(1 - s) + c)` with `s = sigmoid(z)` (Kull, Silva Filho and Flach 2017,
    /// "Beta calibration").
    Beta {
        /// Not negative.
        a: f64,
        /// Not negative.
        b: f64,
        /// Any.
        c: f64,
    },
    /// Straight lines through knots, level outside them (Zadrozny and Elkan 2002, "Transforming
    /// classifier scores into accurate multiclass probability estimates").
    Isotonic {
        /// Logits, strictly rising.
        x: Vec<f64>,
        /// Probabilities at the knots, never falling.
        y: Vec<f64>,
    },
}

impl Calibrator {
    /// Dividing by a temperature.
    ///
    /// # Errors
    /// [`DecideError::Parameter`] unless `t` is positive and finite.
    pub fn temperature(t: f64) -> Result<Self, DecideError> {
        Self::Temperature { t }.checked()
    }

    /// Platt's line.
    ///
    /// # Errors
    /// [`DecideError::Parameter`] unless both are finite and `a` is not negative.
    pub fn sigmoid(a: f64, b: f64) -> Result<Self, DecideError> {
        Self::Sigmoid { a, b }.checked()
    }

    /// Kull's beta map.
    ///
    /// # Errors
    /// [`DecideError::Parameter`] unless all are finite and neither `a` nor `b` is negative.
    pub fn beta(a: f64, b: f64, c: f64) -> Result<Self, DecideError> {
        Self::Beta { a, b, c }.checked()
    }

    /// Knots `x` (logits) and `y` (probabilities).
    ///
    /// # Errors
    /// [`DecideError::Form`] unless there are as many of one as of the other, at least one, `x`
    /// rises strictly and `y` never falls; [`DecideError::Parameter`] for an infinite logit or a
    /// value outside `[0, 1]`.
    pub fn isotonic(x: Vec<f64>, y: Vec<f64>) -> Result<Self, DecideError> {
        Self::Isotonic { x, y }.checked()
    }

    pub(super) fn checked(self) -> Result<Self, DecideError> {
        self.check()?;
        Ok(self)
    }

    pub(super) fn check(&self) -> Result<(), DecideError> {
        match self {
            Self::Identity => Ok(()),
            Self::Temperature { t } => within("temperature", *t, *t > 0.0 && t.is_finite(), "a finite number above 0"),
            Self::Sigmoid { a, b } => {
                within("sigmoid slope", *a, *a >= 0.0 && a.is_finite(), NOT_NEGATIVE)?;
                within("sigmoid offset", *b, b.is_finite(), FINITE)
            }
            Self::Beta { a, b, c } => {
                within("beta a", *a, *a >= 0.0 && a.is_finite(), NOT_NEGATIVE)?;
                within("beta b", *b, *b >= 0.0 && b.is_finite(), NOT_NEGATIVE)?;
                within("beta c", *c, c.is_finite(), FINITE)
            }
            Self::Isotonic { x, y } => check_knots(x, y),
        }
    }

    /// The probability in `[0, 1]` of one logit.
    #[must_use]
    pub fn probability(&self, logit: f64) -> f64 {
        match self {
            Self::Identity => sigmoid(logit),
            Self::Temperature { t } => sigmoid(logit / t),
            Self::Sigmoid { a, b } => sigmoid(a * logit + b),
            Self::Beta { a, b, c } => sigmoid(b * softplus(logit) - a * softplus(-logit) + c),
            Self::Isotonic { x, y } => interpolate(x, y, logit),
        }
    }

    /// The probabilities of a batch, label by label its own calibrator.
    pub(super) fn apply(calibrators: &[Self], logits: &super::Logits) -> Probabilities {
        let cells = logits.values().iter().zip(calibrators.iter().cycle());
        let values = cells.map(|(logit, calibrator)| calibrator.probability(f64::from(*logit)) as f32).collect();
        Probabilities::new(logits.labels(), values).expect("calibrators give probabilities; anything else is a bug")
    }

    /// The name that manifests and reports use.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Temperature { .. } => "temperature",
            Self::Sigmoid { .. } => "sigmoid",
            Self::Beta { .. } => "beta",
            Self::Isotonic { .. } => "isotonic",
        }
    }
}

fn within(what: &'static str, value: f64, holds: bool, expected: &'static str) -> Result<(), DecideError> {
    if holds { Ok(()) } else { Err(DecideError::Parameter { what, value, expected }) }
}

fn check_knots(x: &[f64], y: &[f64]) -> Result<(), DecideError> {
    let form = |holds: bool, expected| if holds { Ok(()) } else { Err(DecideError::Form { what: "isotonic knots", expected }) };
    form(x.len() == y.len(), "as many logits as probabilities")?;
    form((1..=MOST_KNOTS).contains(&x.len()), "at least one knot, and at most 1,048,576")?;
    for (logit, probability) in x.iter().zip(y) {
        within("isotonic logit", *logit, logit.is_finite(), FINITE)?;
        within("isotonic probability", *probability, (0.0..=1.0).contains(probability), "a number in [0, 1]")?;
    }
    form(x.windows(2).all(|pair| pair[0] < pair[1]), "logits that rise strictly")?;
    form(y.windows(2).all(|pair| pair[0] <= pair[1]), "probabilities that never fall")
}

fn interpolate(x: &[f64], y: &[f64], logit: f64) -> f64 {
    let right = x.partition_point(|knot| *knot <= logit);
    if right == 0 {
        return y[0];
    }
    if right == x.len() {
        return y[right - 1];
    }
    let left = right - 1;
    let way = (logit - x[left]) / (x[right] - x[left]);
    // The last bit of the product may lead past the knot, and the next piece would then fall.
    (y[left] + (y[right] - y[left]) * way).min(y[right])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_outside_their_range_are_refused() {
        let wrong = [
            Calibrator::temperature(0.0),
            Calibrator::temperature(-1.0),
            Calibrator::temperature(f64::NAN),
            Calibrator::temperature(f64::INFINITY),
            Calibrator::sigmoid(-1e-9, 0.0),
            Calibrator::sigmoid(1.0, f64::NAN),
            Calibrator::beta(-0.1, 1.0, 0.0),
            Calibrator::beta(1.0, f64::NAN, 0.0),
            Calibrator::isotonic(vec![], vec![]),
            Calibrator::isotonic(vec![0.0, 1.0], vec![0.5]),
            Calibrator::isotonic(vec![0.0, 0.0], vec![0.1, 0.2]),
            Calibrator::isotonic(vec![0.0, 1.0], vec![0.2, 0.1]),
            Calibrator::isotonic(vec![0.0, f64::INFINITY], vec![0.1, 0.2]),
            Calibrator::isotonic(vec![0.0, 1.0], vec![0.1, 1.1]),
        ];
        for (case, calibrator) in wrong.into_iter().enumerate() {
            assert!(calibrator.is_err(), "case {case} passed as {calibrator:?}");
        }
    }

    #[test]
    fn identity_is_the_plain_sigmoid_and_others_hold_it() {
        let same = [
            Calibrator::Identity,
            Calibrator::temperature(1.0).expect("positive"),
            Calibrator::sigmoid(1.0, 0.0).expect("in range"),
            Calibrator::beta(1.0, 1.0, 0.0).expect("in range"),
        ];
        for step in -400..=400 {
            let logit = f64::from(step) / 10.0;
            for calibrator in &same {
                let (found, expected) = (calibrator.probability(logit), 1.0 / (1.0 + (-logit).exp()));
                assert!((found - expected).abs() < 1e-14, "{} of {logit} is {found}: expected {expected}", calibrator.kind());
            }
        }
    }

    #[test]
    fn isotonic_runs_straight_between_its_knots_and_level_outside() {
        let calibrator = Calibrator::isotonic(vec![-1.0, 0.0, 2.0], vec![0.0, 0.25, 0.75]).expect("in order");
        for (logit, expected) in [(-5.0, 0.0), (-1.0, 0.0), (-0.5, 0.125), (0.0, 0.25), (1.0, 0.5), (2.0, 0.75), (1e4, 0.75)] {
            assert_eq!(calibrator.probability(logit), expected, "of {logit}");
        }
        let one = Calibrator::isotonic(vec![0.0], vec![0.3]).expect("one knot");
        assert_eq!([one.probability(-1.0), one.probability(0.0), one.probability(1.0)], [0.3; 3]);
    }

    fn any_calibrator() -> impl Strategy<Value = Calibrator> {
        let knots = prop::collection::vec((1e-3..4.0f64, 0.0..1.0f64), 1..20).prop_map(|steps| {
            let rise: f64 = steps.iter().map(|step| step.1).sum::<f64>().max(1.0);
            let (mut x, mut y) = (-20.0, 0.0);
            let knots = steps.iter().map(|step| {
                (x, y) = (x + step.0, (y + step.1 / rise).min(1.0));
                (x, y)
            });
            let (x, y) = knots.unzip();
            Calibrator::isotonic(x, y).expect("made in order")
        });
        prop_oneof![
            Just(Calibrator::Identity),
            (1e-2..1e2f64).prop_map(|t| Calibrator::Temperature { t }),
            (0.0..20.0f64, -20.0..20.0f64).prop_map(|(a, b)| Calibrator::Sigmoid { a, b }),
            (0.0..20.0f64, 0.0..20.0f64, -20.0..20.0f64).prop_map(|(a, b, c)| Calibrator::Beta { a, b, c }),
            knots,
        ]
    }

    proptest! {
        #[test]
        fn none_falls_and_all_stay_in_range(calibrator in any_calibrator(), one in -1e4..1e4f64, gap in prop_oneof![0.0..1e-9f64, 0.0..5.0, 0.0..1e4]) {
            let (low, high) = (calibrator.probability(one), calibrator.probability(one + gap));
            prop_assert!((0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high));
            // Two roundings of the exponential may differ by its last bit.
            prop_assert!(low <= high + 1e-15, "{low} above {high}");
            prop_assert!(low as f32 <= high as f32 + f32::EPSILON);
        }
    }
}
