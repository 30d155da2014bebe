//! For those who look after the gateway: the journal, the service manager, health.

pub mod health;
pub mod journal;
pub mod output;
pub mod service;
