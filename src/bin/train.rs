//! `limbic-train`.
fn main() {}
