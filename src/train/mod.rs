//! From a recipe and labelled text to a bundle.
//!
//! [`recipe::Recipe`] states a whole run. [`data`] reads labelled text, [`groups`] finds near
//! duplicates, [`split`] deals them into folds; [`batches`], [`schedule`] and [`weights`] are the
//! plain parts of a fit.
//!
//! This room refuses to serve, to guess what a recipe leaves out, and to report a number on rows
//! that it was tuned on.

pub mod base;
pub mod batches;
pub mod data;
pub mod groups;
pub mod recipe;
pub mod schedule;
pub mod split;
pub mod weights;
