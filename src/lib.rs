//! lykta: an edge gateway for LoRaWAN sensors in waste bins and in homes.

pub mod cli;
pub mod clock;
pub mod codec;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod device;
pub mod gateway;
pub mod ingest;
pub mod lorawan;
pub mod message;
pub mod ops;
pub mod radio;
pub mod store;
mod sys;
pub mod units;
pub mod upstream;
