//! What is to be sent, in order of time. Pure: all times are those of the radio's own clock.

use crate::eu868;
use crate::radio::{Transmission, TxError};
use std::time::Duration;

/// How many transmissions may wait. A radio on one channel answers a few devices at a time,
/// and knows of it seconds ahead; so many can only be a mistake.
const CAPACITY: usize = 16;

/// No answer is due later than 16 s after its uplink.
const MAX_AHEAD: Duration = Duration::from_secs(30);

/// What must lie between two transmissions: setting the chip up, and the start of its
/// oscillator.
const GAP: Duration = Duration::from_millis(30);

/// A transmission and its place in time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    pub(super) transmission: Transmission,
    /// When its first symbol shall leave.
    pub(super) at: Duration,
    pub(super) airtime: Duration,
}

/// The microsecond counter of a radio whose clock shows this. It wraps, as a concentrator's.
pub(super) fn tmst(time: Duration) -> u32 {
    time.as_micros() as u32
}

/// Transmissions that do not overlap, in order of time.
#[derive(Debug, Default)]
pub(super) struct Schedule(Vec<Planned>);

impl Schedule {
    /// Takes a transmission in, at `now`; `notice` is what the radio needs from now to the
    /// first symbol.
    ///
    /// # Errors
    /// Why it cannot be sent at its time.
    pub(super) fn add(
        &mut self,
        transmission: Transmission,
        now: Duration,
        notice: Duration,
    ) -> Result<(), TxError> {
        let now_us = now.as_micros() as u64;
        // half of what the counter can tell lies ahead, and half has gone by
        let ahead = transmission.tmst.wrapping_sub(tmst(now)).cast_signed();
        let ahead =
            u64::try_from(ahead).map(Duration::from_micros).map_err(|_| TxError::TooLate)?;
        if ahead < notice {
            return Err(TxError::TooLate);
        }
        if ahead > MAX_AHEAD {
            return Err(TxError::TooEarly);
        }
        let at = Duration::from_micros(now_us) + ahead;
        let airtime = eu868::time_on_air(transmission.modulation, transmission.phy.len(), false);
        let end = at + airtime;
        let apart = |other: &Planned| at >= other.at + other.airtime + GAP || end + GAP <= other.at;
        if !self.0.iter().all(apart) {
            return Err(TxError::Collision);
        }
        if self.0.len() >= CAPACITY {
            return Err(TxError::Refused);
        }
        let index = self.0.partition_point(|other| other.at < at);
        self.0.insert(index, Planned { transmission, at, airtime });
        Ok(())
    }

    /// When the next one's first symbol shall leave.
    pub(super) fn next(&self) -> Option<Duration> {
        self.0.first().map(|planned| planned.at)
    }

    /// Takes the next one out.
    pub(super) fn take(&mut self) -> Option<Planned> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Dbm, GatewayEui, Hertz, LoRa};
    use proptest::prelude::*;

    fn transmission(tmst: u32, len: usize) -> Transmission {
        Transmission {
            id: u64::from(tmst),
            gateway: GatewayEui(1),
            tmst,
            frequency: Hertz(868_100_000),
            modulation: LoRa { spreading_factor: 9, bandwidth: Hertz(125_000) },
            power: Dbm(14.0),
            phy: vec![0; len],
        }
    }

    const NOTICE: Duration = Duration::from_millis(10);

    #[test]
    fn the_counter_may_wrap_before_the_answer_is_due() {
        let now = Duration::from_micros(u64::from(u32::MAX) - 300_000);
        let mut schedule = Schedule::default();
        schedule.add(transmission(699_999, 17), now, NOTICE).expect("a second ahead");
        assert_eq!(schedule.next(), Some(now + Duration::from_micros(1_000_000)));
    }

    #[test]
    fn what_is_past_or_far_away_is_refused() {
        let now = Duration::from_secs(100);
        let mut schedule = Schedule::default();
        let mut add = |tmst| schedule.add(transmission(tmst, 17), now, NOTICE);
        assert_eq!(add(99_999_999), Err(TxError::TooLate));
        assert_eq!(add(100_009_999), Err(TxError::TooLate));
        assert_eq!(add(100_010_000), Ok(()));
        assert_eq!(add(130_000_001), Err(TxError::TooEarly));
        assert_eq!(add(130_000_000), Ok(()));
    }

    proptest! {
        /// Whatever is asked for: what is planned never overlaps, is in order, and is bounded.
        #[test]
        fn planned_transmissions_never_overlap(
            start in 0u64..1 << 34,
            asked in proptest::collection::vec((any::<u32>(), 0u32..40_000_000, 1usize..255), 0..60),
        ) {
            let now = Duration::from_micros(start);
            let mut schedule = Schedule::default();
            for (wild, ahead, len) in asked {
                let near = tmst(now).wrapping_add(ahead);
                for at in [wild, near] {
                    let _ = schedule.add(transmission(at, len), now, NOTICE);
                }
            }
            prop_assert!(schedule.0.len() <= CAPACITY);
            let mut free = now + NOTICE;
            while let Some(planned) = schedule.take() {
                prop_assert!(planned.at >= free);
                prop_assert!(planned.at <= now + MAX_AHEAD);
                prop_assert_eq!(tmst(planned.at), planned.transmission.tmst);
                free = planned.at + planned.airtime + GAP;
            }
        }
    }
}
