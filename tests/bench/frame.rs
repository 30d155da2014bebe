//! What it costs to tell whose a frame is: `cargo bench --bench frame`.
//!
//! 5,000 devices share 50 addresses, far more than in any real network: the MIC of a frame is
//! tried with the keys of 100 devices, of which that whose counter is nearest comes first. It costs
//! most where the counters of all are alike, and where no key fits.
#![allow(clippy::unwrap_used, missing_docs)]

use jiff::Timestamp;
use lykta::device::{Abp, Activation, Device, Profile, Registry};
use lykta::lorawan::frame::{Direction, Outgoing};
use lykta::lorawan::{Channels, EdgeServer, Memory, Plan, Received, Refusal};
use lykta::units::{AesKey, Db, DevAddr, DevEui, Hertz, LoRa};
use std::sync::Arc;
use std::time::Instant;

const DEVICES: u32 = 5_000;

fn main() {
    println!("{:<58}{:>12}", "one frame among 5,000 devices", "ns/frame");
    let alone = Town::new(DEVICES, true);
    let (first, known) = alone.contacts();
    line("an address of its own, first contact", first);
    line("an address of its own, heard before", known);
    let shared = Town::new(50, true);
    let (first, known) = shared.contacts();
    line("50 addresses, first contact of all 5,000 in turn", first);
    line("50 addresses, all heard before", known);
    let alike = Town::new(50, false);
    line("50 addresses, all heard before, all counters alike", alike.contacts().1);
    line("50 addresses, all heard before, no key fits", shared.forged());
    line("an address that nobody has", shared.foreign());
}

fn line(name: &str, ns: f64) {
    println!("{name:<58}{ns:>12.0}");
}

struct Town {
    devices: Vec<Device>,
    /// Where each device's counter stands.
    f_cnt: Vec<u32>,
}

impl Town {
    fn new(addresses: u32, scattered: bool) -> Self {
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
        let f_cnt = |n: u32| if scattered { n.wrapping_mul(2_654_435_761) >> 16 } else { 0 };
        Self {
            devices: (0..DEVICES).map(device).collect(),
            f_cnt: (0..DEVICES).map(f_cnt).collect(),
        }
    }

    fn server(&self) -> EdgeServer {
        let plan = Plan { channels: Channels::All(None), rx1_delay: 1, rx2_data_rate: 0 };
        let registry = Registry::new(self.devices.iter().cloned());
        EdgeServer::new(&registry, plan, Memory::default())
    }

    /// Each device's frame so many counts on.
    fn frames(&self, on: u32) -> Vec<Vec<u8>> {
        let frame = |(device, f_cnt): (&Device, &u32)| {
            let Activation::Abp(Abp { dev_addr, nwk_s_key, app_s_key }) = &device.activation else {
                unreachable!("all devices here have fixed sessions")
            };
            Outgoing {
                direction: Direction::Up,
                confirmed: false,
                dev_addr: *dev_addr,
                f_ctrl: 0x80,
                f_cnt: f_cnt + on,
                f_opts: &[],
                payload: Some((2, &[0x5a; 17])),
            }
            .encode(nwk_s_key, app_s_key)
        };
        self.devices.iter().zip(&self.f_cnt).map(frame).collect()
    }

    /// Each device heard for the first time, and once more.
    fn contacts(&self) -> (f64, f64) {
        let mut server = self.server();
        let mut accept = |frame: &[u8]| assert!(server.uplink(&received(frame)).is_ok());
        let first = time(&self.frames(1), &mut accept);
        (first, time(&self.frames(2), &mut accept))
    }

    fn known(&self) -> EdgeServer {
        let mut server = self.server();
        for frame in self.frames(1) {
            server.uplink(&received(&frame)).unwrap();
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
            let refused = server.uplink(&received(frame)).unwrap_err();
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
            let refused = server.uplink(&received(frame)).unwrap_err();
            assert!(matches!(refused, Refusal::UnknownDevAddr(_)));
        })
    }
}

fn received(phy: &[u8]) -> Received<'_> {
    Received {
        phy,
        at: Timestamp::UNIX_EPOCH,
        age: std::time::Duration::ZERO,
        synced: false,
        frequency: Hertz(868_100_000),
        modulation: LoRa { spreading_factor: 9, bandwidth: Hertz(125_000) },
        snr: Db(0.0),
        receivers: 1,
    }
}

fn time(frames: &[Vec<u8>], mut take: impl FnMut(&[u8])) -> f64 {
    let begin = Instant::now();
    for frame in frames {
        take(frame);
    }
    begin.elapsed().as_nanos() as f64 / frames.len() as f64
}
