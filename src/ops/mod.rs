//! For those who look after the gateway: the journal, the service manager, health.

pub mod access;
pub mod button;
pub mod card;
pub mod device;
mod fold;
pub mod health;
pub mod inquiry;
pub mod journal;
pub mod machine;
pub mod metrics;
pub mod output;
pub mod plan;
pub mod service;
pub mod socket;
pub mod status;
pub mod web;
