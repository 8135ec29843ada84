//! `limbic-serve`.
fn main() {}
