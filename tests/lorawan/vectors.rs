//! Frames made by an implementation that is not ours (see make-vectors.mjs).

use lykta::lorawan::frame::{DataFrame, Direction, Frame, JoinAccept, MicKey, Outgoing};
use lykta::units::{AesKey, DevAddr, Hertz};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
    joins: Vec<Join>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Join {
    name: String,
    join_eui: String,
    dev_eui: String,
    app_key: String,
    dev_nonce: String,
    join_nonce: String,
    net_id: String,
    dev_addr: String,
    dl_settings: u8,
    rx_delay: u8,
    cf_list_hex: String,
    request_hex: String,
    accept_hex: String,
    nwk_s_key: String,
    app_s_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Vector {
    name: String,
    dev_addr: String,
    nwk_s_key: String,
    app_s_key: String,
    f_cnt: u32,
    f_port: Option<u8>,
    direction: String,
    confirmed: bool,
    adr: bool,
    adr_ack_req: bool,
    ack: bool,
    /// Says something only in a downlink; lykta sends it and has no use for it in what it hears.
    f_pending: bool,
    f_opts_hex: String,
    payload_hex: String,
    phy_hex: String,
    valid: bool,
    #[serde(default)]
    why: String,
}

impl Vector {
    fn key(hex: &str) -> AesKey {
        AesKey(hex::decode(hex).unwrap().try_into().unwrap())
    }

    fn nwk_s_key(&self) -> AesKey {
        Self::key(&self.nwk_s_key)
    }

    fn app_s_key(&self) -> AesKey {
        Self::key(&self.app_s_key)
    }

    fn dev_addr(&self) -> DevAddr {
        DevAddr(u32::from_str_radix(&self.dev_addr, 16).unwrap())
    }

    fn direction(&self) -> Direction {
        match self.direction.as_str() {
            "up" => Direction::Up,
            "down" => Direction::Down,
            other => panic!("{}: direction {other}", self.name),
        }
    }

    fn phy(&self) -> Vec<u8> {
        hex::decode(&self.phy_hex).unwrap()
    }

    fn authentic(&self, frame: &DataFrame<'_>) -> bool {
        frame.direction == self.direction()
            && frame.dev_addr == self.dev_addr()
            && frame.f_cnt == self.f_cnt as u16
            && frame.mic_matches(&MicKey::new(&self.nwk_s_key()), self.f_cnt)
    }
}

/// The vectors that are (not) to be accepted.
fn vectors(valid: bool) -> Vec<Vector> {
    let all: Vectors = serde_json::from_str(include_str!("vectors.json")).unwrap();
    let some: Vec<_> = all.vectors.into_iter().filter(|vector| vector.valid == valid).collect();
    assert!(some.len() >= 8, "there are vectors of both kinds");
    some
}

fn parse(phy: &[u8]) -> Option<DataFrame<'_>> {
    match Frame::parse(phy) {
        Ok(Frame::Data(data)) => Some(data),
        _ => None,
    }
}

#[test]
fn frames_are_read_verified_and_decrypted() {
    for vector in vectors(true) {
        let name = &vector.name;
        let phy = vector.phy();
        let frame = parse(&phy).unwrap_or_else(|| panic!("{name}: not read"));
        assert!(vector.authentic(&frame), "{name}: {frame:?}");
        assert_eq!(frame.confirmed, vector.confirmed, "{name}");
        assert_eq!(frame.adr, vector.adr, "{name}");
        assert_eq!(frame.ack, vector.ack, "{name}");
        if vector.direction() == Direction::Up {
            // the same bit is reserved in a downlink
            assert_eq!(frame.adr_ack_req, vector.adr_ack_req, "{name}");
        }
        assert_eq!(hex::encode(frame.f_opts), vector.f_opts_hex, "{name}");
        assert_eq!(frame.f_port, vector.f_port, "{name}");
        let clear = frame.decrypt(&vector.nwk_s_key(), &vector.app_s_key(), vector.f_cnt);
        assert_eq!(hex::encode(clear), vector.payload_hex, "{name}");
    }
}

