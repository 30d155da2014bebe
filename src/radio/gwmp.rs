//! The Semtech UDP protocol (GWMP), versions 1 and 2: bytes ↔ what they say.
//!
//! Source: Semtech's packet forwarder, PROTOCOL.TXT. It has neither authentication nor
//! retransmission, and forwarders differ in what they write, so each packet of a datagram is
//! parsed alone: one that is odd costs no other.

mod downlink;
mod stat;

pub use downlink::{PullResp, TxAck, parse_pull_resp, pull_resp, tx_ack};
pub use stat::Stat;

use crate::units::{Db, Dbm, GatewayEui, Hertz, LoRa};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Forwarders write base64 with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// No signal strength or ratio is as great as this, in either direction.
const MAX_DECIBELS: f32 = 1000.0;

/// Largest packet that a LoRa radio can receive.
const MAX_PHY: usize = 255;

const PUSH_DATA: u8 = 0;
const PUSH_ACK: u8 = 1;
const PULL_DATA: u8 = 2;
const PULL_RESP: u8 = 3;
const PULL_ACK: u8 = 4;
const TX_ACK: u8 = 5;

/// One datagram from a concentrator.
#[derive(Debug, Clone, PartialEq)]
pub struct Datagram {
    /// The version of the protocol that it is in.
    pub version: u8,
    /// Who sent it, by its own word.
    pub gateway: GatewayEui,
    /// The four bytes that acknowledge it.
    pub ack: Option<[u8; 4]>,
    /// What it carries.
    pub content: Content,
}

/// What a datagram carries.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// What a concentrator heard, and how it is.
    Push {
        /// Received packets, in the order of the datagram.
        packets: Vec<Result<Packet, PacketError>>,
        /// The forwarder's own statistics, now and then.
        stat: Option<Stat>,
    },
    /// A sign of life that keeps the way back open.
    Pull,
    /// What became of a transmission.
    TxAck(TxAck),
}

/// A datagram that is not of this protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// Shorter than the protocol's header.
    #[error("{0} bytes are no datagram of the Semtech UDP protocol")]
    Short(usize),
    /// A protocol version other than 1 and 2.
    #[error("protocol version {0}, known are 1 and 2")]
    Version(u8),
    /// A message type that a concentrator does not send.
    #[error("message type {0}")]
    Type(u8),
    /// The body is no JSON object as this message type has it.
    #[error("the body is not JSON as the protocol has it")]
    Json,
}

/// A LoRa packet whose CRC was good.
#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    /// The PHYPayload.
    pub phy: Vec<u8>,
    /// The concentrator's microsecond counter at the end of the reception.
    pub tmst: u32,
    /// The concentrator's wall clock, if it has one.
    pub time: Option<Timestamp>,
    /// The channel's centre.
    pub frequency: Hertz,
    /// How it was modulated.
    pub modulation: LoRa,
    /// The coding rate, `4/5`.
    pub code_rate: String,
    /// Received power, of the best antenna.
    pub rssi: Dbm,
    /// Signal-to-noise ratio, of the same antenna.
    pub snr: Db,
    /// Which of the concentrator's channels.
    pub channel: u32,
    /// Which of its radios.
    pub rf_chain: u32,
}

/// Why one packet of a datagram is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Frequency-shift keying: not LoRa.
    #[error("FSK")]
    Fsk,
    /// The radio's checksum failed.
    #[error("bad CRC")]
    BadCrc,
    /// Sent without a checksum; no LoRaWAN device does that.
    #[error("no CRC")]
    NoCrc,
    /// A field is missing or is not what the protocol says.
    #[error("malformed rxpk")]
    Malformed,
}

