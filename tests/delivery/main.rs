//! The promise: what lykta has accepted reaches the cloud, whatever is killed when.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod kills;
