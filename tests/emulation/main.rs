//! The emulated chips are what the drivers take them for: the unmodified lora-phy runs on them,
//! and real end devices join. If these fail, no test of the radio means anything.
#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, missing_docs)]

mod devices;
mod mess;
mod packets;
mod parameters;
mod protocol;
mod rig;
mod timing;
