//! The promise: what the cloud sees is what `mosquitto_sub` shows here, whoever the broker
//! is, whatever it does, and operations is told in words when something is wrong with it.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

mod bins;
mod clock;
mod commands;
mod formats;
mod gate;
mod outage;
mod poison;
mod refusal;
mod tenants;
mod tls;
mod uplinks;
mod world;
