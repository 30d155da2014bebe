//! Frames of any kind into the edge server: it never panics, and what it answers is a frame.
//!
//! Each input is a list of frames, one byte of length before each. With the highest bit of that
//! byte set, the rest of the frame is taken for FOpts and payload of an authentic device, so that
//! what stands behind the MIC is reached.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lykta::device::{Abp, Activation, Device, Otaa, Profile, Registry};
use lykta::lorawan::frame::{Direction, Frame, Outgoing};
use lykta::lorawan::{Channels, EdgeServer, Memory, Plan, Received};
use lykta::units::{AesKey, Db, DevAddr, DevEui, Hertz, JoinEui, LoRa};
use std::sync::Arc;

const KEY: AesKey = AesKey([7; 16]);
const ADDRESS: DevAddr = DevAddr(0x260b_1739);

fn server() -> EdgeServer {
    let text = include_str!("../../../config/profiles/sensoneo-single.toml");
    let profile: Arc<Profile> = Arc::new(toml_edit::de::from_str(text).expect("a profile"));
    let device = |number, activation| Device {
        dev_eui: DevEui(number),
        name: String::new(),
        tenant: "waste".parse().expect("a tenant"),
        profile: Arc::clone(&profile),
        activation,
        bin: None,
        resident: None,
        sensor: None,
    };
    let abp = Abp { dev_addr: ADDRESS, nwk_s_key: KEY, app_s_key: KEY };
    let otaa = Otaa { join_eui: JoinEui(1), app_key: KEY };
    let registry =
        Registry::new([device(1, Activation::Abp(abp)), device(2, Activation::Otaa(otaa))]);
    let channels = Channels::Only(vec![(Hertz(868_100_000), 9)]);
    EdgeServer::new(
        &registry,
        Plan { channels, rx1_delay: 1, rx2_data_rate: 0 },
        Memory::default(),
    )
}

fuzz_target!(|input: &[u8]| {
    let mut server = server();
    let (mut rest, mut f_cnt) = (input, 0);
    while let Some((&len, tail)) = rest.split_first() {
        let (frame, tail) = tail.split_at((len & 0x7f).min(tail.len() as u8).into());
        rest = tail;
        let phy = if len & 0x80 == 0 {
            frame.to_vec()
        } else {
            f_cnt += 1;
            let (f_opts, payload) = frame.split_at(frame.len().min(15));
            Outgoing {
                direction: Direction::Up,
                confirmed: len & 1 == 1,
                dev_addr: ADDRESS,
                f_ctrl: len << 1,
                f_cnt,
                f_opts,
                payload: payload.split_first().map(|(port, bytes)| (*port, bytes)),
            }
            .encode(&KEY, &KEY)
        };
        let received = Received {
            phy: &phy,
            at: jiff::Timestamp::UNIX_EPOCH,
            age: std::time::Duration::ZERO,
            synced: true,
            frequency: Hertz(868_100_000),
            modulation: LoRa { spreading_factor: 9, bandwidth: Hertz(125_000) },
            snr: Db(0.0),
            receivers: 1,
        };
        if let Ok(accepted) = server.uplink(&received)
            && let Some(answer) = accepted.answer
        {
            assert!(Frame::parse(&answer.phy).is_ok() && !answer.windows.is_empty());
        }
    }
});
