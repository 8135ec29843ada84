//! The plots, a file a family: values in, panels out.
//!
//! A family draws what was measured and measures nothing its own way: bins, cuts and counts come from
//! `metrics`, figures and intervals from the report.

mod cardinality;
mod confusion;
mod cooccurrence;
mod curves;
mod distribution;
mod precision_recall;
mod reliability;
mod scores;
mod thresholds;
mod view;

pub(super) use curves::{StepOrLook, plot as curves};
pub(super) use distribution::plot as distribution;
pub use view::View;

use super::draw::{Panel, Tone};
use crate::train::TrainError;

/// A family of panels with what one needs to know to read them.
#[derive(Clone)]
pub(super) struct Plot {
    /// Name of its files, without extension.
    pub(super) name: String,
    pub(super) title: &'static str,
    /// What is shown and how to read it.
    pub(super) lead: String,
    /// What the colours stand for, where several are used.
    pub(super) legend: Vec<(Tone, String)>,
    pub(super) panels: Vec<Panel>,
    /// Panels a row, in a file.
    pub(super) columns: usize,
}

/// Every plot of one measured set, in reading order.
pub(super) fn of_set(view: &View<'_>) -> Result<Vec<Plot>, TrainError> {
    Ok(vec![
        scores::plot(view)?,
        reliability::plot(view)?,
        thresholds::plot(view)?,
        precision_recall::plot(view)?,
        confusion::plot(view)?,
        cooccurrence::plot(view)?,
        cardinality::plot(view)?,
    ])
}

/// The name of a set's plot in files.
fn named(view: &View<'_>, plot: &str) -> String {
    format!("{}-{plot}", view.set().name)
}
