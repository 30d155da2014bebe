//! A device that joined over the air.

use super::{DeviceInfo, REGION, json, message};
use crate::clock::Moment;
use crate::device::Device;
use crate::store::{Class, Message};
use crate::units::DevAddr;
use serde::Serialize;
use uuid::Uuid;

/// A device has joined, in the shape of ChirpStack v4's `join` event.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Join<'a> {
    /// Of this join.
    deduplication_id: Uuid,
    /// Which device.
    device_info: DeviceInfo<'a>,
    /// Its address from now on.
    dev_addr: DevAddr,
    /// The region.
    region_config_id: &'static str,
}

/// A device that joined, and the address that it was given for this session.
pub(crate) fn join(device: &Device, at: Moment, dev_addr: DevAddr) -> Message {
    let body = Join {
        deduplication_id: Uuid::new_v4(),
        device_info: DeviceInfo::of(device),
        dev_addr,
        region_config_id: REGION,
    };
    message(device, at, Class::Event, "event/join", json(&body))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{AT, body, device};
    use super::*;

    #[test]
    fn a_join_names_the_new_address() {
        let message = join(&device(), AT, DevAddr(0x0100_0007));
        insta::assert_json_snapshot!(body(&message, Class::Event, "join"), {
            ".deduplicationId" => "[uuid]",
        });
    }
}
