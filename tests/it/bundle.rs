//! Bundles: what is written opens again, and nothing broken opens.
