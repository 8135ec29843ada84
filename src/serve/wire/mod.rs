//! Twins of inner types, as they stand on the wire: what is read is checked member by member with
//! a JSON pointer for everything wrong, what is written keeps its members' order.

pub(super) mod about;
pub(super) mod admin;
pub(super) mod card;
pub(super) mod check;
pub(super) mod emotions;
pub(super) mod hf;
pub(super) mod inputs;
pub(super) mod json;
pub(super) mod oip;
pub(super) mod openai;
pub(super) mod problem;
pub(super) mod ranked;
pub(super) mod tei;
