//! What is told of what only the owner of the devices knows, and what is not.

use lykta::clock::Clock;
use lykta::codec::builtin;
use lykta::config::TenantKind;
use lykta::device::{Abp, Activation, Device};
use lykta::ingest::Stopped;
use lykta::lorawan::capacity::Airtime;
use lykta::lorawan::statistics::{Observation, Statistics};
use lykta::ops::card::Card;
use lykta::ops::device::{DeviceStatus, DeviceSummary};
use lykta::ops::health::{Parts, View};
use lykta::ops::inquiry::{Answer, Ask, Inquiry, Question};
use lykta::ops::machine::Machine;
use lykta::ops::socket::{Reporter, SOCKET, serve};
use lykta::ops::status::CapacityStatus;
use lykta::radio::Outlet;
use lykta::units::{AesKey, Db, DevAddr, DevEui, Hertz, LoRa};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

const SF12: LoRa = LoRa { spreading_factor: 12, bandwidth: Hertz(125_000) };
const CHANNEL: Hertz = Hertz(868_100_000);

fn device(n: u64) -> Device {
    let profiles = builtin::profiles().unwrap();
    let profile = profiles.into_iter().find(|profile| profile.name == "sensoneo-single").unwrap();
    Device {
        dev_eui: DevEui(n),
        name: format!("bin {n}"),
        tenant: "t".parse().unwrap(),
        profile: Arc::new(profile),
        activation: Activation::Abp(Abp {
            dev_addr: DevAddr(1),
            nwk_s_key: AesKey([1; 16]),
            app_s_key: AesKey([2; 16]),
        }),
        bin: None,
        resident: None,
        sensor: None,
    }
}

/// Heard every ten minutes until this second; one frame in five is lost.
fn heard_until(second: i64) -> Statistics {
    let mut statistics = Statistics::default();
    for f_cnt in (0..300u32).filter(|n| n % 5 != 3) {
        let at = second - i64::from(299 - f_cnt) * 600;
        statistics.observe(&Observation {
            f_cnt,
            anew: false,
            at: jiff::Timestamp::from_second(at).unwrap(),
            snr: Db(-10.0),
            modulation: SF12,
            frequency: CHANNEL,
            len: 24,
        });
    }
    let said = jiff::Timestamp::from_second(second - 10).unwrap();
    statistics.observe_status(128, 9, said);
    statistics
}

fn json(status: &DeviceStatus) -> Value {
    serde_json::to_value(status).unwrap()
}

#[test]
fn of_a_home_neither_times_nor_counts_are_told() {
    let mut statistics = heard_until(1_700_000_123);
    let now = |seconds| jiff::Timestamp::from_second(1_700_000_123 + seconds).unwrap();
    let told = |statistics: &Statistics, at| {
        json(&DeviceStatus::new(&device(1), TenantKind::Care, Some(statistics), at))
    };
    let before = told(&statistics, now(60));
    let heard = before["heard"].as_object().unwrap();
    let known: Vec<_> =
        heard.iter().filter(|(_, v)| !v.is_null()).map(|(k, _)| k.as_str()).collect();
    assert_eq!(known, ["ever", "inTime", "overallRatio", "power", "recentRatio", "trend"]);
    assert_eq!(heard["recentRatio"], 0.79, "whole percents: {before}");
    assert_eq!(heard["power"]["at"], "2023-11-14T22:00:00Z", "the hour: {before}");
    assert_eq!(heard["power"]["heardUsDb"], Value::Null);
    // somebody goes through the door
    statistics.observe(&Observation {
        f_cnt: 300,
        anew: false,
        at: now(30),
        snr: Db(5.0),
        modulation: LoRa { spreading_factor: 7, ..SF12 },
        frequency: Hertz(868_300_000),
        len: 40,
    });
    assert_eq!(told(&statistics, now(60)), before);
    // silence is told, as a fault
    let heartbeat = device(1).profile.heartbeat.as_secs() as i64;
    assert_eq!(told(&statistics, now(31 + heartbeat))["heard"]["inTime"], false);
}

#[test]
fn of_a_bin_everything_is_told() {
    let statistics = heard_until(1_700_000_123);
    let now = jiff::Timestamp::from_second(1_700_000_183).unwrap();
    let told =
        DeviceStatus::new(&device(1), TenantKind::Waste, Some(&statistics), now).heard.unwrap();
    assert!(told.in_time && told.ever);
    assert_eq!((told.received, told.missed, told.absences), (Some(240), Some(60), Some(0)));
    assert_eq!(told.interval_s, Some(600));
    assert_eq!(told.margin_db, Some(10.0));
    assert_eq!(told.modulation.as_deref(), Some("SF12BW125"));
    assert_eq!(told.last_heard, statistics.last_heard());
    assert_eq!(told.power.unwrap().battery.unwrap().0, 0.5);
}

