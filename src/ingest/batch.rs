//! What is to be kept, until the disk has it.

use super::bins;
use super::counters::TenantCounters;
use super::disk::{Trouble, is_empty, of_states};
use crate::lorawan::{Answer, Undo};
use crate::radio::Reception;
use crate::store::{Class, Entry, Room, State};
use crate::units::DevEui;
use crate::upstream::command::Receipt;
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How many entries may wait in memory for a disk that fails; and so many if there is none among
/// them that could be given up.
const MAX_PUSHED: usize = 1024;
const MAX_HELD: usize = 2 * MAX_PUSHED;

/// What is not on disk yet.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    /// What no frame brought, and nobody brings again: kept until the disk takes it.
    /// Each with the number of frames that were before it.
    pub(super) pushed: VecDeque<(usize, Entry)>,
    /// How to go back, should the disk not take it.
    pub(super) back: Vec<Back>,
    /// What leaves once it is on disk.
    pub(super) answers: Vec<Departure>,
    /// Of the commands in it. Dropped with what the disk does not take.
    pub(super) receipts: Vec<Receipt>,
    pub(super) uplinks: u64,
    pub(super) joins: u64,
    /// Whether a bin is so full that a plan may have to be mended.
    pub(super) full: bool,
    /// How long the write before took.
    pub(super) took: Duration,
    /// Uplinks among `pushed`.
    pub(super) held: u64,
    /// Since when the disk takes nothing.
    pub(super) trouble: Option<Trouble>,
}

#[derive(Debug)]
pub(super) enum Back {
    Frame(Undo),
    /// A downlink that was put in line.
    Queued(DevEui, String),
    /// What was known of a bin before.
    Bin(DevEui, String, Option<Box<bins::Known>>),
}

/// An answer that waits for the disk.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) dev_eui: DevEui,
    pub(super) answer: Answer,
    pub(super) receptions: Vec<Reception>,
    /// When the uplink ended, by the time of the radios.
    pub(super) ended: Duration,
}

impl Batch {
    /// Adds what no frame brought, behind what is there.
    pub(super) fn push(&mut self, entry: Entry) {
        // of residents what is said last is all that counts, however long the disk takes nothing
        for (_, earlier) in &mut self.pushed {
            earlier.states.retain(|state| !entry.states.iter().any(|new| new.replaces(state)));
        }
        self.pushed.retain(|(_, earlier)| !is_empty(earlier));
        self.pushed.push_back((self.entries.len(), entry));
    }

    /// All of it in the order in which it came about, and which of it frames brought.
    pub(super) fn ordered(
        entries: Vec<Entry>,
        pushed: VecDeque<(usize, Entry)>,
    ) -> (Vec<Entry>, Vec<bool>) {
        let mut pushed = pushed.into_iter().peekable();
        let mut all = Vec::new();
        for (n, frame) in entries.into_iter().enumerate() {
            while let Some((_, entry)) = pushed.next_if(|(before, _)| *before <= n) {
                all.push((entry, false));
            }
            all.push((frame, true));
        }
        all.extend(pushed.map(|(_, entry)| (entry, false)));
        all.into_iter().unzip()
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.entries.is_empty() || !self.pushed.is_empty()
    }

    /// What waits in memory is bounded: first goes what nobody waits for. What is remembered of
    /// residents stays: there is no more of it than there are residents.
    pub(super) fn make_room(&mut self, counters: &TenantCounters) {
        let is_of_residents = |state: &State| matches!(state.room, Room::Care | Room::Consent);
        while self.pushed.len() >= MAX_PUSHED {
            let is_spare = |(_, entry): &(usize, Entry)| {
                let alarms = entry.messages.iter().any(|m| m.class == Class::Alarm);
                // no order, no answer to one, and no alarm
                !alarms && entry.command.is_none() && entry.states.is_empty()
            };
            let is_more = |(_, entry): &(usize, Entry)| {
                !entry.states.iter().all(is_of_residents)
                    || !entry.messages.is_empty()
                    || entry.command.is_some()
            };
            let spare = self.pushed.iter().position(is_spare);
            let any = || self.pushed.iter().position(is_more);
            let full = self.pushed.len() >= MAX_HELD;
            let spare = spare.or_else(|| any().filter(|_| full));
            let Some(place) = spare else { return };
            let Some((before, mut gone)) = self.pushed.remove(place) else { return };
            counters.not_stored.fetch_add(1, Relaxed);
            let alarms = gone.messages.iter().filter(|m| m.class == Class::Alarm).count();
            counters.alarms_lost.fetch_add(alarms as u64, Relaxed);
            gone.states.retain(is_of_residents);
            if !gone.states.is_empty() {
                self.pushed.insert(place, (before, of_states(gone.states)));
            }
        }
    }
}
