use super::*;
use crate::clock::ClockQuality;
use crate::radio::TxError;
use crate::units::{Db, Hertz, LoRa};
use jiff::Timestamp;
use proptest::prelude::*;

const A: GatewayEui = GatewayEui(0xa);
const B: GatewayEui = GatewayEui(0xb);
const RX1: Hertz = Hertz(868_100_000);
const RX2: Hertz = Hertz(869_525_000);

fn lora(spreading_factor: u8) -> LoRa {
    LoRa { spreading_factor, bandwidth: Hertz(125_000) }
}

fn answer(sf: u8, len: usize) -> Answer {
    let window = |rx, delay, frequency, sf| Window {
        rx,
        delay: Duration::from_secs(delay),
        frequency,
        modulation: lora(sf),
    };
    Answer {
        phy: vec![0x60; len],
        windows: vec![window(RxWindow::Rx1, 1, RX1, sf), window(RxWindow::Rx2, 2, RX2, 12)],
    }
}

fn heard_by(gateways: &[GatewayEui], tmst: u32) -> Vec<Reception> {
    let reception = |gateway: &GatewayEui| Reception {
        gateway: *gateway,
        gateway_time: None,
        tmst: tmst.wrapping_add(gateway.0 as u32),
        rssi: Dbm(-90.0),
        snr: Db(5.0),
        channel: 0,
        rf_chain: 0,
    };
    gateways.iter().map(reception).collect()
}

fn at(ms: u64) -> Moment {
    let monotonic = Duration::from_millis(ms);
    let wall = Timestamp::from_second(1_700_000_000).expect("in range") + monotonic;
    Moment { wall, quality: ClockQuality::Synced, monotonic }
}

fn schedule() -> Schedule<u32> {
    Schedule::new(Dbm(20.0))
}

/// Answers an uplink that ended at this time, 100 ms later.
fn ask(schedule: &mut Schedule<u32>, gateways: &[GatewayEui], ended: u64) -> Outcome<u32> {
    let receptions = heard_by(gateways, 1000);
    schedule.answer(answer(9, 17), &receptions, at(ended).monotonic, 7, at(ended + 100))
}

fn order(outcome: Outcome<u32>) -> Order {
    match outcome {
        Outcome::Transmit(order) => order,
        other => panic!("nothing to transmit: {other:?}"),
    }
}

fn report(order: &Order, result: Result<(), TxError>) -> Report {
    Report { id: order.transmission.id, gateway: order.transmission.gateway, result }
}

/// Where a transmission goes: gateway, frequency, counter.
fn place(order: &Order) -> (GatewayEui, Hertz, u32) {
    (order.transmission.gateway, order.transmission.frequency, order.transmission.tmst)
}

#[test]
fn the_best_receiver_answers_in_the_first_window() {
    let mut schedule = schedule();
    let first = order(ask(&mut schedule, &[A, B], 10_000));
    assert_eq!(place(&first), (A, RX1, 1_001_010));
    assert_eq!(first.transmission.power, Dbm(14.0), "the band's, which is less than the setting");
    assert_eq!(first.airtime.record.start, at(11_000).wall);
    assert_eq!(first.airtime.record.airtime, time_on_air(lora(9), 17, false));
    let step = schedule.report(&report(&first, Ok(())), at(10_200)).expect("is waited for");
    let sent = Outcome::Sent { tag: 7, window: RxWindow::Rx1, order: first.clone() };
    assert_eq!(step, Step { unused: None, outcome: sent });
    assert_eq!(schedule.report(&report(&first, Ok(())), at(10_200)), None, "told once");
    assert_eq!(schedule.counts(), Counts { rx1: 1, ..Counts::default() });
}

#[test]
fn each_refusal_moves_on_until_the_choices_are_used_up() {
    let mut schedule = schedule();
    let mut order = order(ask(&mut schedule, &[A, B], 10_000));
    let mut places = vec![place(&order)];
    let failed = loop {
        let refused = report(&order, Err(TxError::Collision));
        let step = schedule.report(&refused, at(10_200)).expect("is waited for");
        assert_eq!(step.unused, Some(order.airtime), "it may be taken off the disk");
        match step.outcome {
            Outcome::Transmit(next) => order = next,
            other => break other,
        }
        places.push(place(&order));
    };
    let expected =
        [(A, RX1, 1_001_010), (B, RX1, 1_001_011), (A, RX2, 2_001_010), (B, RX2, 2_001_011)];
    assert_eq!(places, expected);
    assert_eq!(order.transmission.power, Dbm(20.0), "the setting, which is less than the band's");
    let reason = Failure::Gateway(TxError::Collision);
    assert_eq!(failed, Outcome::Failed { tag: 7, reason });
    assert_eq!(schedule.counts(), Counts { errors: 4, failed: 1, ..Counts::default() });
    assert!(schedule.export(at(12_000)).is_empty(), "nothing was sent, nothing is counted");
}

