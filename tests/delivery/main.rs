//! The promise: what lykta has accepted reaches the cloud, whatever is killed when.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod books;
mod commands;
mod crash;
mod kills;
mod troubles;
