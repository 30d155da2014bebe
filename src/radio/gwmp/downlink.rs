//! The way down: PULL_RESP to a forwarder, and its TX_ACK.

use super::{BASE64, MAX_PHY, PULL_RESP, TX_ACK};
use crate::radio::{Transmission, TxError};
use crate::units::{Dbm, GatewayEui, Hertz, LoRa};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// What a forwarder says of a transmission: that it will send it, or why it will not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxAck {
    /// The one of the PULL_RESP that it is about.
    pub token: u16,
    /// Whether it was taken.
    pub result: Result<(), TxError>,
}

/// A transmission as a forwarder reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct PullResp {
    /// The protocol's version.
    pub version: u8,
    /// To be repeated in the TX_ACK.
    pub token: u16,
    /// The forwarder's counter when the first symbol leaves.
    pub tmst: u32,
    /// The channel's centre.
    pub frequency: Hertz,
    /// Output power.
    pub power: Dbm,
    /// How it is modulated.
    pub modulation: LoRa,
    /// Whether IQ is inverted, as in every downlink.
    pub inverted: bool,
    /// Whether a checksum is sent, as in no downlink.
    pub crc: bool,
    /// The PHYPayload.
    pub phy: Vec<u8>,
}

/// In the order of Semtech's document.
#[derive(Serialize, Deserialize)]
struct Txpk {
    imme: bool,
    tmst: u32,
    freq: f64,
    rfch: u32,
    powe: i32,
    modu: String,
    datr: String,
    codr: String,
    ipol: bool,
    #[serde(default)]
    ncrc: bool,
    size: usize,
    data: String,
}

#[derive(Serialize, Deserialize)]
struct Down {
    txpk: Txpk,
}

#[derive(Deserialize)]
struct Up {
    #[serde(default)]
    txpk_ack: Option<Verdict>,
}

#[derive(Deserialize)]
struct Verdict {
    #[serde(default)]
    error: Option<serde_json::Value>,
}

/// Lays out a PULL_RESP in this version of the protocol.
///
/// `powe` is the transmission's ERP, in whole dBm and never rounded up. A forwarder that knows
/// its antenna takes it for EIRP, and stays 2 dB below the law; one that does not radiates that
/// ERP from an antenna with the gain of a dipole.
pub fn pull_resp(version: u8, token: u16, transmission: &Transmission) -> Vec<u8> {
    let Transmission { tmst, frequency, modulation, power, phy, .. } = transmission;
    let txpk = Txpk {
        imme: false,
        tmst: *tmst,
        freq: f64::from(frequency.0) / 1e6,
        rfch: 0,
        powe: power.0.floor() as i32,
        modu: "LORA".into(),
        datr: modulation.to_string(),
        codr: "4/5".into(),
        ipol: true,
        ncrc: true,
        size: phy.len(),
        // forwarders read base64 with padding, and not all without
        data: STANDARD.encode(phy),
    };
    let [high, low] = token.to_be_bytes();
    let mut datagram = vec![version, high, low, PULL_RESP];
    serde_json::to_writer(&mut datagram, &Down { txpk }).expect("numbers and text are JSON");
    datagram
}

/// Reads a PULL_RESP as a forwarder does: for simulated ones. None when it is not one, or not
/// for a LoRa radio.
pub fn parse_pull_resp(bytes: &[u8]) -> Option<PullResp> {
    let (&[version, high, low, kind], json) = bytes.split_first_chunk::<4>()?;
    if !matches!(version, 1 | 2) || kind != PULL_RESP {
        return None;
    }
    let Down { txpk } = serde_json::from_slice(json).ok()?;
    let phy = BASE64.decode(&txpk.data).ok()?;
    let hertz = (txpk.freq * 1e6).round();
    let whole = txpk.modu == "LORA" && txpk.size == phy.len() && phy.len() <= MAX_PHY;
    (whole && (0.0..=u32::MAX.into()).contains(&hertz)).then_some(PullResp {
        version,
        token: u16::from_be_bytes([high, low]),
        tmst: txpk.tmst,
        frequency: Hertz(hertz as u32),
        power: Dbm(txpk.powe as f32),
        modulation: txpk.datr.parse().ok()?,
        inverted: txpk.ipol,
        crc: !txpk.ncrc,
        phy,
    })
}

/// Lays out a TX_ACK as a forwarder would, with the protocol's word for an error.
pub fn tx_ack(gateway: GatewayEui, token: u16, error: Option<&str>) -> Vec<u8> {
    let mut datagram = super::header(gateway, token, TX_ACK);
    let json = serde_json::json!({"txpk_ack": {"error": error.unwrap_or("NONE")}});
    datagram.extend(json.to_string().as_bytes());
    datagram
}

