//! The promise to those who look after the gateway: the service manager knows how the daemon
//! is, the journal says what happened and what to do, and neither hostile input nor a dead
//! neighbour takes it down.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod catalog;
mod concentrators;
mod exit_codes;
mod faults;
mod hostile;
mod journal;
mod modem;
mod quiet;
mod radio;
mod reload;
mod service;
mod unit;
mod watchdog;

use serde_json::Value;
use support::{Broker, Subscriber, wait_until};

/// The newest health message. It comes with each connection, and so by a break of this one.
fn health(broker: &Broker, cloud: &Subscriber) -> Value {
    let before = cloud.on("/health").len();
    broker.drop_client("lykta-gw-1-waste");
    wait_until("health is told", || cloud.on("/health").len() > before);
    cloud.on("/health").pop().unwrap().body
}
