//! The promise: whatever happens to the disk, the gateway goes on, and keeps what can be kept.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

mod command;
mod damage;
mod earlier;
mod mounted;
mod running;
mod sealed;
mod shed;
mod shelf;
