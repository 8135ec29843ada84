//! From a recipe and labelled text to a bundle.
//!
//! [`recipe::Recipe`] states a whole run. [`data`] reads labelled text, [`groups`] finds near
//! duplicates, [`split`] deals them into folds, [`base`] brings the base model; [`batches`],
//! [`schedule`] and [`weights`] are the plain parts of a fit.
//!
//! This room refuses to serve, to guess what a recipe leaves out, and to report a number on rows
//! that it was tuned on.

pub mod answers;
mod apart;
pub mod args;
pub mod base;
pub mod batches;
mod checkpoint;
mod claims;
pub mod command;
pub mod compare;
mod cross;
pub mod data;
mod deal;
pub mod distil;
mod error;
pub mod evaluate;
mod files;
mod fit;
mod grid;
pub mod groups;
mod held_out;
mod identity;
mod journal;
mod learner;
mod lesson;
mod make;
mod masking;
mod measure;
mod merge;
mod network;
pub mod objective;
mod oof;
pub mod outcome;
pub mod phases;
mod predict;
pub mod rates;
pub mod recipe;
mod repeat;
pub mod report;
mod rows;
mod run;
pub mod schedule;
pub mod scored;
pub mod sets;
mod shards;
mod ship;
pub mod split;
pub mod stages;
mod start;
pub mod submission;
mod teacher;
pub mod tracking;
pub mod weights;
mod witness;
mod written;

pub use apart::{assemble, fit_fold};
pub use checkpoint::{Best, Evaluation};
pub use error::TrainError;
pub use evaluate::{LabelledFile, evaluate};
pub use fit::FitRecord;
pub use journal::{Progress, StepLine};
pub use oof::{PolicyChoice, PolicyReport};
pub use repeat::{Repeats, Spread, SpreadSet};
pub use report::{Drift, RunReport, draw_run};
pub use run::{Surroundings, run};
pub use scored::ScoredRows;

pub use crate::metrics::Resampling;
