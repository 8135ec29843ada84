//! `POST /v1/emotions`: the native request and answer.
//!
//! | file | what it owns |
//! |---|---|
//! | `request` | the members of a request, each checked, and how they go together |
//! | `thresholds` | which thresholds decide |
//! | `asked` | what else a request may ask for: how to read, when to abstain, what to explain, whose labels |
//! | `answer` | the answer, members in order |
//! | `by_label` | numbers and names by label |
//! | `line` | one line of the bulk route |

mod answer;
mod asked;
mod by_label;
mod line;
mod request;
mod thresholds;

pub(crate) use answer::{Abstaining, EmotionsAnswer, Explanation, MappedSet, ModelRef, PartResult, TextResult, Usage, Verdict, WordEffect};
pub(crate) use asked::{Explain, Granularity, LongText};
pub(crate) use by_label::{ByLabel, Names};
pub(crate) use line::{BulkLine, Outcome, take_id};
pub(crate) use request::EmotionsRequest;
pub(crate) use thresholds::ThresholdsUsed;
