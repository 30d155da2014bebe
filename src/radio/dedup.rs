//! One frame on the air is one uplink, however many receivers heard it.

use super::Heard;
use crate::units::GatewayEui;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

/// How many receptions of one frame are passed on: the best ones.
const MAX_RECEPTIONS: usize = 16;

/// How many frames are held at most; beyond, the oldest waits no longer for its copies.
const MAX_HELD: usize = 1024;

/// Holds each frame for a short while, so that its copies by other concentrators join it.
///
/// With a single concentrator there is nothing to wait for, and nothing waits: the window
/// opens only once a second one has been heard. A copy that comes too late is told by its
/// frame counter, as any repetition is.
#[derive(Debug)]
pub struct Dedup {
    window: Duration,
    /// The first two concentrators: whether there are copies to wait for.
    known: HashSet<GatewayEui>,
    /// In the order of their arrival, so that the first is due first.
    held: VecDeque<Held>,
    copies: u64,
}

#[derive(Debug)]
struct Held {
    frame: Heard,
    due: Duration,
}

impl Dedup {
    /// With this window.
    pub fn new(window: Duration) -> Self {
        Self { window, known: HashSet::new(), held: VecDeque::new(), copies: 0 }
    }

    /// Takes a frame in, at this monotonic time.
    pub fn offer(&mut self, mut frame: Heard, now: Duration) {
        if self.known.len() < 2 {
            self.known.extend(frame.receptions.iter().map(|r| r.gateway));
        }
        if let Some(held) = self.held.iter_mut().find(|held| held.frame.phy == frame.phy) {
            self.copies += 1;
            let receptions = &mut held.frame.receptions;
            for reception in frame.receptions.drain(..) {
                // a concentrator may report one frame twice, on neighbouring channels
                match receptions.iter_mut().find(|r| r.gateway == reception.gateway) {
                    Some(known) if known.snr < reception.snr => *known = reception,
                    Some(_) => {}
                    None => receptions.push(reception),
                }
            }
            receptions.sort_by(|a, b| b.snr.0.total_cmp(&a.snr.0));
            receptions.truncate(MAX_RECEPTIONS);
            return;
        }
        let wait = if self.known.len() > 1 { self.window } else { Duration::ZERO };
        self.held.push_back(Held { frame, due: now + wait });
    }

    /// The next frame whose time to be joined is over.
    pub fn take_due(&mut self, now: Duration) -> Option<Heard> {
        let due = self.held.front()?.due <= now || self.held.len() > MAX_HELD;
        due.then(|| self.held.pop_front()).flatten().map(|held| held.frame)
    }

    /// When the next held frame is due.
    pub fn next_due(&self) -> Option<Duration> {
        self.held.front().map(|held| held.due)
    }

    /// Frames that joined another one so far.
    pub fn copies(&self) -> u64 {
        self.copies
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ClockQuality, Moment};
    use crate::radio::Reception;
    use crate::units::{Db, Dbm, Hertz, LoRa};
    use jiff::Timestamp;

    const WINDOW: Duration = Duration::from_millis(200);

    fn heard(phy: u8, gateway: u64, snr: f32) -> Heard {
        Heard {
            phy: vec![phy],
            at: Moment {
                wall: Timestamp::UNIX_EPOCH,
                quality: ClockQuality::Synced,
                monotonic: Duration::ZERO,
            },
            frequency: Hertz(868_100_000),
            modulation: LoRa { spreading_factor: 7, bandwidth: Hertz(125_000) },
            code_rate: "4/5".into(),
            receptions: vec![Reception {
                gateway: GatewayEui(gateway),
                gateway_time: None,
                tmst: 0,
                rssi: Dbm(-90.0),
                snr: Db(snr),
                channel: 0,
                rf_chain: 0,
            }],
        }
    }

    #[test]
    fn a_lone_concentrator_waits_for_nobody() {
        let mut dedup = Dedup::new(WINDOW);
        dedup.offer(heard(1, 1, 5.0), Duration::ZERO);
        assert!(dedup.take_due(Duration::ZERO).is_some());
        assert_eq!(dedup.next_due(), None);
    }

    #[test]
    fn copies_of_several_concentrators_join_best_first() {
        let mut dedup = Dedup::new(WINDOW);
        dedup.offer(heard(9, 1, 0.0), Duration::ZERO);
        dedup.offer(heard(9, 2, 0.0), Duration::ZERO);
        assert!(dedup.take_due(Duration::ZERO).is_some(), "the first was due at once");

        let t = Duration::from_secs(1);
        dedup.offer(heard(1, 1, -3.0), t);
        dedup.offer(heard(2, 1, 1.0), t + WINDOW / 4);
        dedup.offer(heard(1, 2, 7.0), t + WINDOW / 2);
        dedup.offer(heard(1, 2, 6.0), t + WINDOW / 2);
        assert_eq!(dedup.take_due(t + WINDOW / 2), None);
        assert_eq!(dedup.next_due(), Some(t + WINDOW));
        let joined = dedup.take_due(t + WINDOW).expect("due");
        let by: Vec<_> = joined.receptions.iter().map(|r| (r.gateway.0, r.snr.0)).collect();
        assert_eq!(by, [(2, 7.0), (1, -3.0)]);
        assert_eq!(dedup.take_due(t + WINDOW), None, "the other frame is not due yet");
        assert_eq!(dedup.copies(), 3);
    }
}