/// Parses a datagram.
///
/// # Errors
/// When it is not of this protocol. What is wrong with a single packet stands in its place.
pub fn parse(bytes: &[u8]) -> Result<Datagram, DatagramError> {
    let short = DatagramError::Short(bytes.len());
    let (&[version, token_high, token_low, kind], rest) =
        bytes.split_first_chunk::<4>().ok_or(short.clone())?;
    if !matches!(version, 1 | 2) {
        return Err(DatagramError::Version(version));
    }
    let (eui, body) = rest.split_first_chunk::<8>().ok_or(short)?;
    let ack = |answer| Some([version, token_high, token_low, answer]);
    let (ack, content) = match kind {
        PUSH_DATA => (ack(PUSH_ACK), push(body)?),
        PULL_DATA => (ack(PULL_ACK), Content::Pull),
        TX_ACK => {
            let token = u16::from_be_bytes([token_high, token_low]);
            let result = downlink::verdict(body).ok_or(DatagramError::Json)?;
            (None, Content::TxAck(TxAck { token, result }))
        }
        other => return Err(DatagramError::Type(other)),
    };
    Ok(Datagram { version, gateway: GatewayEui(u64::from_be_bytes(*eui)), ack, content })
}

#[derive(Deserialize)]
struct Push<'a> {
    /// Absent, or null, when there is only the forwarder's own statistics.
    #[serde(borrow, default)]
    rxpk: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    stat: Option<&'a RawValue>,
}

/// A packet's fields as forwarders write them. Unknown ones are of no concern here.
#[derive(Deserialize)]
struct Rxpk {
    time: Option<String>,
    #[serde(default)]
    tmst: u32,
    freq: f64,
    #[serde(default)]
    chan: u32,
    #[serde(default)]
    rfch: u32,
    stat: Option<i8>,
    modu: String,
    #[serde(default)]
    datr: serde_json::Value,
    codr: Option<String>,
    rssi: Option<f32>,
    lsnr: Option<f32>,
    /// Several antennas (Semtech's reference design v2 and Kerlink): one entry each.
    #[serde(default)]
    rsig: Vec<Rsig>,
    data: String,
}

#[derive(Deserialize)]
struct Rsig {
    rssic: Option<f32>,
    lsnr: Option<f32>,
}

fn push(json: &[u8]) -> Result<Content, DatagramError> {
    let push: Push<'_> = serde_json::from_slice(json).map_err(|_| DatagramError::Json)?;
    let packets = push.rxpk.into_iter().flatten().map(|raw| packet(raw.get())).collect();
    Ok(Content::Push { packets, stat: push.stat.and_then(|raw| Stat::parse(raw.get())) })
}

fn packet(json: &str) -> Result<Packet, PacketError> {
    let rxpk: Rxpk = serde_json::from_str(json).map_err(|_| PacketError::Malformed)?;
    match rxpk.modu.as_str() {
        "LORA" => {}
        "FSK" => return Err(PacketError::Fsk),
        _ => return Err(PacketError::Malformed),
    }
    match rxpk.stat {
        Some(1) => {}
        Some(-1) => return Err(PacketError::BadCrc),
        Some(0) => return Err(PacketError::NoCrc),
        _ => return Err(PacketError::Malformed),
    }
    let best = rxpk
        .rsig
        .iter()
        .filter_map(|antenna| Some((antenna.rssic?, antenna.lsnr?)))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let (rssi, snr) = rxpk.rssi.zip(rxpk.lsnr).or(best).ok_or(PacketError::Malformed)?;
    // no radio says so, and an infinite one (1e39) would be told to the cloud as no number
    if !(rssi.abs() < MAX_DECIBELS && snr.abs() < MAX_DECIBELS) {
        return Err(PacketError::Malformed);
    }
    let modulation = rxpk
        .datr
        .as_str()
        .and_then(|text| text.parse::<LoRa>().ok())
        .ok_or(PacketError::Malformed)?;
    let hertz = (rxpk.freq * 1e6).round();
    let in_band = (100e6..3e9).contains(&hertz);
    let phy = BASE64.decode(&rxpk.data).map_err(|_| PacketError::Malformed)?;
    if !in_band || !(1..=MAX_PHY).contains(&phy.len()) {
        return Err(PacketError::Malformed);
    }
    Ok(Packet {
        phy,
        tmst: rxpk.tmst,
        time: rxpk.time.and_then(|text| text.parse().ok()),
        frequency: Hertz(hertz as u32),
        modulation,
        // kept short: it is passed on to the cloud as it came
        code_rate: rxpk.codr.filter(|c| c.len() <= 8).unwrap_or_else(|| "4/5".into()),
        rssi: Dbm(rssi),
        snr: Db(snr),
        channel: rxpk.chan,
        rf_chain: rxpk.rfch,
    })
}

