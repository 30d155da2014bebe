//! The bodies of what devices did, in the shapes of ChirpStack v4's integration events in their
//! JSON form, so that what consumes ChirpStack consumes this. `time` is in the envelope.
//!
//! One way in which they differ: a value that there is none of is left out, where protobuf's
//! JSON has a zero.

pub(crate) mod alarm;
pub(crate) mod bin;
pub(crate) mod care;
mod downlink;
mod join;
mod status;
mod up;

pub(crate) use up::messages;
pub(crate) use {
    downlink::{Ending, ack, log, tx_ack},
    join::join,
    status::status,
};

use crate::clock::Moment;
use crate::device::Device;
use crate::store::{Class, Message};
use crate::units::{DevEui, Hertz};
use serde::Serialize;
use std::collections::BTreeMap;

/// ChirpStack's name of the region.
const REGION: &str = "eu868";

/// A device.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct DeviceInfo<'a> {
    /// The tenant.
    tenant_id: &'a str,
    /// The tenant.
    tenant_name: &'a str,
    /// The tenant again: there are no applications.
    application_id: &'a str,
    /// The tenant again.
    application_name: &'a str,
    /// The profile.
    device_profile_id: &'a str,
    /// The profile.
    device_profile_name: &'a str,
    /// Its name.
    device_name: &'a str,
    /// Its address for ever.
    dev_eui: DevEui,
    /// Its class.
    device_class_enabled: &'static str,
    /// `bin` is the bin that it hangs in.
    tags: BTreeMap<&'static str, &'a str>,
}

impl<'a> DeviceInfo<'a> {
    fn of(device: &'a Device) -> Self {
        let tenant = device.tenant.as_str();
        let profile = &device.profile.name;
        // nothing that could point at a resident: their devices belong to tenants that publish
        // nothing of a device
        let tags = device.bin.as_deref().map(|bin| ("bin", bin));
        Self {
            tenant_id: tenant,
            tenant_name: tenant,
            application_id: tenant,
            application_name: tenant,
            device_profile_id: profile,
            device_profile_name: profile,
            device_name: &device.name,
            dev_eui: device.dev_eui,
            device_class_enabled: "CLASS_A",
            tags: tags.into_iter().collect(),
        }
    }
}

/// How a frame was modulated: always LoRa.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Modulation {
    /// LoRa.
    lora: LoraModulation,
}

/// How a LoRa frame was modulated.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct LoraModulation {
    /// In hertz.
    bandwidth: Hertz,
    /// 5 to 12.
    spreading_factor: u8,
    /// Such as `CR_4_5`.
    code_rate: &'static str,
    /// Of downlinks only.
    #[serde(skip_serializing_if = "Option::is_none")]
    polarization_inversion: Option<bool>,
}

/// A sentence in the languages of those who read it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Text {
    /// Swedish.
    sv: String,
    /// English.
    en: String,
}

/// The schemas of these bodies, by the ends of their topics.
#[cfg(test)]
pub(crate) fn schemas() -> [(&'static str, serde_json::Value); 7] {
    use crate::schemas::of;
    [
        ("event/up", of::<up::Up<'_>>()),
        ("event/join", of::<join::Join<'_>>()),
        ("event/status", of::<status::Status<'_>>()),
        ("event/txack", of::<downlink::TxAck<'_>>()),
        ("event/ack", of::<downlink::Ack<'_>>()),
        ("event/log", of::<downlink::Log<'_>>()),
        ("readings", of::<up::Readings<'_>>()),
    ]
}

/// The schema of the readings of an uplink.
#[cfg(test)]
pub(crate) fn readings() -> serde_json::Value {
    crate::schemas::of::<up::Readings<'_>>()
}

/// A message about a device.
fn message(device: &Device, at: Moment, class: Class, leaf: &str, body: String) -> Message {
    Message { class, at, topic: format!("device/{}/{leaf}", device.dev_eui), body }
}

fn json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("bodies are plain structs with text keys")
}

#[cfg(test)]
mod sample {
    use super::*;
    use crate::clock::ClockQuality;
    use crate::device::{Abp, Activation, CounterPolicy, Profile};
    use crate::units::{AesKey, DevAddr};
    use jiff::Timestamp;
    use serde_json::Value;
    use std::sync::Arc;
    use std::time::Duration;

    pub(super) const AT: Moment = Moment {
        wall: Timestamp::UNIX_EPOCH,
        quality: ClockQuality::Synced,
        monotonic: Duration::ZERO,
    };

    pub(super) fn device() -> Device {
        Device {
            dev_eui: DevEui(0x70b3_d507_0000_1739),
            name: "Storgatan 4".into(),
            tenant: "waste".parse().expect("a name"),
            profile: Arc::new(Profile {
                name: "sensoneo-single".into(),
                vendor: "Sensoneo".into(),
                model: "Single Sensor".into(),
                decoder: Some("sensoneo-single".into()),
                codec: None,
                sha256: None,
                ignore: Vec::new(),
                downlinks: Vec::new(),
                heartbeat: Duration::from_secs(86_400),
                hold: None,
                counter: CounterPolicy::default(),
                readings: vec![],
            }),
            activation: Activation::Abp(Abp {
                dev_addr: DevAddr(0x260b_1739),
                nwk_s_key: AesKey([1; 16]),
                app_s_key: AesKey([2; 16]),
            }),
            bin: Some("1739".into()),
            resident: None,
            sensor: None,
        }
    }

    /// What stands in the body, once place and class are as they should be.
    pub(super) fn body(message: &Message, class: Class, leaf: &str) -> Value {
        assert_eq!(message.topic, format!("device/70b3d50700001739/event/{leaf}"));
        assert_eq!((message.class, message.at), (class, AT));
        serde_json::from_str(&message.body).expect("JSON")
    }
}
