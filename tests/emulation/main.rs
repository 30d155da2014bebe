//! The emulated chips are what the drivers take them for: the unmodified lora-phy runs on them,
//! and real end devices join. If these fail, no test of the radio means anything.

mod packets;
mod rig;
