//! The promise: frames of any LoRaWAN 1.0.x device are understood and answered as it expects,
//! forged and repeated ones are refused.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod crossed;
mod hostile;
mod joins;
mod mac;
mod net;
mod pins;
mod queue;
mod sessions;
mod vectors;
