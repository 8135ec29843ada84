//! Limbic turns text into calibrated multi-label emotion probabilities, and trains the models
//! behind them.
//!
//! The rooms, in reading order (imports go down only; `tests/it/tidy.rs` proves it):
//!
//! | room | what it owns |
//! |---|---|
//! | [`spec`] | the plain words every room shares: labels, task, activation, pooling |
//! | [`text`] | normalise, tokenise, and lay out ragged batches |
//! | [`decide`] | logits to probabilities to labels: activation, calibrators, thresholds |
//! | [`metrics`] | F1s, Jaccard, AP, AUROC, ECE, Brier, bootstrap intervals |
//! | [`nn`] | the vocabulary of operations, its eager interpreter, weights, kernels |
//! | [`model`] | one definition of every network |
//! | [`generate`] | what a language model writes, and how probable each label is when it writes labels |
//! | [`bundle`] | the only thing that passes from trainer to server |
//! | [`backend`] | the engines that turn a batch into logits |
//! | [`export`] | the same network, recorded as an ONNX graph, and verified |
//! | [`train`] | recipes, folds, fitting, calibration, reports |
//! | [`serve`] | HTTP, batching, telemetry |

pub mod spec;

pub mod text;

pub mod decide;

pub mod metrics;

#[cfg(feature = "candle")]
pub mod nn;

#[cfg(feature = "candle")]
pub mod model;

#[cfg(feature = "candle")]
pub mod generate;

pub mod bundle;

pub mod backend;

#[cfg(feature = "train")]
pub mod export;

#[cfg(feature = "train")]
pub mod train;

#[cfg(feature = "serve")]
pub mod serve;
