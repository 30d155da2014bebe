//! lykta: an edge gateway for LoRaWAN sensors in waste bins and in homes.

pub mod cli;
pub mod clock;
pub mod codec;
pub mod config;
pub mod device;
mod sys;
pub mod units;
