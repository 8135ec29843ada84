//! Logits to probabilities to labels, and nothing else: pure arithmetic, no IO, no clock.
//!
//! Only logits leave a backend; probabilities exist only after this room. A [`Decider`] holds a
//! bundle's activation, calibrators and thresholds and turns one row of logits into a
//! [`Prediction`]. [`Calibrator`]s and [`Thresholds`] are fitted here too, on out-of-fold logits
//! that the trainer brings.

mod logits;

pub use logits::{DecideError, Logits};
