//! How good probabilities and decisions are: pure arithmetic over rows that were judged by hand.
//!
//! A [`Judged`] holds scores, truth and decisions; [`Judged::report`] gives every figure and
//! [`Judged::intervals`] the bootstrap intervals of the same figures, computed by the same code on
//! rows drawn anew. It refuses to fit anything: what it is given was decided elsewhere, out of fold
//! if the figures are to be honest.
//!
//! Conventions, where texts differ: a precision, recall or F1 without a denominator is 0, and counts
//! in a mean; a row with no label, predicted none, has a Jaccard index and a sample F1 of 1, as
//! SemEval-2018 Task 1 scores it; average precision and AUROC of a label that is all yes or all no
//! are undefined and left out of means. Otherwise figures are those of scikit-learn.

mod bootstrap;
mod column;
mod counts;
mod cuts;
mod error;
mod figures;
mod judged;
mod reliability;

pub use bootstrap::{Interval, Resampling, bootstrap};
pub use column::{auroc, average_precision, brier, log_loss};
pub use counts::Counts;
pub use cuts::{Cut, cuts};
pub use error::MetricsError;
pub use figures::{Intervals, LabelFigures, Report, Summary};
pub use judged::{Difference, Judged, paired_differences};
pub use reliability::{BINS, Bin, calibration_error, debiased_calibration_error, reliability};
