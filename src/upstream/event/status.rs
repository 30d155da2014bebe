//! How a device is: its answer to DevStatusReq.

use super::{DeviceInfo, json, message};
use crate::clock::Moment;
use crate::device::Device;
use crate::store::{Class, Message};
use crate::units::rounded;
use serde::Serialize;
use uuid::Uuid;

/// How a device is, in the shape of ChirpStack v4's `status` event.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Status<'a> {
    /// Of this answer.
    deduplication_id: Uuid,
    /// Which device.
    device_info: DeviceInfo<'a>,
    /// How well it hears the gateway, in dB.
    margin: i8,
    /// Whether it runs without its battery.
    external_power_source: bool,
    /// Whether it cannot tell.
    battery_level_unavailable: bool,
    /// Its battery in per cent, if it runs on it and can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    battery_level: Option<f64>,
}

/// A DevStatusAns (LoRaWAN 1.0.4, 5.5). `battery` as on the air: 0 is external power, 255 is
/// "cannot tell", 1 to 254 is from empty to full. `margin` is the signal-to-noise ratio in dB
/// at which the device heard the request, -32 to 31.
pub(crate) fn status(device: &Device, at: Moment, battery: u8, margin: i8) -> Message {
    let body = Status {
        deduplication_id: Uuid::new_v4(),
        device_info: DeviceInfo::of(device),
        margin,
        external_power_source: battery == 0,
        battery_level_unavailable: battery == 255,
        battery_level: level(battery),
    };
    message(device, at, Class::Measurement, "event/status", json(&body))
}

/// Per cent, to one decimal: one step is 0.4.
fn level(battery: u8) -> Option<f64> {
    (1..=254).contains(&battery).then(|| rounded(f64::from(battery) / 254.0 * 100.0, 1))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{AT, body, device};
    use super::*;

    #[test]
    fn a_status_has_battery_and_margin() {
        let message = status(&device(), AT, 200, -7);
        insta::assert_json_snapshot!(body(&message, Class::Measurement, "status"), {
            ".deduplicationId" => "[uuid]",
        });
    }

    #[test]
    fn a_battery_that_is_none_or_unknown_has_no_level() {
        let of = |battery| body(&status(&device(), AT, battery, 0), Class::Measurement, "status");
        let (mains, unknown, known) = (of(0), of(255), of(1));
        assert_eq!(
            (&mains["externalPowerSource"], mains.get("batteryLevel")),
            (&true.into(), None)
        );
        assert_eq!(mains["batteryLevelUnavailable"], false);
        assert_eq!(unknown["externalPowerSource"], false);
        assert_eq!(unknown["batteryLevelUnavailable"], true);
        assert_eq!(unknown.get("batteryLevel"), None);
        assert_eq!(known["externalPowerSource"], false);
        assert_eq!(known["batteryLevelUnavailable"], false);
    }

    #[test]
    fn the_battery_is_per_cent_to_one_decimal() {
        let levels = [1, 2, 127, 253, 254].map(level);
        assert_eq!(levels, [Some(0.4), Some(0.8), Some(50.0), Some(99.6), Some(100.0)]);
        let all: Vec<_> = (1..=254).filter_map(level).collect();
        assert_eq!(all.len(), 254);
        assert!(all.is_sorted_by(|a, b| a < b) && all.iter().all(|l| (0.4..=100.0).contains(l)));
    }
}
