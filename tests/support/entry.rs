//! Rows for a store, as tests make them up.

use jiff::Timestamp;
use lykta::clock::{Clock, ClockQuality, Moment};
use lykta::lorawan::Changes;
use lykta::store::{Class, Entry, Message};
use lykta::units::DevEui;

/// A message of now.
pub fn message(class: Class, topic: String, body: String) -> Message {
    let at = Moment {
        wall: Timestamp::now(),
        quality: ClockQuality::Synced,
        monotonic: Clock::system().now().monotonic,
    };
    Message { class, at, topic, body }
}

/// What brings these messages and changes nothing.
pub fn entry(dev_eui: u64, messages: Vec<Message>) -> Entry {
    Entry::of(DevEui(dev_eui), messages)
}
