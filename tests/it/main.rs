//! The one integration binary: each module is one area, its data in `fixtures/`.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "one binary without an outside; a test is an edge: it reads the clock and the environment, and fails by panicking"
)]

mod backend;
mod bundle;
mod counting;
mod decide;
mod decide_policies;
mod export;
mod generate;
mod generate_bundle;
mod metrics;
mod nn_adapter;
mod nn_attention;
mod nn_causal;
mod nn_checkpoint;
mod nn_decoders;
mod nn_grad;
mod nn_kernels;
mod nn_learning;
mod nn_masked;
mod nn_memory;
mod nn_optim;
mod nn_parity;
mod nn_support;
#[cfg(feature = "serve")]
mod serve;
mod spec;
mod stories;
mod support;
mod text;
mod text_labels;
mod text_prompt;
mod text_reading;
mod tidy;
mod tiny;
mod train_apart;
mod train_base;
mod train_cli;
mod train_compare;
mod train_data;
mod train_decoders;
mod train_evaluate;
mod train_experiments;
mod train_folds;
mod train_learning;
mod train_mistakes;
mod train_phases;
mod train_plan;
mod train_predict;
mod train_recipe;
mod train_report;
mod train_run;
mod train_start;
mod train_tracking;
mod train_trial;