#[test]
fn devices_are_counted_only_where_somebody_keeps_count() {
    let now = jiff::Timestamp::from_second(1_700_000_000).unwrap();
    let of = |statistics: Option<&Statistics>| {
        DeviceStatus::new(&device(1), TenantKind::Waste, statistics, now)
    };
    let (fresh, stale) = (heard_until(1_700_000_000), heard_until(1_600_000_000));
    let known = [of(Some(&fresh)), of(Some(&stale)), of(Some(&Statistics::default()))];
    let counted = DeviceSummary::new(&known);
    assert_eq!(
        (counted.registered, counted.in_time, counted.silent, counted.never),
        (3, Some(1), Some(1), Some(1))
    );
    let unknown = DeviceSummary::new(&[of(Some(&fresh)), of(None)]);
    assert_eq!((unknown.registered, unknown.in_time), (2, None));
}

#[test]
fn the_air_is_told_with_advice() {
    let mut airtime = Airtime::new(Duration::ZERO);
    let hour = Duration::from_secs(3600);
    // 9 % of the hour
    let frame = lykta::eu868::time_on_air(SF12, 24, true);
    for _ in 0..(0.09 * hour.as_secs_f64() / frame.as_secs_f64()).round() as u32 {
        airtime.heard(CHANNEL, SF12, 24, hour - Duration::from_secs(1));
    }
    let fleet = [(DevEui(1), heard_until(1_700_000_000)), (DevEui(2), heard_until(1_700_000_001))];
    let devices = fleet.iter().map(|(dev_eui, statistics)| (*dev_eui, statistics));
    let told = CapacityStatus::new(&mut airtime, devices, hour - Duration::from_secs(1));
    assert_eq!(told.channels.len(), 1);
    assert!((told.channels[0].share.0 - 0.09).abs() < 0.001, "{told:?}");
    assert_eq!(told.in_phase[0].devices, [DevEui(1), DevEui(2)]);
    assert_eq!(told.in_phase[0].interval_s, 600);
    assert!(told.advice[0].starts_with("868.1 MHz SF12 is used 9 % of the time"), "{told:?}");
    assert!(told.advice[1].starts_with("2 sensors transmit at the same moment"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_does_not_answer_is_waited_for_two_seconds() {
    // it takes the question, and hangs
    let held: Arc<Mutex<Vec<Inquiry>>> = Arc::default();
    let hold = Arc::clone(&held);
    let hangs = Ask::new(move |inquiry| {
        hold.lock().unwrap().push(inquiry);
        true
    });
    let start = tokio::time::Instant::now();
    assert_eq!(hangs.ask(Question::Devices).await, None);
    assert_eq!(start.elapsed().as_secs(), 2);
    assert_eq!(held.lock().unwrap().len(), 1);
    // it has no room, or drops the question: nobody waits
    let start = tokio::time::Instant::now();
    assert_eq!(Ask::new(|_| false).ask(Question::Status).await, None);
    assert_eq!(Ask::new(|_| true).ask(Question::Status).await, None);
    assert!(start.elapsed().is_zero());
    let answers = Ask::new(|inquiry| inquiry.answer.send(Answer::Devices(Vec::new())).is_ok());
    assert_eq!(answers.ask(Question::Devices).await, Some(Answer::Devices(Vec::new())));
}

#[tokio::test]
async fn the_rest_is_told_when_the_owner_does_not_answer() {
    let directory = tempfile::tempdir().unwrap();
    let outlet = Outlet::new(|_| Ok(()));
    let view = View::new(Parts {
        clock: Clock::system(),
        air: Arc::default(),
        udp: Arc::default(),
        roster: Arc::default(),
        listens: false,
        outlet,
        stopped: Stopped::default(),
        machine: Machine::new(directory.path()),
        tenants: Vec::new(),
    });
    let reporter = Arc::new(Reporter {
        gateway: "gw-1".parse().unwrap(),
        view: Arc::new(view),
        card: Arc::new(Card::new(directory.path(), 1)),
        ask: Ask::new(|_| false),
        desk: Default::default(),
        board: Default::default(),
        patrols: Default::default(),
    });
    let server = serve(directory.path(), reporter);
    let ask = async |request: &[u8]| {
        let mut client = UnixStream::connect(directory.path().join(SOCKET)).await.unwrap();
        client.write_all(request).await.unwrap();
        let mut line = String::new();
        BufReader::new(client).read_line(&mut line).await.unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    let status = ask(b"status\n").await;
    assert_eq!(status["trouble"], "the ingest loop does not answer");
    assert_eq!((&status["gateway"], &status["devices"]), (&"gw-1".into(), &Value::Null));
    for request in [&b"devices\n"[..], b"device 70b3d50700000001\n"] {
        let answer = ask(request).await;
        assert_eq!(answer["trouble"], "the ingest loop does not answer");
        assert!(answer["devices"].is_null() && answer["device"].is_null());
    }
    // somebody removes its file
    tokio::time::pause();
    std::fs::remove_file(directory.path().join(SOCKET)).unwrap();
    tokio::time::sleep(Duration::from_secs(121)).await;
    tokio::time::resume();
    assert_eq!(ask(b"status\n").await["gateway"], "gw-1");
    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
    assert!(!directory.path().join(SOCKET).exists());
}
