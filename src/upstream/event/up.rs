//! An accepted uplink: ChirpStack's `up` event, and typed readings beside it.

use super::{DeviceInfo, LoraModulation, Modulation, json, message};
use crate::clock::{ClockQuality, Moment};
use crate::codec::{DecodeError, Decoded, Object};
use crate::device::Device;
use crate::eu868;
use crate::lorawan::Uplink;
use crate::radio::{Heard, Reception};
use crate::store::{Class, Message};
use crate::units::{DevAddr, DevEui, GatewayEui, Hertz, Reading};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

/// An accepted uplink, in the shape of ChirpStack v4's `up` event.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Up<'a> {
    /// Of this uplink, however many receivers heard it.
    deduplication_id: Uuid,
    /// Which device.
    device_info: DeviceInfo<'a>,
    /// Its address in this session.
    dev_addr: DevAddr,
    /// Whether it lets the network choose its data rate.
    adr: bool,
    /// Its data rate in EU868, if it is one of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    dr: Option<u8>,
    /// Its frame counter, all 32 bits.
    f_cnt: u32,
    /// The port; 0 also if there is none.
    f_port: u8,
    /// Whether it asked to be acknowledged.
    confirmed: bool,
    /// Whether it could be a recording from before its counter began again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayable: bool,
    /// The payload in the clear, in base64.
    #[cfg_attr(test, schemars(extend("contentEncoding" = "base64")))]
    data: String,
    /// The payload as decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a Object>,
    /// Why it could not be decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    codec_error: Option<String>,
    /// Who heard it.
    rx_info: Vec<RxInfo>,
    /// How it was sent.
    tx_info: TxInfo,
    /// The region.
    region_config_id: &'static str,
}

/// One reception.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct RxInfo {
    /// By which receiver.
    gateway_id: GatewayEui,
    /// Of this reception.
    uplink_id: u32,
    /// When, by the receiver's clock, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    gw_time: Option<Timestamp>,
    /// When, by this gateway's clock, once somebody has set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    ns_time: Option<Timestamp>,
    /// dBm
    rssi: i32,
    /// dB
    snr: f32,
    /// The receiver's channel.
    channel: u32,
    /// The receiver's chain.
    rf_chain: u32,
    /// Opaque, in base64.
    #[cfg_attr(test, schemars(extend("contentEncoding" = "base64")))]
    context: String,
    /// Frames with a bad checksum are not accepted.
    crc_status: &'static str,
}

/// How an uplink was sent.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct TxInfo {
    /// In hertz.
    frequency: Hertz,
    /// How it was modulated.
    modulation: Modulation,
}

/// What an accepted uplink says, as typed readings.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Readings<'a> {
    /// Which device.
    dev_eui: DevEui,
    /// Its name.
    device_name: &'a str,
    /// Its profile.
    profile: &'a str,
    /// The bin that it hangs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    bin: Option<&'a str>,
    /// The uplink's frame counter.
    f_cnt: u32,
    /// Whether the uplink could be a recording from before its counter began again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayable: bool,
    /// One or more.
    #[cfg_attr(test, schemars(length(min = 1)))]
    readings: &'a [Reading],
}

/// The messages of one accepted uplink. `decoded` is `None` when there was no payload to decode.
pub(crate) fn messages(
    heard: &Heard,
    device: &Device,
    uplink: &Uplink,
    decoded: Option<&Result<Decoded, DecodeError>>,
) -> Vec<Message> {
    let message = |leaf, body| message(device, heard.at, Class::Measurement, leaf, body);
    let mut messages = vec![message("event/up", json(&up(heard, device, uplink, decoded)))];
    if let Some(Ok(Decoded { readings, .. })) = decoded
        && !readings.is_empty()
    {
        let body = Readings {
            dev_eui: device.dev_eui,
            device_name: &device.name,
            profile: &device.profile.name,
            bin: device.bin.as_deref(),
            f_cnt: uplink.f_cnt,
            replayable: uplink.replayable,
            readings,
        };
        messages.push(message("readings", json(&body)));
    }
    messages
}

fn up<'a>(
    heard: &'a Heard,
    device: &'a Device,
    uplink: &Uplink,
    decoded: Option<&'a Result<Decoded, DecodeError>>,
) -> Up<'a> {
    Up {
        deduplication_id: Uuid::new_v4(),
        device_info: DeviceInfo::of(device),
        dev_addr: uplink.dev_addr,
        adr: uplink.adr,
        dr: eu868::index(heard.modulation),
        f_cnt: uplink.f_cnt,
        // protobuf has no absent number; ChirpStack writes 0 for a frame without a port
        f_port: uplink.f_port.unwrap_or(0),
        confirmed: uplink.confirmed,
        replayable: uplink.replayable,
        data: BASE64.encode(&uplink.payload),
        object: decoded.and_then(|d| d.as_ref().ok()).map(|d| &d.object),
        codec_error: decoded.and_then(|d| d.as_ref().err()).map(ToString::to_string),
        rx_info: heard.receptions.iter().map(|r| rx_info(r, heard.at)).collect(),
        tx_info: TxInfo {
            frequency: heard.frequency,
            modulation: Modulation {
                lora: LoraModulation {
                    bandwidth: heard.modulation.bandwidth,
                    spreading_factor: heard.modulation.spreading_factor,
                    code_rate: match heard.code_rate.as_str() {
                        "4/6" => "CR_4_6",
                        "4/7" => "CR_4_7",
                        "4/8" => "CR_4_8",
                        _ => "CR_4_5",
                    },
                    polarization_inversion: None,
                },
            },
        },
        region_config_id: super::REGION,
    }
}

fn rx_info(reception: &Reception, heard: Moment) -> RxInfo {
    RxInfo {
        gateway_id: reception.gateway,
        uplink_id: fastrand::u32(..),
        gw_time: reception.gateway_time,
        ns_time: (heard.quality != ClockQuality::Unsynced).then_some(heard.wall),
        rssi: reception.rssi.0.round() as i32,
        snr: reception.snr.0,
        channel: reception.channel,
        rf_chain: reception.rf_chain,
        // opaque to consumers: what a downlink in answer must bring back
        context: BASE64.encode(reception.tmst.to_be_bytes()),
        crc_status: "CRC_OK",
    }
}
