//! Real end devices on the emulated air, against the least that a gateway can be.

use crate::rig::assert_clean;
use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, KeyInit};
use cmac::{Cmac, Mac};
use lykta::emulation::{Activation, Air, Answer, EndDevice, Signal, Transmission};
use lykta::units::{AesKey, DevAddr, DevEui, JoinEui};
use std::time::Duration;

const APP_KEY: [u8; 16] = [0x2b; 16];
const NWK_S_KEY: [u8; 16] = [1; 16];

fn mic(key: [u8; 16], parts: &[&[u8]]) -> [u8; 4] {
    let mut mac = <Cmac<Aes128> as KeyInit>::new(&key.into());
    parts.iter().for_each(|part| mac.update(part));
    let tag = mac.finalize().into_bytes();
    [tag[0], tag[1], tag[2], tag[3]]
}

/// JoinAccept without CFList (LoRaWAN 1.0.3, section 6.2.5): the network *decrypts* it.
fn join_accept(dev_addr: u32) -> Vec<u8> {
    let mut block = [0u8; 16];
    block[..6].copy_from_slice(&[1, 2, 3, 0, 0, 0]); // AppNonce, NetID
    block[6..10].copy_from_slice(&dev_addr.to_le_bytes());
    block[10..12].copy_from_slice(&[0, 1]); // DLSettings, RxDelay
    let tag = mic(APP_KEY, &[&[0x20], &block[..12]]);
    block[12..].copy_from_slice(&tag);
    let mut block = block.into();
    Aes128::new(&APP_KEY.into()).decrypt_block(&mut block);
    [&[0x20][..], &block].concat()
}

/// An unconfirmed downlink that says ACK and nothing else (section 4.3, 4.4).
fn ack(dev_addr: u32, counter: u16) -> Vec<u8> {
    let ([a, b, c, d], [low, high]) = (dev_addr.to_le_bytes(), counter.to_le_bytes());
    let frame = [0x60, a, b, c, d, 0x20, low, high];
    let len = frame.len() as u8;
    let b0 = [0x49, 0, 0, 0, 0, 1, a, b, c, d, low, high, 0, 0, 0, len];
    [&frame[..], &mic(NWK_S_KEY, &[&b0, &frame])].concat()
}

/// Answers what it hears with what `answer` says: the frame and how long after the uplink's end,
/// on the uplink's channel.
fn gateway(
    air: &Air,
    mut answer: impl FnMut(&Transmission) -> Option<(Vec<u8>, Duration)> + Send + 'static,
) -> tokio::task::JoinHandle<()> {
    let station = air.station();
    let mut sniffer = air.sniffer();
    tokio::spawn(async move {
        loop {
            let sent = sniffer.next().await;
            if sent.station == station.id() {
                continue;
            }
            if let Some((frame, delay)) = answer(&sent) {
                let Signal { frequency, modulation, .. } = sent.signal;
                let signal = Signal::downlink(frequency, modulation);
                station.send_at(sent.end + delay, signal, &frame);
            }
        }
    })
}

fn otaa(n: u64) -> Activation {
    Activation::Otaa {
        dev_eui: DevEui(0x70b3_d57e_d000_0000 + n),
        join_eui: JoinEui(0x70b3_d57e_d001_0000),
        app_key: AesKey(APP_KEY),
    }
}