#[test]
fn a_refusal_that_comes_late_leaves_the_second_window() {
    let mut schedule = schedule();
    let first = order(ask(&mut schedule, &[A, B], 10_000));
    let late = report(&first, Err(TxError::TooLate));
    let second = schedule.report(&late, at(10_941)).expect("is waited for");
    assert_eq!(place(&order(second.outcome)), (A, RX2, 2_001_010));
    assert_eq!(schedule.counts().late, 1, "B in RX1, 59 ms ahead");
}

#[test]
fn a_choice_needs_its_lead_and_not_more() {
    let ended = at(10_000).monotonic;
    for (now, window) in
        [(10_940, Some(RX1)), (10_941, Some(RX2)), (11_940, Some(RX2)), (11_941, None)]
    {
        let outcome = schedule().answer(answer(9, 17), &heard_by(&[A], 0), ended, 1, at(now));
        match (window, outcome) {
            (Some(frequency), Outcome::Transmit(o)) => {
                assert_eq!(o.transmission.frequency, frequency);
            }
            (None, Outcome::Failed { reason, .. }) => assert_eq!(reason, Failure::TooLate),
            (_, other) => panic!("{now}: {other:?}"),
        }
    }
}

#[test]
fn an_uplink_that_nobody_received_is_not_answered() {
    let reason = Failure::NoReceiver;
    assert_eq!(ask(&mut schedule(), &[], 0), Outcome::Failed { tag: 7, reason });
}

#[test]
fn two_uplinks_at_once_are_answered_one_after_the_other() {
    let mut schedule = schedule();
    assert_eq!(place(&order(ask(&mut schedule, &[A], 10_000))).1, RX1);
    assert_eq!(place(&order(ask(&mut schedule, &[A], 10_050))).1, RX2, "half duplex");
    assert_eq!(place(&order(ask(&mut schedule, &[A, B], 10_060))).0, B);
    assert_eq!(schedule.counts().overlap, 2);
}

#[test]
fn a_used_up_duty_cycle_moves_to_the_second_window_and_is_told_once() {
    let mut schedule = schedule();
    let mut reached = Vec::new();
    let long = |schedule: &mut Schedule<u32>, n: u64| {
        let now = 10_000 * n;
        let ended = at(now).monotonic;
        let order = order(schedule.answer(answer(9, 59), &heard_by(&[A], 0), ended, 1, at(now)));
        schedule.report(&report(&order, Ok(())), at(now)).expect("is waited for");
        order.transmission.frequency
    };
    for n in 0..150 {
        long(&mut schedule, n);
        reached.extend(schedule.take_reached().map(|r| (r.gateway, r.band.name)));
    }
    let counts = schedule.counts();
    let airtime = time_on_air(lora(9), 59, false);
    assert_eq!(counts.rx1 as u128, 36_000 / airtime.as_millis());
    assert_eq!((counts.rx1 + counts.rx2, counts.duty_cycle), (150, counts.rx2));
    assert_eq!(reached, [(A, "868.0-868.6")]);
    // two hours later it is free again, and reaching it again is news
    assert_eq!(long(&mut schedule, 720), RX1);
    for n in 721..850 {
        long(&mut schedule, n);
    }
    assert!(schedule.take_reached().is_some());
}

#[test]
fn a_gateway_that_never_reports_keeps_its_airtime() {
    let mut schedule = schedule();
    let order = order(ask(&mut schedule, &[A], 10_000));
    let due = schedule.next_due().expect("a report is waited for");
    let end = at(11_000).monotonic + order.airtime.record.airtime;
    assert_eq!(due, end + REPORT_PATIENCE);
    assert_eq!(schedule.take_overdue(due - Duration::from_micros(1)), None);
    let reason = Failure::NoReport;
    assert_eq!(schedule.take_overdue(due), Some(Outcome::Failed { tag: 7, reason }));
    assert_eq!((schedule.take_overdue(due), schedule.next_due()), (None, None));
    assert_eq!(schedule.export(at(20_000)), [order.airtime], "it may have been sent");
    assert_eq!(schedule.report(&report(&order, Ok(())), at(20_000)), None, "too late to matter");
}

