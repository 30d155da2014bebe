//! lykta: an edge gateway for LoRaWAN sensors in waste bins and in homes.

pub mod clock;
pub mod codec;
pub mod config;
pub mod device;
pub mod lorawan;
mod sys;
pub mod units;
