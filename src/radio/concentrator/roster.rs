//! Which concentrators speak, and how each of them is.

use crate::clock::Moment;
use crate::radio::TxError;
use crate::radio::gwmp::Stat;
use crate::units::GatewayEui;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Of how many concentrators it is noted when they were heard, and how they are reached. The
/// protocol has no authentication, so a stranger may make names up; they must neither make
/// memory grow nor keep anybody from being heard.
pub const MAX_CONCENTRATORS: usize = 64;

/// A forwarder asks every 5 to 30 s whether there is something to send. Two missed in a row
/// are an accident, this is a fault; and after as long the way back is gone, since what lies
/// between (a NAT) has forgotten it.
pub const SILENT_AFTER: Duration = Duration::from_secs(90);

/// One refused downlink is a coincidence, such as two answers at once. This many in a row are
/// news.
const REFUSALS: u32 = 3;

/// This many downlinks taken in a row end the news.
const TAKEN_AGAIN: u32 = 10;

/// A concentrator, as seen from here.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Its name.
    pub gateway: GatewayEui,
    /// The version of the protocol that it speaks.
    pub version: u8,
    /// Where its last datagram came from.
    pub address: SocketAddr,
    /// When that was.
    pub last_heard: Moment,
    /// Its last PULL_DATA: the way back.
    pub pull: Option<Pull>,
    /// The last that it told of itself.
    pub stat: Option<Stat>,
    /// Good packets that it has passed on.
    pub packets: u64,
    /// Transmissions that it has taken.
    pub taken: u64,
    /// Transmissions that it has not taken, by reason.
    pub refused: BTreeMap<TxError, u64>,
}

/// A PULL_DATA, which keeps the way back open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pull {
    /// Where it came from, which differs from where packets come from.
    pub address: SocketAddr,
    /// When.
    pub at: Moment,
}

/// The concentrators that have been heard since the start. The listener writes, anybody reads.
#[derive(Debug, Default)]
pub struct Roster(Mutex<HashMap<GatewayEui, Entry>>);

#[derive(Debug)]
struct Entry {
    seen: Seen,
    heard: Instant,
    pulled: Option<Instant>,
    silent: bool,
    refusals: u32,
    taken_since: u32,
    /// Whether it was told that it refuses downlinks.
    refuses: bool,
}

/// What a datagram says by having come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    First,
    Known,
    AfterSilence,
    Crowd,
}

/// A change in how a concentrator takes downlinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Refuses(TxError),
    Takes,
}

impl Roster {
    /// All concentrators, in the order of their names.
    pub fn list(&self) -> Vec<Seen> {
        let mut list: Vec<_> = self.lock().values().map(|entry| entry.seen.clone()).collect();
        list.sort_unstable_by_key(|seen| seen.gateway);
        list
    }

    /// A datagram has come.
    pub(super) fn note(
        &self,
        gateway: GatewayEui,
        version: u8,
        address: SocketAddr,
        at: Moment,
        now: Instant,
    ) -> Noted {
        let mut entries = self.lock();
        if let Some(entry) = entries.get_mut(&gateway) {
            entry.heard = now;
            entry.seen.version = version;
            entry.seen.address = address;
            entry.seen.last_heard = at;
            let silent = std::mem::take(&mut entry.silent);
            return if silent { Noted::AfterSilence } else { Noted::Known };
        }
        if entries.len() >= MAX_CONCENTRATORS {
            return Noted::Crowd;
        }
        let seen = Seen {
            gateway,
            version,
            address,
            last_heard: at,
            pull: None,
            stat: None,
            packets: 0,
            taken: 0,
            refused: BTreeMap::new(),
        };
        let entry = Entry {
            seen,
            heard: now,
            pulled: None,
            silent: false,
            refusals: 0,
            taken_since: 0,
            refuses: false,
        };
        entries.insert(gateway, entry);
        Noted::First
    }

    /// It has asked for downlinks. Returns the way back that this one replaces, if it differs.
    pub(super) fn pulled(
        &self,
        gateway: GatewayEui,
        pull: Pull,
        now: Instant,
    ) -> Option<SocketAddr> {
        let mut entries = self.lock();
        let entry = entries.get_mut(&gateway)?;
        entry.pulled = Some(now);
        let before = entry.seen.pull.replace(pull)?.address;
        (before != pull.address).then_some(before)
    }

    /// It has passed on packets, and perhaps told how it is.
    pub(super) fn pushed(&self, gateway: GatewayEui, packets: u64, stat: Option<Stat>) {
        if let Some(entry) = self.lock().get_mut(&gateway) {
            entry.seen.packets += packets;
            entry.seen.stat = stat.or(entry.seen.stat);
        }
    }

    /// Where, and in which version of the protocol, its downlinks go. None when it is unknown or
    /// has not asked for any lately.
    pub(super) fn way(&self, gateway: GatewayEui, now: Instant) -> Option<(SocketAddr, u8)> {
        let entries = self.lock();
        let entry = entries.get(&gateway)?;
        let fresh = now.saturating_duration_since(entry.pulled?) <= SILENT_AFTER;
        entry.seen.pull.filter(|_| fresh).map(|pull| (pull.address, entry.seen.version))
    }

