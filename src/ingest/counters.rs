//! What became of frames, in numbers for whoever asks.

use super::care::CareCounts;
use crate::store::Class;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, PoisonError};

/// What became of frames, since the start. Each frame heard is counted in exactly one other field,
/// or is one of a tenant's.
#[derive(Debug, Default)]
pub struct Counters {
    /// Frames on the air, each counted once however many receivers heard it.
    pub heard: AtomicU64,
    /// Receptions that joined another one.
    pub copies: AtomicU64,
    /// Not LoRaWAN, or not from a device.
    pub not_uplink: AtomicU64,
    /// Of devices that are not registered.
    pub unknown_device: AtomicU64,
    /// At a registered address, but no key fits; or a join request that does not fit its AppKey.
    pub bad_mic: AtomicU64,
    /// Retransmissions of an accepted frame.
    pub repeats: AtomicU64,
    /// Authentic frames of the past.
    pub replays: AtomicU64,
    /// Refused counter resets.
    pub resets_refused: AtomicU64,
    /// Authentic join requests that the settings do not provide for, or that come too often.
    pub joins_refused: AtomicU64,
    /// Answers that were sent, or taken to be sent.
    pub answered: AtomicU64,
    /// Answers that were not sent: the device asks again.
    pub not_answered: AtomicU64,
    /// Whether so many failed in a row that operations were told.
    pub answers_fail: AtomicBool,
}

/// What became of one tenant's uplinks, since the start.
#[derive(Debug, Default)]
pub struct TenantCounters {
    /// On disk, and so accepted.
    pub accepted: AtomicU64,
    /// Joins, on disk.
    pub joins: AtomicU64,
    /// Authentic, but the disk did not take them: lost unless the device repeats itself.
    pub not_stored: AtomicU64,
    /// Payloads that could not be decoded; delivered raw.
    pub not_decoded: AtomicU64,
    /// Frames of sensors in a home of which nothing may be read: counted, and nothing else.
    pub unheeded: AtomicU64,
    /// How its residents are.
    pub care: Mutex<CareCounts>,
    /// Outputs of a decoder that were not what the profile takes them for, or that it does not
    /// know: readings are missing.
    pub not_mapped: AtomicU64,
    /// Writes to the disk, each with one flush.
    pub commits: AtomicU64,
    /// Whether the disk refused the last write.
    pub disk_fails: AtomicBool,
    /// Alarms that are in memory only, because the disk does not take them. They go out all the
    /// same.
    pub alarms_in_memory: AtomicU64,
    /// Alarms that there was no room for.
    pub alarms_lost: AtomicU64,
    /// Messages that were given up for want of room or for their age, by class, since the
    /// database was made.
    pub shed: [AtomicU64; Class::ALL.len()],
    /// Whether messages are given up now.
    pub sheds: AtomicBool,
    /// Bytes of its database that are in use now.
    pub used: AtomicU64,
    /// Whether sessions are kept once only, because the second file takes nothing.
    pub copy_fails: AtomicBool,
}

impl TenantCounters {
    /// How its residents are.
    pub fn of_care(&self) -> CareCounts {
        *self.care.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