#[test]
fn a_report_of_somebody_else_changes_nothing() {
    let mut schedule = schedule();
    let order = order(ask(&mut schedule, &[A, B], 10_000));
    let forged = Report { gateway: B, ..report(&order, Err(TxError::NoWay)) };
    assert_eq!(schedule.report(&forged, at(10_200)), None);
    let unknown = Report { id: 99, ..report(&order, Ok(())) };
    assert_eq!(schedule.report(&unknown, at(10_200)), None);
    assert!(schedule.report(&report(&order, Ok(())), at(10_200)).is_some());
}

#[test]
fn what_was_sent_before_a_restart_counts_for_its_gateway() {
    let mut before = schedule();
    for n in 0..100 {
        let order = order(ask(&mut before, &[A], n * 5000));
        before.report(&report(&order, Ok(())), at(n * 5000 + 200));
    }
    let rows = before.export(at(500_000));
    assert_eq!(rows.len(), 100);
    let mut after = schedule();
    // the monotonic clock begins anew, the wall clock goes on
    let now = Moment { monotonic: Duration::from_secs(5), ..at(520_000) };
    after.import(rows.iter().copied(), now);
    assert_eq!(after.export(now), rows);
    // 100 answers are in the hour's 36 s
    let mut first_window = 0;
    for n in 0..130 {
        let now = Moment { monotonic: Duration::from_secs(6 + 5 * n), ..now };
        let outcome = after.answer(answer(9, 17), &heard_by(&[A], 0), now.monotonic, 1, now);
        first_window += u32::from(order(outcome).transmission.frequency == RX1);
    }
    let piece = time_on_air(lora(9), 17, false).as_micros() as u64;
    assert_eq!(u64::from(first_window), 36_000_000 / piece - 100);
}

#[test]
fn lost_books_make_every_gateway_careful_for_an_hour() {
    let mut schedule = schedule();
    schedule.assume_half_used(at(1000).monotonic);
    order(ask(&mut schedule, &[A], 2000));
    order(ask(&mut schedule, &[B], 2_000_000));
    for (gateway, ledger) in schedule.ledgers() {
        let share = ledger.usage(at(2_001_000).monotonic).map(|u| u.share()).fold(1.0, f64::min);
        assert!((0.5..0.6).contains(&share), "{gateway}: {share}");
        let later = ledger.usage(at(3_601_000).monotonic).map(|u| u.share()).fold(0.0, f64::max);
        assert!(later < 0.1, "{gateway}: {later}");
    }
}

#[test]
fn made_up_gateways_neither_grow_without_bound_nor_shut_out_for_ever() {
    let mut schedule = schedule();
    let mut failed = 0;
    for n in 0..1000u64 {
        match ask(&mut schedule, &[GatewayEui(1000 + n)], 10 * n) {
            Outcome::Transmit(order) => {
                schedule.report(&report(&order, Ok(())), at(10 * n + 200));
            }
            _ => failed += 1,
        }
    }
    assert_eq!((schedule.transmitters.len(), failed), (MAX_GATEWAYS, 1000 - MAX_GATEWAYS));
    order(ask(&mut schedule, &[A], 3_700_000));
    // answers that nobody reports on
    let receptions = heard_by(&[A], 0);
    for n in 0..1000 {
        let ended = at(4_000_000).monotonic + n * Duration::from_millis(400);
        schedule.answer(answer(7, 12), &receptions, ended, 1, at(4_000_000));
    }
    assert_eq!(schedule.pending.len(), MAX_PENDING);
    assert_eq!(schedule.counts().crowded, 2 * 872 + 1000 - 255);
}

