use super::*;
use crate::eu868::{RX2_FREQUENCY, time_on_air};
use proptest::prelude::*;

/// In the sub-bands of 1 %, 0.1 % and 10 %.
const CHANNELS: [Hertz; 3] = [Hertz(868_100_000), Hertz(869_000_000), RX2_FREQUENCY];

fn lora(spreading_factor: u8) -> LoRa {
    LoRa { spreading_factor, bandwidth: Hertz(125_000) }
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Reserves this many seconds in the band of 1 %, 36 s an hour, without queueing ahead.
fn send(ledger: &mut Ledger, at: u64, airtime: u64) -> Result<Reservation, Refused> {
    ledger.reserve(secs(at), secs(at), CHANNELS[0], lora(9), secs(airtime))
}

fn moment(monotonic: u64, wall: i64, quality: ClockQuality) -> Moment {
    let wall = Timestamp::from_second(1_700_000_000 + wall).expect("in range");
    Moment { wall, quality, monotonic: secs(monotonic) }
}

/// Seconds used in the band of 1 %.
fn used(ledger: &Ledger, now: u64) -> u64 {
    ledger.usage(secs(now)).nth(2).expect("the band").airtime.as_secs()
}

#[test]
fn an_hour_is_filled_to_the_last_second_and_slides() {
    let mut ledger = Ledger::new();
    for i in 0..36 {
        send(&mut ledger, 100 * i, 1).expect("fits");
    }
    assert_eq!(used(&ledger, 3560), 36);
    // the first one ended at second 1, and an hour later it is gone
    let free_at = Some(secs(3601));
    assert_eq!(send(&mut ledger, 3590, 1), Err(Refused::DutyCycle { free_at }));
    assert_eq!(send(&mut ledger, 3600, 1), Err(Refused::DutyCycle { free_at }));
    send(&mut ledger, 3601, 1).expect("the hour has slid");
    // other sub-bands have budgets of their own
    ledger.reserve(secs(3605), secs(3605), RX2_FREQUENCY, lora(9), secs(300)).expect("10 %");
}

#[test]
fn what_fits_now_may_break_the_hour_of_what_is_queued() {
    let mut ledger = Ledger::new();
    send(&mut ledger, 0, 20).expect("fits");
    // queued for a time when the first is still within its hour
    ledger.reserve(secs(100), secs(3600), CHANNELS[0], lora(9), secs(10)).expect("fits");
    let refused = send(&mut ledger, 200, 7).expect_err("20 + 7 + 10 in one hour");
    assert_eq!(refused, Refused::DutyCycle { free_at: Some(secs(3620)) });
    send(&mut ledger, 200, 6).expect("fits");
}

#[test]
fn a_transmitter_sends_one_thing_at_a_time_in_all_bands() {
    let mut ledger = Ledger::new();
    let now = secs(0);
    let first = ledger.reserve(now, secs(10), CHANNELS[0], lora(9), secs(2)).expect("fits");
    for start in [9, 10, 11] {
        let other = ledger.reserve(now, secs(start), RX2_FREQUENCY, lora(9), secs(2));
        assert_eq!(other, Err(Refused::Overlap), "{start}");
    }
    ledger.reserve(now, secs(8), RX2_FREQUENCY, lora(9), secs(2)).expect("just before");
    ledger.reserve(now, secs(12), RX2_FREQUENCY, lora(9), secs(2)).expect("just after");
    ledger.release(first);
    ledger.reserve(now, secs(10), RX2_FREQUENCY, lora(9), secs(2)).expect("its place is free");
    assert_eq!(used(&ledger, 20), 0);
}

#[test]
fn no_band_and_no_hour_is_large_enough_for_everything() {
    let mut ledger = Ledger::new();
    let gap = ledger.reserve(secs(0), secs(1), Hertz(868_650_000), lora(9), secs(1));
    assert_eq!(gap, Err(Refused::NoBand));
    assert_eq!(send(&mut ledger, 0, 37), Err(Refused::DutyCycle { free_at: None }));
    assert!(ledger.is_idle(secs(0)), "a refusal leaves nothing behind");
}

#[test]
fn a_restart_forgets_nothing() {
    let mut ledger = Ledger::new();
    send(&mut ledger, 1000, 10).expect("fits");
    send(&mut ledger, 4000, 20).expect("fits");
    let records = ledger.export(moment(4100, 0, ClockQuality::Synced));
    let starts: Vec<_> = records.iter().map(|r| r.start.as_second() - 1_700_000_000).collect();
    assert_eq!(starts, [-3100, -100]);

    // ten minutes later, with a monotonic clock that began anew
    let mut again = Ledger::new();
    again.import(records, moment(5, 600, ClockQuality::Synced));
    assert_eq!(used(&again, 5), 20, "the first is older than an hour now");
    let free_at = Some(secs(5 + 3600 - 700 + 20));
    assert_eq!(send(&mut again, 6, 17), Err(Refused::DutyCycle { free_at }));
    send(&mut again, 5 + 3600 - 700 + 20, 17).expect("the hour has slid");
}

#[test]
fn a_clock_that_cannot_be_trusted_makes_nothing_older() {
    let mut ledger = Ledger::new();
    send(&mut ledger, 10, 10).expect("fits");
    let (synced, unsynced) = (ClockQuality::Synced, ClockQuality::Unsynced);
    let cases = [
        (synced, unsynced, 9000, 10), // we do not know what time it is
        (unsynced, synced, 9000, 10), // it did not know what time it was
        (synced, synced, -9000, 10),  // the record lies in the future
        (synced, synced, 9000, 0),    // long ago
        (ClockQuality::Estimated, synced, 9000, 0),
    ];
    for (then, now, later, counted) in cases {
        let records = ledger.export(moment(20, 0, then));
        let mut again = Ledger::new();
        again.import(records, moment(7, later, now));
        assert_eq!(used(&again, 7), counted, "{then:?} {now:?} {later}");
        assert_eq!(used(&again, 7 + 3599), counted, "counts for a whole hour");
        assert_eq!(used(&again, 7 + 3600), 0);
    }
}

#[test]
fn what_nobody_knows_counts_as_half_used() {
    let mut ledger = Ledger::new();
    ledger.assume_used(secs(50), 500);
    assert!(ledger.usage(secs(50)).all(|usage| usage.share() == 0.5));
    assert!(send(&mut ledger, 60, 19).is_err());
    send(&mut ledger, 60, 18).expect("the other half");
    assert_eq!(used(&ledger, 3650), 18);
}

#[test]
fn a_busy_hour_takes_bounded_memory_and_loses_no_airtime() {
    let mut ledger = Ledger::new();
    // 360 s an hour in pieces of 40 ms, so that 9000 of them are within the law
    let piece = Duration::from_millis(40);
    for i in 0..9000 {
        let at = piece * 2 * i;
        ledger.reserve(at, at, RX2_FREQUENCY, lora(7), piece).expect("fits");
        assert!(ledger.bands.iter().all(|entries| entries.len() <= MAX_ENTRIES + 1));
    }
    let at = secs(800);
    ledger.reserve(at, at, RX2_FREQUENCY, lora(7), piece).expect_err("the hour is full");
    let usage = ledger.usage(at).nth(4).expect("the band");
    assert_eq!((usage.airtime, usage.share()), (secs(360), 1.0));
}

/// A transmission as the independent checker knows it, in microseconds.
type Span = (u64, u64);

/// The law: the time on the air in the hour that ends here, part of a transmission being part.
fn on_air(spans: &[Span], end: u64) -> u64 {
    let begin = end.saturating_sub(3_600_000_000);
    spans.iter().map(|&(from, to)| to.min(end).saturating_sub(from.max(begin))).sum()
}

/// The ledger's own stricter rule: a transmission counts as a whole in each hour it touches.
fn touching(spans: &[Span], end: u64) -> u64 {
    let touches = |&&(from, to): &&Span| from <= end && to + 3_600_000_000 > end;
    spans.iter().filter(touches).map(|(from, to)| to - from).sum()
}

#[derive(Debug, Clone)]
struct Step {
    wait: u64,
    ahead: u64,
    channel: usize,
    sf: u8,
    len: usize,
    sent: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        prop_oneof![0u64..1_000_000, 0u64..900_000_000],
        prop_oneof![0u64..10_000_000, 0u64..100_000_000],
        0..CHANNELS.len(),
        prop_oneof![Just(12u8), 7u8..=12],
        prop_oneof![Just(51usize), 0usize..=255],
        prop::bool::weighted(0.85),
    );
    let step = step.prop_map(|(wait, ahead, channel, sf, len, sent)| Step {
        wait,
        ahead,
        channel,
        sf,
        len,
        sent,
    });
    prop::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn no_hour_exceeds_the_law_and_nothing_that_fits_is_refused(steps in steps()) {
        let mut ledger = Ledger::new();
        let mut accepted: [Vec<Span>; 3] = Default::default();
        let budgets = [36_000_000, 3_600_000, 360_000_000];
        let mut now = 0;
        for Step { wait, ahead, channel, sf, len, sent } in steps {
            now += wait;
            let airtime = time_on_air(lora(sf), len, false);
            let start = now + ahead;
            let span = (start, start + airtime.as_micros() as u64);
            let outcome = ledger.reserve(
                Duration::from_micros(now), Duration::from_micros(start), CHANNELS[channel],
                lora(sf), airtime,
            );
            let overlaps = |other: &Span| other.0 < span.1 && span.0 < other.1;
            let busy = accepted.iter().flatten().any(overlaps);
            let mut with = accepted[channel].clone();
            with.push(span);
            let ends = with.iter().flat_map(|&(from, to)| [from, to, from + 3_600_000_000 - 1]);
            let too_much = ends.clone()
                .any(|end| touching(&with, end) > budgets[channel] && touching(&[span], end) > 0);
            match outcome {
                Ok(reservation) => {
                    prop_assert!(!busy);
                    for end in ends {
                        prop_assert!(on_air(&with, end) <= budgets[channel]);
                        prop_assert!(on_air(&with, end + 3_600_000_000) <= budgets[channel]);
                    }
                    if sent {
                        accepted[channel] = with;
                    } else {
                        ledger.release(reservation);
                    }
                }
                Err(Refused::Overlap) => prop_assert!(busy),
                Err(Refused::DutyCycle { free_at }) => {
                    prop_assert!(too_much, "it would have fitted");
                    prop_assert_eq!(free_at.is_none(), touching(&[span], span.0) > budgets[channel]);
                    if let Some(free_at) = free_at {
                        // it holds what it promises
                        let mut later = ledger.clone();
                        let at = free_at.max(later.last_end());
                        let retry = later.reserve(at, at, CHANNELS[channel], lora(sf), airtime);
                        prop_assert!(retry.is_ok(), "{retry:?}");
                    }
                }
                Err(Refused::NoBand) => prop_assert!(false, "every channel has a band"),
            }
        }
    }

    #[test]
    fn a_restart_never_allows_more(
        sent in prop::collection::vec((0u64..7200, 1u64..10), 0..40), downtime in 0u64..5000,
    ) {
        let mut ledger = Ledger::new();
        let mut at = 0;
        for (wait, airtime) in sent {
            at += wait / 20;
            let _ = send(&mut ledger, at, airtime);
            at += airtime;
        }
        let records = ledger.export(moment(at, 0, ClockQuality::Synced));
        let mut again = Ledger::new();
        again.import(records, moment(3, downtime as i64, ClockQuality::Synced));
        for later in [0, 1, 100, 1000, 3599, 3600] {
            prop_assert_eq!(used(&again, 3 + later), used(&ledger, at + downtime + later));
        }
    }

    #[test]
    fn any_record_can_be_imported(
        second in -9_000_000_000i64..9_000_000_000, micros: u64, hertz: u32, now: u64,
    ) {
        let start = Timestamp::from_second(second).unwrap_or(Timestamp::MIN);
        let airtime = Duration::from_micros(micros);
        let record = Record { start, clock: ClockQuality::Synced, airtime, frequency: Hertz(hertz) };
        let mut ledger = Ledger::new();
        let now = Moment {
            monotonic: Duration::from_micros(now), ..moment(0, 0, ClockQuality::Synced)
        };
        ledger.import([record, Record { frequency: Hertz(868_100_000), ..record }], now);
        let _ = ledger.reserve(now.monotonic, now.monotonic, CHANNELS[0], lora(7), secs(1));
        let _ = ledger.export(now);
    }
}

impl Ledger {
    fn last_end(&self) -> Duration {
        let last = self.bands.iter().flatten().map(|entry| entry.end).max().unwrap_or(0);
        Duration::from_micros(last.max(0) as u64)
    }
}
