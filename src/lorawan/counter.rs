//! The uplink frame counter of one device: 32 bits of which the air carries 16.

use crate::device::CounterPolicy;
use jiff::{SignedDuration, Timestamp};

/// Where the uplink counter of a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// The counter of the last accepted uplink.
    pub f_cnt_up: u32,
    /// The greatest counter ever accepted. After a counter reset, frames up to here may be
    /// recordings from before the reset.
    pub high_water: u32,
    /// When the counter was last allowed to start again.
    pub reset_at: Option<Timestamp>,
}

/// What a frame's counter means, given the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Advance {
    /// A new frame: the counter as it will be, and whether the frame could be a recording
    /// from before a counter reset.
    Next(Counter, bool),
    /// The last accepted frame once more.
    Again,
    /// A late copy of a frame that the last one has overtaken.
    Repeat,
    /// A frame of the past.
    Replay,
    /// The device starts again from zero, and did so too recently.
    ResetRefused,
}

/// How many times the low 16 bits may have rolled over unheard, for a device that has never
/// been heard (it may have run for years before it was registered here) and for a known one
/// (the gateway may have been without power for months). Each step costs one MIC.
const ROLLOVERS_AT_FIRST_CONTACT: u32 = 16;
const ROLLOVERS_UNHEARD: u32 = 4;

/// A frame at most this far behind the last one is a late copy of it (another concentrator's,
/// a retransmission overtaken by its successor), not the beginning of a new count.
const LATE_COPY: u32 = 16;

impl Counter {
    /// The full counter that a frame most likely has: the next one with these low bits.
    pub(super) fn likely(last: Option<&Self>, f_cnt: u16) -> u32 {
        let low = u32::from(f_cnt);
        let Some(last) = last else { return low };
        let same_rollover = last.f_cnt_up & 0xffff_0000 | low;
        if same_rollover > last.f_cnt_up {
            same_rollover
        } else {
            same_rollover.saturating_add(1 << 16)
        }
    }