    /// Notes what became of a transmission.
    pub(super) fn judge(&self, gateway: GatewayEui, result: Result<(), TxError>) -> Option<Change> {
        let mut entries = self.lock();
        let entry = entries.get_mut(&gateway)?;
        match result {
            Ok(()) => {
                entry.seen.taken += 1;
                entry.refusals = 0;
                entry.taken_since += 1;
                let takes = entry.refuses && entry.taken_since >= TAKEN_AGAIN;
                takes.then(|| {
                    entry.refuses = false;
                    Change::Takes
                })
            }
            Err(error) => {
                *entry.seen.refused.entry(error).or_default() += 1;
                entry.taken_since = 0;
                entry.refusals += 1;
                let refuses = !entry.refuses && entry.refusals >= REFUSALS;
                refuses.then(|| {
                    entry.refuses = true;
                    Change::Refuses(error)
                })
            }
        }
    }

    /// Whether any of them is there now: one that hears nobody says so every few seconds.
    pub fn is_there(&self, now: Instant) -> bool {
        let late = |entry: &Entry| now.saturating_duration_since(entry.heard) > SILENT_AFTER;
        self.lock().values().any(|entry| !late(entry))
    }

    /// Those that have fallen silent since this was last asked.
    pub(super) fn take_silent(&self, now: Instant) -> Vec<GatewayEui> {
        let mut entries = self.lock();
        let late = |entry: &&mut Entry| {
            !entry.silent && now.saturating_duration_since(entry.heard) > SILENT_AFTER
        };
        let silent = entries.values_mut().filter(late).map(|entry| {
            entry.silent = true;
            entry.seen.gateway
        });
        silent.collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<GatewayEui, Entry>> {
        // each change is complete in itself
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ClockQuality;

    const GATEWAY: GatewayEui = GatewayEui(7);

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn moment() -> Moment {
        Moment {
            wall: jiff::Timestamp::UNIX_EPOCH,
            quality: ClockQuality::Synced,
            monotonic: Duration::ZERO,
        }
    }

    fn heard(roster: &Roster, gateway: GatewayEui, now: Instant) -> Noted {
        roster.note(gateway, 2, address(1), moment(), now)
    }

    #[test]
    fn a_way_back_is_the_last_pull_and_grows_old() {
        let (roster, start) = (Roster::default(), Instant::now());
        let pull = |port| Pull { address: address(port), at: moment() };
        assert_eq!(roster.pulled(GATEWAY, pull(2), start), None, "nobody has heard of it");
        assert_eq!(heard(&roster, GATEWAY, start), Noted::First);
        assert_eq!(roster.way(GATEWAY, start), None, "it has not asked for downlinks");
        assert_eq!(roster.pulled(GATEWAY, pull(2), start), None);
        assert_eq!(roster.pulled(GATEWAY, pull(2), start), None, "no change");
        assert_eq!(roster.pulled(GATEWAY, pull(3), start), Some(address(2)));
        assert_eq!(roster.way(GATEWAY, start + SILENT_AFTER), Some((address(3), 2)));
        let later = start + SILENT_AFTER + Duration::from_millis(1);
        assert_eq!(heard(&roster, GATEWAY, later), Noted::Known);
        assert_eq!(roster.way(GATEWAY, later), None, "packets are no way back");
    }

    #[test]
    fn silence_is_told_once_and_its_end_too() {
        let (roster, start) = (Roster::default(), Instant::now());
        heard(&roster, GATEWAY, start);
        assert_eq!(roster.take_silent(start + SILENT_AFTER), []);
        let later = start + SILENT_AFTER * 2;
        assert_eq!(roster.take_silent(later), [GATEWAY]);
        assert_eq!(roster.take_silent(later), []);
        assert_eq!(heard(&roster, GATEWAY, later), Noted::AfterSilence);
        assert_eq!(heard(&roster, GATEWAY, later), Noted::Known);
    }

    #[test]
    fn made_up_names_take_bounded_memory() {
        let (roster, now) = (Roster::default(), Instant::now());
        let crowd = (0..1000).filter(|n| heard(&roster, GatewayEui(*n), now) == Noted::Crowd);
        assert_eq!(crowd.count(), 1000 - MAX_CONCENTRATORS);
        assert_eq!(heard(&roster, GatewayEui(0), now), Noted::Known);
        assert!(roster.list().is_sorted_by_key(|seen| seen.gateway));
    }

    #[test]
    fn a_concentrator_that_refuses_is_told_once_until_it_takes_again() {
        let roster = Roster::default();
        heard(&roster, GATEWAY, Instant::now());
        let judge = |times, result| -> Vec<Change> {
            (0..times).filter_map(|_| roster.judge(GATEWAY, result)).collect()
        };
        assert_eq!(judge(2, Err(TxError::TooLate)), [], "a coincidence");
        assert_eq!(judge(1, Ok(())), []);
        assert_eq!(judge(2, Err(TxError::TooLate)), []);
        assert_eq!(judge(9, Err(TxError::Impossible)), [Change::Refuses(TxError::Impossible)]);
        assert_eq!(judge(9, Ok(())), [], "not yet to be trusted");
        assert_eq!(judge(5, Err(TxError::TooLate)), [], "told already");
        assert_eq!(judge(20, Ok(())), [Change::Takes]);
        let seen = roster.list().remove(0);
        assert_eq!(seen.taken, 30);
        assert_eq!(seen.refused, [(TxError::TooLate, 9), (TxError::Impossible, 9)].into());
    }
}
