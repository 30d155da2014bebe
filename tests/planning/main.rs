//! The promise to whoever sends the trucks: what the sensors say becomes a plan that can be
//! driven, with a reason for each bin that is in it and each that is not; it holds over a restart,
//! the cloud's word goes before ours, and what cannot be done is told.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod clock;
mod cloud;
mod mending;
mod nights;
mod patrol;
#[allow(dead_code, reason = "another test's")]
#[path = "../roads/pbf.rs"]
mod pbf;
mod roads;
mod running;
mod shell;
mod tours;
#[allow(dead_code, unused_macros, reason = "another test's")]
#[path = "../roads/town.rs"]
mod town;
mod under_way;
mod world;
