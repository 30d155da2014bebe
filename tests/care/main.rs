//! Undisturbed nights with the gateway itself: from the frame to the decision on its way to staff.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod daemon;
mod nights;
mod privacy;
mod walk;
mod world;