    /// Finds the full counter of a frame and what it means; `None` when no counter that the
    /// device could be at makes the MIC match.
    ///
    /// `authentic` answers whether the frame's MIC matches with a given full counter. There
    /// is no greatest gap: a gateway may have been without power for weeks, and the MIC
    /// already proves the counter (MAX_FCNT_GAP is gone from LoRaWAN 1.0.4 as well).
    pub(super) fn advance(
        last: Option<&Self>,
        f_cnt: u16,
        policy: &CounterPolicy,
        now: Timestamp,
        authentic: impl Fn(u32) -> bool,
    ) -> Option<Advance> {
        let low = u32::from(f_cnt);
        let Some(last) = last else {
            let mut possible = (0..ROLLOVERS_AT_FIRST_CONTACT).map(|n| n << 16 | low);
            return possible.find(|c| authentic(*c)).map(|f_cnt_up| {
                let high_water = f_cnt_up;
                Advance::Next(Self { f_cnt_up, high_water, reset_at: None }, false)
            });
        };
        let same_rollover = last.f_cnt_up & 0xffff_0000 | low;
        let behind = same_rollover <= last.f_cnt_up;
        let ahead = (u32::from(behind)..=ROLLOVERS_UNHEARD)
            .filter_map(|n| same_rollover.checked_add(n << 16))
            .find(|c| authentic(*c));
        if let Some(f_cnt_up) = ahead {
            let high_water = last.high_water.max(f_cnt_up);
            let replayable = last.reset_at.is_some() && f_cnt_up <= last.high_water;
            let reset_at = last.reset_at;
            return Some(Advance::Next(Self { f_cnt_up, high_water, reset_at }, replayable));
        }
        // From here on the frame is not new. If the device may have started again, its upper
        // half is zero; while the old counter was below 65,536 a recording looks just the same.
        let past = [(same_rollover, behind), (low, low != same_rollover)]
            .into_iter()
            .find_map(|(c, untried)| (untried && authentic(c)).then_some(c))?;
        if last.f_cnt_up.checked_sub(past).is_some_and(|gap| gap <= LATE_COPY) {
            let again = past == last.f_cnt_up;
            return Some(if again { Advance::Again } else { Advance::Repeat });
        }
        if past != low || !policy.reset {
            return Some(Advance::Replay);
        }
        let interval = policy.reset_interval.try_into().unwrap_or(SignedDuration::MAX);
        // signed: a clock that is behind the last reset has not been set yet
        if last.reset_at.is_some_and(|at| now.duration_since(at) < interval) {
            return Some(Advance::ResetRefused);
        }
        Some(Advance::Next(Self { f_cnt_up: low, reset_at: Some(now), ..*last }, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn at(f_cnt_up: u32) -> Counter {
        Counter { f_cnt_up, high_water: f_cnt_up, reset_at: None }
    }

    /// A frame of a device whose true counter is `truth`, as the session sees it.
    fn hear(
        last: Option<&Counter>,
        truth: u32,
        policy: &CounterPolicy,
        now: Timestamp,
    ) -> Option<Advance> {
        Counter::advance(last, truth as u16, policy, now, |c| c == truth)
    }

    fn next(advance: Option<Advance>) -> Counter {
        flagged(advance).0
    }

    fn flagged(advance: Option<Advance>) -> (Counter, bool) {
        match advance {
            Some(Advance::Next(session, replayable)) => (session, replayable),
            other => panic!("not accepted: {other:?}"),
        }
    }

    #[test]
    fn the_counter_rolls_over_at_16_bits() {
        let strict = CounterPolicy::default();
        assert_eq!(next(hear(Some(&at(65_535)), 65_536, &strict, NOW)).f_cnt_up, 65_536);
        assert_eq!(next(hear(Some(&at(65_000)), 70_000, &strict, NOW)).f_cnt_up, 70_000);
        assert_eq!(hear(Some(&at(u32::MAX)), 3, &strict, NOW), Some(Advance::Replay));
    }

    #[test]
    fn a_device_that_ran_for_years_is_found_at_first_contact() {
        let strict = CounterPolicy::default();
        assert_eq!(next(hear(None, 700_000, &strict, NOW)).f_cnt_up, 700_000);
        assert_eq!(hear(None, 17 << 16, &strict, NOW), None);
    }

    #[test]
    fn the_past_is_refused_and_a_retransmission_is_told_from_it() {
        let strict = CounterPolicy::default();
        let session = next(hear(Some(&at(99)), 100, &strict, NOW));
        assert_eq!(hear(Some(&session), 100, &strict, NOW), Some(Advance::Again));
        assert_eq!(hear(Some(&session), 99, &strict, NOW), Some(Advance::Repeat), "overtaken");
        assert_eq!(hear(Some(&session), 50, &strict, NOW), Some(Advance::Replay));
        let far = next(hear(Some(&session), 70_000, &strict, NOW));
        assert_eq!(hear(Some(&far), 69_000, &strict, NOW), Some(Advance::Replay));
        assert_eq!(hear(Some(&far), 0, &strict, NOW), Some(Advance::Replay));
    }

    #[test]
    fn a_late_copy_is_no_reset() {
        let policy = CounterPolicy { reset: true, ..CounterPolicy::default() };
        let session = next(hear(Some(&at(99)), 101, &policy, NOW));
        assert_eq!(hear(Some(&session), 100, &policy, NOW), Some(Advance::Repeat));
        assert_eq!(hear(Some(&session), 85, &policy, NOW), Some(Advance::Repeat));
        assert!(matches!(hear(Some(&session), 84, &policy, NOW), Some(Advance::Next(_, true))));
    }

    #[test]
    fn a_reset_is_opt_in_bounded_in_frequency_and_flagged() {
        let policy = CounterPolicy { reset: true, ..CounterPolicy::default() };
        let session = at(5_000);
        let (reset, replayable) = flagged(hear(Some(&session), 0, &policy, NOW));
        assert!(replayable);
        let (later, replayable) = flagged(hear(Some(&reset), 40, &policy, NOW));
        assert!(replayable, "an old recording could follow the old reset");
        assert_eq!(hear(Some(&later), 0, &policy, NOW), Some(Advance::ResetRefused));
        let before = NOW - Duration::from_secs(50 * 365 * 24 * 3600);
        assert_eq!(
            hear(Some(&later), 0, &policy, before),
            Some(Advance::ResetRefused),
            "no clock yet"
        );
        let a_day_later = NOW + Duration::from_secs(24 * 3600);
        assert_eq!(next(hear(Some(&later), 0, &policy, a_day_later)).f_cnt_up, 0);
        let (_, replayable) = flagged(hear(Some(&later), 5_000, &policy, NOW));
        assert!(replayable, "the newest frame that can have been recorded");
        let (_, replayable) = flagged(hear(Some(&later), 5_001, &policy, NOW));
        assert!(!replayable, "nobody can have recorded a counter that was never sent");
    }

    proptest! {
        /// Whatever gaps there are, a device that counts up is always heard, and each frame once.
        #[test]
        fn a_counting_device_is_never_lost(start in 0u32..1_000_000, gaps in prop::collection::vec(1u32..200_000, 1..50)) {
            let strict = CounterPolicy::default();
            let mut truth = start;
            let mut session = next(hear(None, truth, &strict, NOW));
            for gap in gaps {
                truth += gap;
                let replayable;
                (session, replayable) = flagged(hear(Some(&session), truth, &strict, NOW));
                prop_assert_eq!(session.f_cnt_up, truth);
                prop_assert!(!replayable);
                prop_assert_eq!(hear(Some(&session), truth, &strict, NOW), Some(Advance::Again));
                prop_assert_eq!(Counter::likely(Some(&at(truth - 1)), truth as u16), truth);
            }
        }

        /// Without the opt-in no recorded frame is ever accepted.
        #[test]
        fn nothing_of_the_past_is_accepted(last: u32, truth: u32) {
            prop_assume!(truth <= last);
            let strict = CounterPolicy::default();
            let heard = hear(Some(&at(last)), truth, &strict, NOW);
            prop_assert!(!matches!(heard, Some(Advance::Next(..))), "{:?}", heard);
        }
    }
}