/// How long before `newest` a packet was received, by the concentrator's wrapping counter.
///
/// A forwarder that was cut off sends what it kept in one datagram; this keeps the packets'
/// distances. A difference of more than half the counter's range is a restarted counter.
pub fn age(tmst: u32, newest: u32) -> std::time::Duration {
    let micros = newest.wrapping_sub(tmst);
    std::time::Duration::from_micros(if micros > u32::MAX / 2 { 0 } else { micros.into() })
}

/// Lays out a PUSH_DATA datagram as a forwarder would: for simulated sensors.
pub fn push_data(gateway: GatewayEui, token: u16, packets: &[Packet]) -> Vec<u8> {
    let rxpk: Vec<_> = packets
        .iter()
        .map(|p| {
            serde_json::json!({
                "tmst": p.tmst, "time": p.time.map(|t| t.to_string()), "chan": p.channel,
                "rfch": p.rf_chain, "freq": f64::from(p.frequency.0) / 1e6, "stat": 1,
                "modu": "LORA", "datr": p.modulation.to_string(), "codr": p.code_rate,
                "rssi": p.rssi.0, "lsnr": p.snr.0, "size": p.phy.len(),
                "data": BASE64.encode(&p.phy),
            })
        })
        .collect();
    let mut datagram = header(gateway, token, PUSH_DATA);
    datagram.extend(serde_json::json!({ "rxpk": rxpk }).to_string().as_bytes());
    datagram
}

/// Lays out a PULL_DATA datagram as a forwarder would.
pub fn pull_data(gateway: GatewayEui, token: u16) -> Vec<u8> {
    header(gateway, token, PULL_DATA)
}