fn abp(dev_addr: u32) -> Activation {
    Activation::Abp {
        dev_addr: DevAddr(dev_addr),
        nwk_s_key: AesKey(NWK_S_KEY),
        app_s_key: AesKey([2; 16]),
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_joins_at_every_data_rate() {
    let air = Air::new();
    gateway(&air, |sent| {
        (sent.bytes[0] == 0x00).then(|| (join_accept(0x2601_1234), Duration::from_secs(5)))
    });
    for dr in 0..=5 {
        let mut device = EndDevice::new(&air, &otaa(1), 7 + u64::from(dr)).await.unwrap();
        device.set_data_rate(dr);
        assert!(device.join().await.unwrap(), "DR{dr}");
        assert_eq!(device.dev_addr(), Some(DevAddr(0x2601_1234)));
        let request = air.log_of(device.chip().station()).remove(0);
        assert_eq!(request.bytes.len(), 23);
        assert_eq!(request.bytes[9..17], 0x70b3_d57e_d000_0001u64.to_le_bytes());
        assert_eq!(Some(dr), lykta::eu868::index(request.signal.modulation));
        assert!(lykta::eu868::DEFAULT_CHANNELS.contains(&request.signal.frequency));

        assert_eq!(device.send(3, b"hello", false).await.unwrap(), Answer::Silence);
        let uplink = air.log_of(device.chip().station()).remove(1);
        assert_eq!(uplink.bytes[..5], [0x40, 0x34, 0x12, 0x01, 0x26]);
        assert_eq!((uplink.bytes.len(), uplink.bytes[8]), (13 + 5, 3));
    }
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn a_join_that_nobody_answers_fails_and_can_be_tried_again() {
    let air = Air::new();
    let mut device = EndDevice::new(&air, &otaa(1), 1).await.unwrap();
    assert!(!device.join().await.unwrap());
    assert!(device.send(1, b"no session", false).await.is_err());
    gateway(&air, |sent| (sent.bytes[0] == 0x00).then(|| (join_accept(1), Duration::from_secs(5))));
    assert_eq!(device.join_within(3).await.unwrap(), Some(1));
    let log = air.log_of(device.chip().station());
    assert_ne!(log[0].bytes[17..19], log[1].bytes[17..19], "a fresh DevNonce");
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_heard_if_it_comes_when_the_window_is_open() {
    // at SF7 the device listens from about 33 ms before to 25 ms after the due time: it wakes 50 ms
    // early, then calibrates and waits for its TCXO
    for (off_ms, heard) in [(-45i64, false), (-20, true), (0, true), (20, true), (35, false)] {
        let air = Air::new();
        let delay = Duration::from_millis((5000 + off_ms) as u64);
        gateway(&air, move |sent| (sent.bytes[0] == 0x00).then(|| (join_accept(1), delay)));
        let mut device = EndDevice::new(&air, &otaa(1), 1).await.unwrap();
        assert_eq!(device.join().await.unwrap(), heard, "{off_ms} ms off");
        assert_clean(&air);
    }
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_uplink_learns_whether_it_arrived() {
    let air = Air::new();
    let mut device = EndDevice::new(&air, &abp(0x2601_0001), 1).await.unwrap();
    assert!(device.join().await.unwrap());
    assert_eq!(device.send(1, b"alarm", true).await.unwrap(), Answer::NoAck);
    gateway(&air, |sent| {
        (sent.bytes[0] == 0x80).then(|| (ack(0x2601_0001, 1), Duration::from_secs(1)))
    });
    let answer = device.send(1, b"alarm", true).await.unwrap();
    assert_eq!(answer, Answer::Downlink { counter: 1, data: None });
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_devices_share_the_air() {
    let air = Air::new();
    gateway(&air, |sent| (sent.bytes[0] == 0x00).then(|| (join_accept(1), Duration::from_secs(5))));
    let mut devices = Vec::new();
    for n in 0..100 {
        devices.push(EndDevice::new(&air, &otaa(n), n).await.unwrap());
    }
    let joins = devices.into_iter().enumerate().map(|(n, mut device)| {
        tokio::spawn(async move {
            // a gap in which a request and its answer fit
            tokio::time::sleep(Duration::from_millis(500 * n as u64)).await;
            device.join_within(10).await.unwrap().is_some()
        })
    });
    for join in joins.collect::<Vec<_>>() {
        assert!(join.await.unwrap());
    }
    assert_clean(&air);
}