#[derive(Debug, Clone)]
enum Event {
    Uplink { receivers: Vec<GatewayEui>, age: u64, sf: u8, len: usize, tmst: u32 },
    Report { which: usize, result: Result<(), TxError> },
    Wait(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let gateways = prop::sample::subsequence(vec![A, B, GatewayEui(0xc), GatewayEui(0xd)], 0..=4);
    let uplink = (gateways.prop_shuffle(), 0u64..2100, 7u8..=12, 12usize..=60, any::<u32>());
    let uplink = uplink.prop_map(|(receivers, age, sf, len, tmst)| Event::Uplink {
        receivers,
        age,
        sf,
        len,
        tmst,
    });
    let result = prop::sample::select(vec![Ok(()), Ok(()), Ok(()), Err(TxError::Collision)]);
    let report =
        (any::<usize>(), result).prop_map(|(which, result)| Event::Report { which, result });
    let wait = prop_oneof![0u64..2000, 0u64..200_000];
    prop::collection::vec(
        prop_oneof![4 => uplink, 4 => report, 2 => wait.prop_map(Event::Wait)],
        1..200,
    )
}

/// The law, for what each gateway sent or is about to send: (gateway, band, start, airtime).
fn within_the_law(sent: &[(GatewayEui, &'static str, Duration, Duration)]) -> bool {
    let hour = Duration::from_secs(3600);
    sent.iter().all(|&(gateway, name, start, airtime)| {
        let end = start + airtime;
        let begin = end.saturating_sub(hour);
        let band = crate::eu868::SUB_BANDS.iter().find(|b| b.name == name).expect("a band");
        let own = sent.iter().filter(|s| s.0 == gateway && s.1 == name);
        let on_air: Duration =
            own.map(|s| (s.2 + s.3).min(end).saturating_sub(s.2.max(begin))).sum();
        on_air <= hour * band.duty_permille / 1000
    })
}

proptest! {
    #[test]
    fn each_answer_has_one_outcome_is_on_the_air_once_and_keeps_the_law(events in events()) {
        let mut schedule = schedule();
        let (mut now, mut tags) = (10_000, 0u32);
        let mut answers: HashMap<u32, (Duration, u32, u8)> = HashMap::new();
        let mut underway: HashMap<u32, Order> = HashMap::new();
        let mut outcomes: HashMap<u32, u32> = HashMap::new();
        let mut on_air = Vec::new();
        for event in events {
            let mut taken = Vec::new();
            match event {
                Event::Wait(ms) => {
                    now += ms;
                    while let Some(outcome) = schedule.take_overdue(at(now).monotonic) {
                        let Outcome::Failed { tag, reason: Failure::NoReport } = outcome else {
                            panic!("{outcome:?}");
                        };
                        let order = underway.remove(&tag).expect("was underway");
                        on_air.push(order);
                        *outcomes.entry(tag).or_default() += 1;
                    }
                }
                Event::Uplink { receivers, age, sf, len, tmst } => {
                    tags += 1;
                    let ended = at(now - age).monotonic;
                    answers.insert(tags, (ended, tmst, sf));
                    let receptions = heard_by(&receivers, tmst);
                    taken.push((tags, schedule.answer(answer(sf, len), &receptions, ended, tags, at(now))));
                }
                Event::Report { which, result } if !underway.is_empty() => {
                    let mut waiting: Vec<_> = underway.keys().copied().collect();
                    waiting.sort_unstable();
                    let tag = waiting[which % waiting.len()];
                    let order = underway.remove(&tag).expect("is underway");
                    let step = schedule.report(&report(&order, result), at(now)).expect("is waited for");
                    prop_assert_eq!(step.unused, result.is_err().then_some(order.airtime));
                    if result.is_ok() {
                        on_air.push(order);
                    }
                    taken.push((tag, step.outcome));
                }
                Event::Report { .. } => {}
            }
            for (expected, outcome) in taken {
                match outcome {
                    Outcome::Transmit(order) => {
                        let (ended, tmst, sf) = answers[&expected];
                        let t = &order.transmission;
                        let (delay, spreading_factor) =
                            if t.frequency == RX1 { (1, sf) } else { (2, 12) };
                        prop_assert_eq!(t.modulation, lora(spreading_factor));
                        let base = tmst.wrapping_add(t.gateway.0 as u32);
                        prop_assert_eq!(t.tmst.wrapping_sub(base), delay * 1_000_000);
                        prop_assert!(ended + Duration::from_secs(delay.into()) >= at(now).monotonic + LEAD);
                        prop_assert!(underway.insert(expected, order).is_none(), "twice on the air");
                    }
                    Outcome::Sent { tag, .. } | Outcome::Failed { tag, .. } => {
                        prop_assert_eq!(tag, expected);
                        *outcomes.entry(tag).or_default() += 1;
                    }
                }
            }
            let sent: Vec<_> = on_air.iter().chain(underway.values()).map(|order| {
                let t = &order.transmission;
                let record = order.airtime.record;
                let start = record.start.duration_since(at(0).wall).unsigned_abs();
                let band = sub_band(t.frequency, t.modulation.bandwidth).expect("a band");
                (t.gateway, band.name, start, record.airtime)
            }).collect();
            prop_assert!(within_the_law(&sent));
        }
        while let Some(outcome) = schedule.take_overdue(at(now + 100_000_000).monotonic) {
            let Outcome::Failed { tag, .. } = outcome else { panic!("{outcome:?}") };
            underway.remove(&tag);
            *outcomes.entry(tag).or_default() += 1;
        }
        prop_assert!(underway.is_empty());
        prop_assert_eq!(outcomes.len(), tags as usize);
        prop_assert!(outcomes.values().all(|n| *n == 1), "{outcomes:?}");
        let counts = schedule.counts();
        prop_assert_eq!(counts.rx1 + counts.rx2 + counts.failed, u64::from(tags));
    }
}
