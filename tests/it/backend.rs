//! Engines on the tiny bundle.
