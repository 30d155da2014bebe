//! What the keeper and the worker say to each other: a line of JSON each.

use super::Routine;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The worker's first line, when it is ready.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    /// Whether the kernel filters its system calls.
    pub(super) filtered: bool,
}

/// What to run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Case<'a> {
    #[serde(borrow)]
    pub(super) source: Cow<'a, str>,
    pub(super) routine: Routine,
    #[serde(borrow)]
    pub(super) input: &'a RawValue,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reply {
    pub(super) out: Outcome,
    pub(super) console: Vec<String>,
}

/// What a script returned, or why it did not.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Object(Box<RawValue>),
    Error(String),
    /// It had to be stopped for the time it took.
    Late(String),
}