fn header(gateway: GatewayEui, token: u16, kind: u8) -> Vec<u8> {
    let [high, low] = token.to_be_bytes();
    let mut datagram = vec![2, high, low, kind];
    datagram.extend(gateway.0.to_be_bytes());
    datagram
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn datagram(version: u8, kind: u8, json: &str) -> Vec<u8> {
        let mut bytes = vec![version, 0xab, 0xcd, kind];
        bytes.extend([0xaa, 0x55, 0x5a, 0, 0, 0, 0x01, 0x01]);
        bytes.extend(json.as_bytes());
        bytes
    }

    fn pushed(json: &str) -> Vec<Result<Packet, PacketError>> {
        match parse(&datagram(2, PUSH_DATA, json)).expect("a datagram").content {
            Content::Push { packets, .. } => packets,
            other => panic!("not a PUSH_DATA: {other:?}"),
        }
    }

    /// The example of Semtech's PROTOCOL.TXT, one LoRa and one FSK packet.
    const TWO: &str = r#"{"rxpk":[
        {"time":"2013-03-31T16:21:17.528002Z","tmst":3512348611,"chan":2,"rfch":0,"freq":866.349812,"stat":1,"modu":"LORA","datr":"SF7BW125","codr":"4/6","rssi":-35,"lsnr":5.1,"size":32,"data":"-DS4CGaDCdG+48eJNM3Vai-zDpsR71Pn9CPA9uCON84"},
        {"time":"2013-03-31T16:21:17.530974Z","tmst":3512348514,"chan":9,"rfch":1,"freq":869.1,"stat":1,"modu":"FSK","datr":50000,"rssi":-75,"size":16,"data":"VEVTVF9QQUNLRVRfMTIzNA=="}]}"#;

    #[test]
    fn versions_1_and_2_are_acknowledged_in_kind() {
        for version in [1, 2] {
            let push = parse(&datagram(version, PUSH_DATA, "{}")).expect("a datagram");
            assert_eq!(push.ack, Some([version, 0xab, 0xcd, PUSH_ACK]));
            assert_eq!(push.gateway.to_string(), "aa555a0000000101");
            let pull = parse(&datagram(version, PULL_DATA, "")).expect("a datagram");
            assert_eq!(pull.ack, Some([version, 0xab, 0xcd, PULL_ACK]));
        }
        for nothing in ["{}", r#"{"stat":{"rxnb":0}}"#, r#"{"rxpk":null}"#, r#"{"rxpk":[]}"#] {
            assert_eq!(pushed(nothing), []);
        }
        assert_eq!(parse(&datagram(3, PUSH_DATA, "{}")), Err(DatagramError::Version(3)));
        assert_eq!(parse(&[2, 0, 0, PUSH_DATA]), Err(DatagramError::Short(4)));
        assert_eq!(parse(&datagram(2, PUSH_DATA, "[]x")), Err(DatagramError::Json));
    }

    #[test]
    fn an_odd_packet_costs_no_other() {
        let good = TWO
            .replace('-', "+")
            .replace("rssi\":+", "rssi\":-")
            .replace("2013+03+31", "2013-03-31");
        let packets = pushed(&good);
        let lora = packets[0].as_ref().expect("the LoRa packet");
        assert_eq!(lora.phy.len(), 32, "base64 without padding");
        assert_eq!(lora.frequency, Hertz(866_349_812));
        assert_eq!(lora.code_rate, "4/6");
        assert_eq!(
            lora.time.map(|t| t.to_string()).as_deref(),
            Some("2013-03-31T16:21:17.528002Z")
        );
        assert_eq!(packets[1], Err(PacketError::Fsk));
        // with characters that are not of base64's standard alphabet, as the document prints it
        assert_eq!(pushed(TWO)[0], Err(PacketError::Malformed));
    }

    #[test]
    fn crc_and_band_are_checked() {
        let with = |stat: i8, freq: f64| {
            pushed(&format!(
                r#"{{"rxpk":[{{"tmst":1,"freq":{freq},"stat":{stat},"modu":"LORA","datr":"SF12BW125","rssi":-110,"lsnr":-5,"size":99,"data":"QAE="}}]}}"#
            ))
            .remove(0)
            .map(|p| p.phy)
        };
        assert_eq!(with(1, 868.1), Ok(vec![0x40, 0x01]), "some forwarders write another size");
        assert_eq!(with(-1, 868.1), Err(PacketError::BadCrc));
        assert_eq!(with(0, 868.1), Err(PacketError::NoCrc));
        assert_eq!(with(1, 8681.0), Err(PacketError::Malformed));
    }

    #[test]
    fn of_several_antennas_the_best_is_taken() {
        let packet = pushed(
            r#"{"rxpk":[{"tmst":1,"freq":868.1,"stat":1,"modu":"LORA","datr":"SF7BW125","size":2,"data":"QAE=",
                "rsig":[{"ant":0,"rssic":-100,"lsnr":2.0},{"ant":1,"rssic":-90,"lsnr":7.5}]}]}"#,
        )
        .remove(0)
        .expect("a packet");
        assert_eq!((packet.rssi, packet.snr), (Dbm(-90.0), Db(7.5)));
    }

    #[test]
    fn ages_survive_the_wrap_of_the_counter() {
        assert_eq!(age(u32::MAX - 999_999, 1_000_000), Duration::from_secs(2));
        assert_eq!(age(5, 5), Duration::ZERO);
        assert_eq!(age(1_000_000, 5), Duration::ZERO, "a restarted counter");
    }

    proptest! {
        #[test]
        fn any_datagram_is_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn any_json_is_parsed_or_refused(text in ".{0,200}", field in "[a-z]{4}", value in any::<i64>()) {
            let _ = parse(&datagram(2, PUSH_DATA, &text));
            let _ = parse(&datagram(2, PUSH_DATA, &format!(r#"{{"rxpk":[{{"{field}":{value}}},{value}]}}"#)));
        }

        #[test]
        fn what_a_forwarder_sends_is_read_back(phy in prop::collection::vec(any::<u8>(), 1..256), tmst: u32, token: u16) {
            let sent = Packet {
                phy, tmst, time: None, frequency: Hertz(868_100_000),
                modulation: LoRa { spreading_factor: 9, bandwidth: Hertz(125_000) },
                code_rate: "4/5".into(), rssi: Dbm(-97.0), snr: Db(-3.5), channel: 3, rf_chain: 1,
            };
            let datagram = parse(&push_data(GatewayEui(7), token, std::slice::from_ref(&sent))).expect("a datagram");
            let packets = vec![Ok(sent)];
            prop_assert_eq!(datagram.content, Content::Push { packets, stat: None });
        }
    }
}