#[test]
fn frames_are_made_byte_by_byte_the_same() {
    for vector in vectors(true) {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let payload = hex::decode(&vector.payload_hex).unwrap();
        let outgoing = Outgoing {
            direction: vector.direction(),
            confirmed: vector.confirmed,
            dev_addr: vector.dev_addr(),
            f_ctrl: bit(vector.adr, 0x80)
                | bit(vector.adr_ack_req, 0x40)
                | bit(vector.ack, 0x20)
                | bit(vector.f_pending, 0x10),
            f_cnt: vector.f_cnt,
            f_opts: &hex::decode(&vector.f_opts_hex).unwrap(),
            payload: vector.f_port.map(|port| (port, payload.as_slice())),
        };
        let phy = outgoing.encode(&vector.nwk_s_key(), &vector.app_s_key());
        assert_eq!(hex::encode(phy), vector.phy_hex, "{}", vector.name);
    }
}

#[test]
fn forged_frames_are_refused() {
    for vector in vectors(false) {
        let phy = vector.phy();
        let accepted = parse(&phy).is_some_and(|frame| vector.authentic(&frame));
        assert!(!accepted, "{}: {}", vector.name, vector.why);
    }
}

#[test]
fn no_bit_can_be_changed_and_no_byte_taken_away() {
    for vector in vectors(true) {
        let phy = vector.phy();
        let accepted = |phy: &[u8]| parse(phy).is_some_and(|frame| vector.authentic(&frame));
        assert!(accepted(&phy), "{}", vector.name);
        for bit in 0..8 * phy.len() {
            // the reserved bits of the MAC header are signed as well
            let mut changed = phy.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!accepted(&changed), "{}: bit {bit} of {}", vector.name, vector.phy_hex);
        }
        for len in 0..phy.len() {
            assert!(!accepted(&phy[..len]), "{}: {len} bytes of {}", vector.name, vector.phy_hex);
        }
    }
}

#[test]
fn another_rollover_of_the_counter_does_not_fit() {
    for vector in vectors(true) {
        let phy = vector.phy();
        let frame = parse(&phy).unwrap();
        for other in [vector.f_cnt.wrapping_add(0x1_0000), vector.f_cnt.wrapping_sub(0x1_0000)] {
            assert!(
                !frame.mic_matches(&MicKey::new(&vector.nwk_s_key()), other),
                "{}",
                vector.name
            );
        }
    }
}

#[test]
fn joins_are_read_and_answered_byte_by_byte_the_same() {
    let all: Vectors = serde_json::from_str(include_str!("vectors.json")).unwrap();
    assert!(all.joins.len() >= 3);
    for join in all.joins {
        let name = &join.name;
        let number = |hex: &str| u32::from_str_radix(hex, 16).unwrap();
        let app_key = Vector::key(&join.app_key);
        let request = hex::decode(&join.request_hex).unwrap();
        let Ok(Frame::JoinRequest(read)) = Frame::parse(&request) else { panic!("{name}") };
        assert_eq!(read.join_eui.to_string(), join.join_eui, "{name}");
        assert_eq!(read.dev_eui.to_string(), join.dev_eui, "{name}");
        let dev_nonce = number(&join.dev_nonce) as u16;
        assert_eq!(read.dev_nonce, dev_nonce, "{name}");
        assert!(read.mic_matches(&MicKey::new(&app_key)), "{name}");
        for bit in 0..8 * request.len() {
            let mut changed = request.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            if let Ok(Frame::JoinRequest(forged)) = Frame::parse(&changed) {
                assert!(!forged.mic_matches(&MicKey::new(&app_key)), "{name}: bit {bit}");
            }
        }

        let list = hex::decode(&join.cf_list_hex).unwrap();
        let channel = |i: usize| {
            let bytes = &list[3 * i..3 * i + 3];
            Hertz(100 * u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]))
        };
        let accept = JoinAccept {
            join_nonce: number(&join.join_nonce),
            net_id: number(&join.net_id),
            dev_addr: DevAddr(number(&join.dev_addr)),
            rx1_offset: join.dl_settings >> 4 & 7,
            rx2_data_rate: join.dl_settings & 0x0f,
            rx1_delay: join.rx_delay,
            cf_list: (!list.is_empty()).then(|| std::array::from_fn(channel)),
        };
        assert_eq!(hex::encode(accept.encode(&app_key)), join.accept_hex, "{name}");
        let (nwk_s_key, app_s_key) = accept.session_keys(&app_key, dev_nonce);
        assert_eq!(hex::encode(nwk_s_key.0), join.nwk_s_key, "{name}");
        assert_eq!(hex::encode(app_s_key.0), join.app_s_key, "{name}");
    }
}
