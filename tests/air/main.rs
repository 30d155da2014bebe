//! The promise of the radio: real LoRaWAN end devices join through the gateway's own radio, are
//! pinned to its channel and heard, and all of it reaches the cloud.
//!
//! Everything between the antenna and the disk is what is shipped, in virtual time: the
//! unmodified drivers on emulated chips, the radio task, the ingest loop, SQLite. The last step
//! to MQTT is made afterwards by the shipped program on the same disk.
#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod cloud;
mod faults;
mod joins;
mod story;
mod world;
