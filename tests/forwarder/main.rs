//! The promise: a message is gone from the outbox only when the broker has acknowledged this
//! very message, whatever the broker does. The forwarder runs in the test's own process
//! against a broker that writes down every message before it acknowledges it.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod books;
mod commands;
mod journal;
mod metered;
mod patience;
mod poison;
#[path = "../support/settings.rs"]
mod settings;
#[path = "../support/sink.rs"]
mod sink;
mod world;
