//! The promise to those who look after the gateway: the service manager knows how the daemon
//! is, the journal says what happened and what to do, and neither hostile input nor a dead
//! neighbour takes it down.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod catalog;
mod exit_codes;
mod service;