/// The verdict of a TX_ACK. Forwarders say "all is well" by an empty body, by no error, by null,
/// or by "NONE"; newer ones write a "warn" beside it, and send with another power.
pub(super) fn verdict(body: &[u8]) -> Option<Result<(), TxError>> {
    let body = body.trim_ascii();
    // one of the common forwarders ends its datagrams with a zero byte
    let body = body.strip_suffix(b"\0").unwrap_or(body);
    if body.is_empty() {
        return Some(Ok(()));
    }
    let up: Up = serde_json::from_slice(body).ok()?;
    let Some(error) = up.txpk_ack.and_then(|ack| ack.error) else { return Some(Ok(())) };
    Some(match error.as_str() {
        None if error.is_null() => Ok(()),
        Some("" | "NONE") => Ok(()),
        Some("TOO_LATE") => Err(TxError::TooLate),
        Some("TOO_EARLY") => Err(TxError::TooEarly),
        Some("COLLISION_PACKET" | "COLLISION_BEACON") => Err(TxError::Collision),
        Some("TX_FREQ" | "TX_POWER") => Err(TxError::Impossible),
        // GPS_UNLOCKED, and what is yet to be invented
        _ => Err(TxError::Refused),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radio::gwmp::{Content, DatagramError, parse};
    use proptest::prelude::*;

    fn verdict_of(json: &str) -> Result<(), TxError> {
        let mut datagram = tx_ack(GatewayEui(7), 0x1234, None);
        datagram.truncate(12);
        datagram.extend(json.as_bytes());
        match parse(&datagram).expect("a datagram").content {
            Content::TxAck(TxAck { token: 0x1234, result }) => result,
            other => panic!("not this TX_ACK: {other:?}"),
        }
    }

    #[test]
    fn every_way_to_say_that_all_is_well_is_understood() {
        for json in [
            "",
            "\r\n",
            "\0",
            "{}",
            r#"{"txpk_ack":null}"#,
            r#"{"txpk_ack":{}}"#,
            r#"{"txpk_ack":{"error":null}}"#,
            r#"{"txpk_ack":{"error":""}}"#,
            r#"{"txpk_ack":{"error":"NONE"}}"#,
            r#"{"txpk_ack":{"warn":"TX_POWER","value":20}}"#,
        ] {
            assert_eq!(verdict_of(json), Ok(()), "{json}");
        }
    }

    #[test]
    fn every_error_of_the_protocol_is_told_apart() {
        for (word, error) in [
            ("TOO_LATE", TxError::TooLate),
            ("TOO_EARLY", TxError::TooEarly),
            ("COLLISION_PACKET", TxError::Collision),
            ("COLLISION_BEACON", TxError::Collision),
            ("TX_FREQ", TxError::Impossible),
            ("TX_POWER", TxError::Impossible),
            ("GPS_UNLOCKED", TxError::Refused),
            ("SOMETHING_NEW", TxError::Refused),
        ] {
            let ack = parse(&tx_ack(GatewayEui(7), 9, Some(word))).expect("a datagram");
            assert_eq!(ack.ack, None, "an acknowledgement is not acknowledged");
            assert_eq!(ack.content, Content::TxAck(TxAck { token: 9, result: Err(error) }));
        }
        assert_eq!(verdict_of(r#"{"txpk_ack":{"error":7}}"#), Err(TxError::Refused));
        let mut odd = tx_ack(GatewayEui(7), 9, None);
        odd.pop();
        assert_eq!(parse(&odd), Err(DatagramError::Json));
    }

    #[test]
    fn a_forwarder_is_told_all_that_it_needs_to_know() {
        let transmission = Transmission {
            id: 1,
            gateway: GatewayEui(7),
            tmst: u32::MAX,
            frequency: Hertz(869_525_000),
            modulation: LoRa { spreading_factor: 12, bandwidth: Hertz(125_000) },
            power: Dbm(26.9),
            phy: vec![0x20, 0xff],
        };
        let datagram = pull_resp(2, 0xabcd, &transmission);
        assert_eq!(datagram[..4], [2, 0xab, 0xcd, 3]);
        insta::assert_snapshot!(std::str::from_utf8(&datagram[4..]).expect("text"));
    }

    proptest! {
        #[test]
        fn what_is_sent_down_is_read_as_it_was_meant(
            phy in prop::collection::vec(any::<u8>(), 0..256), tmst: u32, token: u16,
            channel in 8630u32..8700, sf in 7u8..=12, power in 0f32..27.0, version in 1u8..=2,
        ) {
            let modulation = LoRa { spreading_factor: sf, bandwidth: Hertz(125_000) };
            let frequency = Hertz(channel * 100_000);
            let transmission = Transmission {
                id: 1, gateway: GatewayEui(7), tmst, frequency, modulation, power: Dbm(power),
                phy: phy.clone(),
            };
            let power = Dbm(power.floor());
            let read = parse_pull_resp(&pull_resp(version, token, &transmission));
            prop_assert_eq!(read, Some(PullResp {
                version, token, tmst, frequency, power, modulation, inverted: true, crc: false, phy,
            }));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_pull_resp(&bytes);
            let _ = parse_pull_resp(&[&[2, 0, 0, PULL_RESP], &bytes[..]].concat());
            let mut ack = tx_ack(GatewayEui(7), 9, None);
            ack.truncate(12);
            ack.extend(bytes);
            let _ = parse(&ack);
        }

        #[test]
        fn any_field_is_read_or_refused(
            key in "[a-z]{4}|size|data|freq|powe|tmst|datr|error", value in "-?[0-9]{1,40}|\"[a-zA-Z=]*\"|null|\\{\\}",
        ) {
            let _ = parse_pull_resp(&[
                &[2, 0, 0, PULL_RESP],
                format!(r#"{{"txpk":{{"{key}":{value}}}}}"#).as_bytes(),
            ].concat());
            let _ = verdict(format!(r#"{{"txpk_ack":{{"{key}":{value}}}}}"#).as_bytes());
        }
    }
}
