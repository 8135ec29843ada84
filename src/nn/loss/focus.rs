//! Binary losses that turn away from what is already right: focal and asymmetric.

/// How a binary cross-entropy turns away from answers that are already right: with `s` the
/// probability, the loss of a yes is multiplied by `(1 - s)^positive`; a no is judged by
/// `m = max(s - margin, 0)` instead of `s`, and its loss multiplied by `m^negative`.
///
/// Both powers equal and no margin is the focal loss (Lin et al. 2017, arXiv:1708.02002) without
/// its balance, which weights of positives give; else it is the asymmetric loss (Ridnik et al.
/// 2021, arXiv:2009.14119). The factor is differentiated with the rest, as both papers write it.
/// A target between 0 and 1 mixes the losses of yes and no.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Focus {
    /// Power on positive answers, at least 0.
    pub positive: f64,
    /// Power on negative answers, at least 0.
    pub negative: f64,
    /// Probability below which a negative answer costs nothing, in `[0, 1)`.
    pub margin: f64,
}

impl Focus {
    /// The plain cross-entropy.
    pub const NONE: Self = Self { positive: 0.0, negative: 0.0, margin: 0.0 };

    /// The loss of a yes and its slope, at logit `z`.
    pub(super) fn yes(self, z: f64) -> (f64, f64) {
        let (share, rest) = (1.0 / (1.0 + (-z).exp()), 1.0 / (1.0 + z.exp()));
        let (focus, cost) = (rest.powf(self.positive), softplus(-z));
        (focus * cost, -focus * (self.positive * share * cost + rest))
    }

    /// The loss of a no and its slope, at logit `z`.
    pub(super) fn no(self, z: f64) -> (f64, f64) {
        let (share, rest) = (1.0 / (1.0 + (-z).exp()), 1.0 / (1.0 + z.exp()));
        if self.margin == 0.0 {
            let (focus, cost) = (share.powf(self.negative), softplus(z));
            return (focus * cost, focus * (self.negative * rest * cost + share));
        }
        let shifted = share - self.margin;
        if shifted <= 0.0 {
            return (0.0, 0.0);
        }
        let (focus, cost) = (shifted.powf(self.negative), -(-shifted).ln_1p());
        (focus * cost, focus * (self.negative * cost / shifted + 1.0 / (1.0 - shifted)) * share * rest)
    }
}

/// `log(1 + e^z)`, which neither overflows nor cancels.
fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}
