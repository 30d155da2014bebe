//! What became of a downlink that a command asked for. `queueItemId` is the command's id.

use super::{DeviceInfo, LoraModulation, Modulation, json, message};
use crate::clock::Moment;
use crate::device::Device;
use crate::radio::Transmission;
use crate::store::{Class, Message};
use crate::units::{GatewayEui, Hertz};
use serde::Serialize;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A downlink was sent, in the shape of ChirpStack v4's `txack` event.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct TxAck<'a> {
    /// To which device.
    device_info: DeviceInfo<'a>,
    /// The id of the command that asked for it.
    queue_item_id: &'a str,
    /// Its frame counter.
    f_cnt_down: u32,
    /// By which gateway.
    gateway_id: GatewayEui,
    /// How it was sent.
    tx_info: TxInfo,
}

/// How a downlink was sent.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct TxInfo {
    /// In hertz.
    frequency: Hertz,
    /// dBm (ERP), whole as in ChirpStack.
    power: i32,
    /// How it was modulated.
    modulation: Modulation,
}

/// Whether a confirmed downlink was acknowledged, in the shape of ChirpStack v4's `ack` event.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Ack<'a> {
    /// Of this event.
    deduplication_id: Uuid,
    /// By which device.
    device_info: DeviceInfo<'a>,
    /// The id of the command that asked for the downlink.
    queue_item_id: &'a str,
    /// Whether it was.
    acknowledged: bool,
    /// The downlink's frame counter.
    f_cnt_down: u32,
}

/// A downlink was not sent, in the shape of ChirpStack v4's `log` event.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Log<'a> {
    /// To which device.
    device_info: DeviceInfo<'a>,
    /// `WARNING` or `ERROR`.
    level: &'static str,
    /// `EXPIRED`, `DOWNLINK_PAYLOAD_SIZE` or `DOWNLINK_GATEWAY`.
    code: &'static str,
    /// Why, and what becomes of it.
    description: &'a str,
    /// `queue_item_id` is the id of the command that asked for it.
    #[cfg_attr(test, schemars(extend("required" = ["queue_item_id"])))]
    context: BTreeMap<&'static str, &'a str>,
}

/// How a downlink ended that never reached its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its deadline passed before there was a chance to send it.
    Expired,
    /// It does not fit into a frame at the data rate that the device is heard at.
    PayloadSize,
    /// No gateway would send it.
    Gateway,
}

impl Ending {
    /// Level and code, in ChirpStack's words.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Expired => ("WARNING", "EXPIRED"),
            Self::PayloadSize => ("ERROR", "DOWNLINK_PAYLOAD_SIZE"),
            Self::Gateway => ("ERROR", "DOWNLINK_GATEWAY"),
        }
    }
}

/// A downlink that was sent, or taken to be sent, by a gateway.
pub(crate) fn tx_ack(
    device: &Device,
    at: Moment,
    queue_item_id: &str,
    f_cnt_down: u32,
    sent: &Transmission,
) -> Message {
    let lora = LoraModulation {
        bandwidth: sent.modulation.bandwidth,
        spreading_factor: sent.modulation.spreading_factor,
        code_rate: "CR_4_5",
        polarization_inversion: Some(true),
    };
    let body = TxAck {
        device_info: DeviceInfo::of(device),
        queue_item_id,
        f_cnt_down,
        gateway_id: sent.gateway,
        tx_info: TxInfo {
            frequency: sent.frequency,
            power: sent.power.0.round() as i32,
            modulation: Modulation { lora },
        },
    };
    message(device, at, Class::Event, "event/txack", json(&body))
}

/// Whether a confirmed downlink was acknowledged by its device.
pub(crate) fn ack(
    device: &Device,
    at: Moment,
    queue_item_id: &str,
    f_cnt_down: u32,
    acknowledged: bool,
) -> Message {
    let body = Ack {
        deduplication_id: Uuid::new_v4(),
        device_info: DeviceInfo::of(device),
        queue_item_id,
        acknowledged,
        f_cnt_down,
    };
    message(device, at, Class::Event, "event/ack", json(&body))
}

/// A downlink that was not sent, and why, in words.
pub(crate) fn log(
    device: &Device,
    at: Moment,
    queue_item_id: &str,
    ending: Ending,
    description: &str,
) -> Message {
    let (level, code) = ending.words();
    let body = Log {
        device_info: DeviceInfo::of(device),
        level,
        code,
        description,
        // ChirpStack's keys in there are in snake case
        context: BTreeMap::from([("queue_item_id", queue_item_id)]),
    };
    message(device, at, Class::Event, "event/log", json(&body))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{AT, body, device};
    use super::*;
    use crate::units::{Dbm, LoRa};

    #[test]
    fn a_transmission_names_its_gateway_and_how_it_was_sent() {
        let sent = Transmission {
            id: 7,
            gateway: GatewayEui(0xb827_ebff_fe00_00a1),
            tmst: 5_000_000,
            frequency: Hertz(869_525_000),
            modulation: LoRa { spreading_factor: 12, bandwidth: Hertz(125_000) },
            power: Dbm(27.0),
            phy: vec![0x60],
        };
        let message = tx_ack(&device(), AT, "open-7", 41, &sent);
        insta::assert_json_snapshot!(body(&message, Class::Event, "txack"));
    }

    #[test]
    fn an_acknowledgement_names_the_command() {
        let message = ack(&device(), AT, "open-7", 41, true);
        insta::assert_json_snapshot!(body(&message, Class::Event, "ack"), {
            ".deduplicationId" => "[uuid]",
        });
        let none = body(&ack(&device(), AT, "open-7", 41, false), Class::Event, "ack");
        assert_eq!(none["acknowledged"], false);
    }

    #[test]
    fn a_downlink_that_was_not_sent_says_why() {
        let of =
            |ending, words| body(&log(&device(), AT, "open-7", ending, words), Class::Event, "log");
        insta::assert_json_snapshot!(of(Ending::Expired, "not sent by 2026-03-01T12:00:00Z"));
        let size = of(Ending::PayloadSize, "60 bytes, and 51 fit at SF12");
        assert_eq!(
            (&size["level"], &size["code"]),
            (&"ERROR".into(), &"DOWNLINK_PAYLOAD_SIZE".into())
        );
        let gateway = of(Ending::Gateway, "no way to the gateway");
        assert_eq!(gateway["code"], "DOWNLINK_GATEWAY");
    }
}
