//! One line of `POST /v1/emotions/bulk`, going in and coming out.

use serde::Serialize;
use utoipa::ToSchema;

use crate::serve::error::ApiError;
use crate::serve::wire::check::{Faults, Members};
use crate::serve::wire::json::Node;
use crate::serve::wire::problem::Problem;

/// What became of one line.
#[derive(Serialize, ToSchema)]
pub(crate) struct BulkLine<'a, A> {
    /// Its number, from 1; blank lines are counted and not answered.
    pub(crate) line: usize,
    /// The caller's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub(crate) id: Option<&'a str>,
    #[serde(flatten)]
    pub(crate) outcome: Outcome<'a, A>,
}

/// An answer, or why there is none.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome<'a, A> {
    /// The native answer.
    Answer(A),
    /// The native error.
    Error(Problem<'a>),
}

/// Takes the caller's `id` out of a line; the rest is a native request.
///
/// # Errors
/// [`ApiError::Invalid`] for an `id` that is no string.
pub(crate) fn take_id(body: &mut Node) -> Result<Option<String>, ApiError> {
    let Node::Object(list) = body else { return Ok(None) };
    let (ids, rest) = std::mem::take(list).into_iter().partition(|(name, _)| name == "id");
    *list = rest;
    let mut faults = Faults::default();
    let id = Members::open(Node::Object(ids), "", &mut faults).string("id", &mut faults);
    faults.finish().map(|()| id)
}
