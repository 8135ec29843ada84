//! Logits to probabilities to labels, and nothing else: pure arithmetic, no IO, no clock.
//!
//! Only logits leave a backend; probabilities exist only after this room. A [`Decider`] holds a
//! bundle's activation, calibrators and thresholds and turns one row of logits into a
//! [`Prediction`]. [`Calibrator`]s and [`Thresholds`] are fitted in [`fit`], on out-of-fold logits
//! that the trainer brings.

mod abstain;
mod aggregate;
mod calibrator;
mod decider;
mod error;
pub mod fit;
mod label_map;
mod logits;
mod probabilities;
mod thresholds;

pub use abstain::{AbstainPolicy, Doubt, Margin};
pub use aggregate::Aggregation;
pub use calibrator::Calibrator;
pub use decider::{Decider, Prediction};
pub use error::DecideError;
pub use fit::{CalibratorKind, ThresholdPolicy};
pub use label_map::LabelMap;
pub use logits::Logits;
pub use probabilities::Probabilities;
pub use thresholds::Thresholds;
