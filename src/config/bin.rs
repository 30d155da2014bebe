//! The settings of a bin.

use super::key::KeyPath;
use super::read::{Read, Reader};
use super::schema::settings;
use super::timing::Hours;
use crate::bins::{Geometry, Rules};
use crate::device::Profile;
use crate::units::{Degrees, Metres, Ratio, Volts};
use figment::value::Value;
use jiff::tz::TimeZone;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

settings! {
    /// A bin.
    pub struct BinSettings {
        /// Its latitude in degrees (WGS 84). Without a position it is in no plan.
        pub lat: Option<f64> => 59.3293,
        /// Its longitude in degrees.
        pub lon: Option<f64> => 18.0686,
        /// The distance in metres from the sensor to the floor of the empty bin.
        pub depth_m: f64 = 1.5,
        /// The distance in metres from the sensor at which the bin is full; nearer ones count as
        /// full, too. Left out: the least distance that the sensor's profile says it can measure.
        pub dead_zone_m: Option<f64> => 0.25,
        /// Metres to add to each distance: from where the sensor hangs back to where it counts
        /// from. Negative if it says too much.
        pub sensor_offset_m: f64 = 0.0,
        /// How many degrees the sensor looks away from straight down.
        pub sensor_angle_deg: f64 = 0.0,
        /// The part of its volume that is filled, from 0 to 1, at heights that part it evenly from
        /// the floor to full: [0.0, 0.25, 1.0] for a cone. Empty for straight walls.
        pub volumes: Vec<f64> = [],
        /// What it holds, in litres.
        pub volume_l: f64 = 660,
        /// What a litre of its waste weighs, in kilograms.
        pub kg_per_l: f64 = 0.1,
        /// From this level on (0 is empty, 1 is full) it may be emptied by who is near.
        pub threshold_may: f64 = 0.6,
        /// From this level on it must be emptied.
        pub threshold_must: f64 = 0.85,
        /// It must be emptied when so many days have passed since the last time, however empty.
        pub most_days: Option<f64> => 14,
        /// At this voltage the sensor's battery is empty: 3.0 for lithium thionyl chloride, 2.0 for
        /// two alkaline cells.
        pub battery_empty_v: f64 = 3.0,
        /// How often the sensor reports. Left out: as it is learned.
        pub report_interval: Option<Duration> => "1h",
        /// How long it takes to empty it.
        pub service: Duration = "3min",
        /// When that may begin. Left out: at any time.
        pub window: Option<Hours> => "06:00-07:30",
        /// What the vehicle must be able to do, in words of your own.
        pub skills: Vec<String> = [],
        /// How many people it takes, 1 or 2.
        pub crew: u8 = 1,
    }
}

impl Default for BinSettings {
    /// Those of a bin that has no table.
    fn default() -> Self {
        let table = Value::from(figment::value::Dict::new());
        <Self as Read>::read(&mut Reader::default(), &KeyPath::default(), &table)
            .expect("each key of a bin has a default or may be left out")
    }
}

impl BinSettings {
    /// With what the model of its sensor says, where nothing else is set.
    #[must_use]
    pub fn seen_by(mut self, sensor: &Profile) -> Self {
        // of a sensor that cannot see into this bin at all, each level would be full
        let least = sensor.sight().map(|[Metres(least), _]| least);
        self.dead_zone_m = self.dead_zone_m.or(least.filter(|least| *least < self.depth_m));
        self
    }

    /// Where its sensor hangs.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        Geometry {
            depth: Metres(self.depth_m),
            dead_zone: Metres(self.dead_zone_m.unwrap_or_default()),
            offset: Metres(self.sensor_offset_m),
            angle: Degrees(self.sensor_angle_deg),
            volumes: self.volumes.clone(),
        }
    }

    /// What is settled about it, in this time zone.
    #[must_use]
    pub fn rules(&self, zone: &TimeZone) -> Rules {
        Rules {
            may: Ratio(self.threshold_may),
            must: Ratio(self.threshold_must),
            most_days: self.most_days,
            flat: Volts(self.battery_empty_v),
            interval: self.report_interval.and_then(|each| each.try_into().ok()),
            ..Rules::new(self.geometry(), zone.clone())
        }
    }
}

/// A bin's name: 1 to 64 characters, without any that mean something in a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BinId(String);

impl BinId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BinId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let odd = text.chars().find(|c| c.is_control() || matches!(c, '/' | '+' | '#'));
        match odd {
            Some(c) => Err(format!("the name of a bin becomes part of topics, and {c:?} may not")),
            None if text.is_empty() || text.chars().count() > 64 => {
                Err("the name of a bin has 1 to 64 characters".to_owned())
            }
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl std::borrow::Borrow<str> for BinId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BinId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::BinSettings;
    use crate::codec::builtin;

    #[test]
    fn where_nothing_is_set_a_bin_is_full_where_its_sensor_sees_nothing_nearer() {
        let profiles = builtin::profiles().expect("profiles");
        let dead_zone = |name: &str, bin: &BinSettings| {
            let profile = profiles.iter().find(|p| p.name == name).expect("a profile");
            bin.clone().seen_by(profile).geometry().dead_zone.0
        };
        let bin = BinSettings::default();
        assert_eq!(dead_zone("dragino-ldds75", &bin), 0.28);
        assert_eq!(dead_zone("sensoneo-single", &bin), 0.03);
        assert_eq!(dead_zone("milesight-ws301", &bin), 0.0, "no sensor of distances");
        let set = BinSettings { dead_zone_m: Some(0.0), ..bin.clone() };
        assert_eq!(dead_zone("dragino-ldds75", &set), 0.0, "zero is set, too");
        let low = BinSettings { depth_m: 0.4, ..bin };
        assert_eq!(dead_zone("terabee-lora-lm", &low), 0.0, "0.5 m would make it full for ever");
    }
}
