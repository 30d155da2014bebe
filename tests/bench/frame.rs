//! What it costs to tell whose a frame is: `cargo bench --bench frame`.
//!
//! 5,000 devices share 50 addresses, far more than in any real network: the MIC of a frame is
//! tried with the keys of 100 devices, and with each counter that a device could be at.
#![allow(clippy::unwrap_used, missing_docs)]

use jiff::Timestamp;
use lykta::device::{Abp, Activation, Device, Profile, Registry};
use lykta::lorawan::frame::{Direction, Outgoing};
use lykta::lorawan::{EdgeServer, Refusal};
use lykta::units::{AesKey, DevAddr, DevEui};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

const DEVICES: u32 = 5_000;

fn main() {
    println!("{:<58}{:>12}", "one frame among 5,000 devices", "ns/frame");
    let alone = Town::new(DEVICES);
    let (first, known) = alone.contacts();
    line("an address of its own, first contact", first);
    line("an address of its own, heard before", known);
    let shared = Town::new(50);
    let (first, known) = shared.contacts();
    line("50 addresses, first contact of all 5,000 in turn", first);
    line("50 addresses, all heard before", known);
    line("50 addresses, all heard before, no key fits", shared.forged());
    line("an address that nobody has", shared.foreign());
}

fn line(name: &str, ns: f64) {
    println!("{name:<58}{ns:>12.0}");
}

struct Town {
    devices: Vec<Device>,
}

impl Town {
    fn new(addresses: u32) -> Self {
        let profile: Arc<Profile> = Arc::new(
            toml_edit::de::from_str(include_str!("../../config/profiles/sensoneo-single.toml"))
                .unwrap(),
        );
        let device = |n: u32| {
            let mut key = [7; 16];
            key[..4].copy_from_slice(&n.to_be_bytes());
            Device {
                dev_eui: DevEui(u64::from(n)),
                name: String::new(),
                tenant: "waste".parse().unwrap(),
                profile: Arc::clone(&profile),
                activation: Activation::Abp(Abp {
                    dev_addr: DevAddr(n % addresses),
                    nwk_s_key: AesKey(key),
                    app_s_key: AesKey(key),
                }),
                bin: None,
                resident: None,
                sensor: None,
            }
        };
        Self { devices: (0..DEVICES).map(device).collect() }
    }

    fn server(&self) -> EdgeServer {
        EdgeServer::new(Registry::new(self.devices.iter().cloned()), HashMap::new())
    }

    fn frames(&self, f_cnt: u32) -> Vec<Vec<u8>> {
        let frame = |device: &Device| {
            let Activation::Abp(Abp { dev_addr, nwk_s_key, app_s_key }) = &device.activation else {
                unreachable!("all devices here have fixed sessions")
            };
            Outgoing {
                direction: Direction::Up,
                confirmed: false,
                dev_addr: *dev_addr,
                f_ctrl: 0x80,
                f_cnt,
                f_opts: &[],
                payload: Some((2, &[0x5a; 17])),
            }
            .encode(nwk_s_key, app_s_key)
        };
        self.devices.iter().map(frame).collect()
    }

    /// Each device heard for the first time, and once more.
    fn contacts(&self) -> (f64, f64) {
        let mut server = self.server();
        let mut accept =
            |frame: &[u8]| assert!(server.uplink(frame, Timestamp::UNIX_EPOCH).is_ok());
        let first = time(&self.frames(1), &mut accept);
        (first, time(&self.frames(2), &mut accept))
    }

    fn known(&self) -> EdgeServer {
        let mut server = self.server();
        for frame in self.frames(1) {
            server.uplink(&frame, Timestamp::UNIX_EPOCH).unwrap();
        }
        server
    }

    fn forged(&self) -> f64 {
        let mut server = self.known();
        let mut frames = self.frames(2);
        for frame in &mut frames {
            *frame.last_mut().unwrap() ^= 1;
        }
        time(&frames, |frame| {
            let refused = server.uplink(frame, Timestamp::UNIX_EPOCH).unwrap_err();
            assert!(matches!(refused, Refusal::BadMic(_)));
        })
    }

    fn foreign(&self) -> f64 {
        let mut server = self.known();
        let mut frames = self.frames(2);
        for frame in &mut frames {
            frame[4] ^= 0xff;
        }
        time(&frames, |frame| {
            let refused = server.uplink(frame, Timestamp::UNIX_EPOCH).unwrap_err();
            assert!(matches!(refused, Refusal::UnknownDevAddr(_)));
        })
    }
}

fn time(frames: &[Vec<u8>], mut take: impl FnMut(&[u8])) -> f64 {
    let begin = Instant::now();
    for frame in frames {
        take(frame);
    }
    begin.elapsed().as_nanos() as f64 / frames.len() as f64
}
