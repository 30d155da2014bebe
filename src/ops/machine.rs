//! How the machine is: heat, supply, disk.

use crate::clock::ClockQuality;
use crate::fault::{self, Fault, Standing};
use crate::message;
use crate::planning;
use crate::sys;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A disk with less free than this is nearly full, and so is one with less than a fiftieth of it: a
/// card without free blocks wears out faster.
const LEAST: u64 = 100_000_000;
const LITTLE: f64 = 0.02;

/// A clock is set within this time after the start, where there is a network.
const SET_WITHIN: Duration = Duration::from_secs(600);

/// How the machine is. What a machine does not tell is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct MachineStatus {
    /// The hottest of its sensors, in degrees Celsius.
    pub temperature_c: Option<f64>,
    /// Whether the supply is too weak now.
    pub under_voltage: Option<bool>,
    /// Whether it was since the machine was switched on.
    pub under_voltage_before: Option<bool>,
    /// Whether the machine goes slower now, since it is too hot or the supply too weak.
    pub throttled: Option<bool>,
    /// Whether it did since the machine was switched on.
    pub throttled_before: Option<bool>,
    /// Bytes of the disk with the state that are free for lykta.
    pub disk_free_bytes: Option<u64>,
    /// Its size.
    pub disk_bytes: Option<u64>,
}

/// Where the machine tells of itself.
#[derive(Debug)]
pub struct Machine {
    state: PathBuf,
    sys: PathBuf,
}

impl Machine {
    /// This machine, with its state in this directory.
    pub fn new(state: &Path) -> Self {
        Self::at(state, Path::new("/sys"))
    }

    fn at(state: &Path, sys: &Path) -> Self {
        Self { state: state.to_owned(), sys: sys.to_owned() }
    }

    /// How it is now.
    pub fn status(&self) -> MachineStatus {
        let flags = self.flags();
        let flag = |bits: u32| flags.map(|flags| flags & bits != 0);
        let disk = sys::disk(&self.state);
        MachineStatus {
            temperature_c: planning::temperature().map(|thousandths| thousandths as f64 / 1000.0),
            under_voltage: flag(0x1).or_else(|| self.low_voltage()),
            under_voltage_before: flag(0x1_0000),
            // capped, throttled, or at its soft limit
            throttled: flag(0xe),
            throttled_before: flag(0xe_0000),
            disk_free_bytes: disk.map(|(free, _)| free),
            disk_bytes: disk.map(|(_, size)| size),
        }
    }

    /// The flags of a Raspberry Pi's firmware, as `vcgencmd get_throttled` shows them.
    fn flags(&self) -> Option<u32> {
        let platform = self.sys.join("devices/platform");
        // beside the others since the Pi 1, below the bus on some kernels
        let below = [platform.clone(), platform.join("soc")];
        let mut places = below.iter().filter_map(|place| fs::read_dir(place).ok()).flatten();
        let text = places.find_map(|place| {
            let place = place.ok()?;
            let is_firmware = place.file_name().to_string_lossy().ends_with("firmware");
            is_firmware.then(|| fs::read_to_string(place.path().join("get_throttled")).ok())?
        })?;
        u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
    }

    /// The same of the supply alone, which newer kernels tell as a sensor.
    fn low_voltage(&self) -> Option<bool> {
        let mut sensors = fs::read_dir(self.sys.join("class/hwmon")).ok()?;
        sensors.find_map(|sensor| {
            let sensor = sensor.ok()?.path();
            let text = |name: &str| fs::read_to_string(sensor.join(name)).ok();
            let is_supply = text("name")?.trim() == "rpi_volt";
            is_supply.then(|| text("in0_lcrit_alarm"))?.map(|alarm| alarm.trim() == "1")
        })
    }
}

impl MachineStatus {
    /// What is wrong with it, by a clock of this quality, so long after the start.
    pub fn faults(&self, clock: ClockQuality, uptime: Duration) -> Vec<Standing> {
        let nearly_full = self
            .disk_free_bytes
            .zip(self.disk_bytes)
            .is_some_and(|(free, size)| free < LEAST || (free as f64) < size as f64 * LITTLE);
        let wrong = [
            (self.under_voltage == Some(true), Fault::UnderVoltage),
            (self.throttled == Some(true), Fault::Throttled),
            (nearly_full, Fault::DiskNearlyFull),
            (clock == ClockQuality::Unsynced && uptime >= SET_WITHIN, Fault::ClockUnset),
        ];
        fault::that_hold(wrong).map(Standing::new).collect()
    }
}

/// Tells operations what has begun and what is over. Each once: what comes and goes is told again
/// when it was away for a while.
#[derive(Debug, Default)]
pub struct Told {
    /// How many looks ago each was there last, of those that were told.
    standing: Vec<(Fault, u32)>,
}

impl Told {
    /// So many looks without it end a fault.
    const OVER: u32 = 10;

    /// This is wrong now.
    pub fn note(&mut self, faults: &[Standing]) {
        for (_, away) in &mut self.standing {
            *away += 1;
        }
        let now = Fault::ALL.iter().filter(|f| faults.iter().any(|s| s.code == f.code()));
        for fault in now {
            match self.standing.iter_mut().find(|(told, _)| told == fault) {
                Some((_, away)) => *away = 0,
                None => {
                    self.standing.push((*fault, 0));
                    let id = fault.messages().first().copied().unwrap_or_default();
                    log::log!(
                        fault.severity().level(), MESSAGE_ID = id;
                        "{}; {}", fault.what(), fault.action()
                    );
                }
            }
        }
        self.standing.retain(|(fault, away)| {
            if *away >= Self::OVER {
                log::info!(
                    MESSAGE_ID = message::MACHINE_WELL, LYKTA_REASON = fault.code();
                    "no more: {}", fault.what()
                );
            }
            *away < Self::OVER
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
        let directory = tempfile::tempdir().expect("a directory");
        for (file, text) in files {
            let file = directory.path().join(file);
            fs::create_dir_all(file.parent().expect("in a directory")).expect("makes");
            fs::write(file, text).expect("writes");
        }
        let machine = Machine::at(directory.path(), directory.path());
        (directory, machine)
    }

    #[test]
    fn the_firmware_of_a_pi_tells_of_now_and_of_before() {
        for place in ["soc:firmware", "soc/soc:firmware", "soc@107c000000:firmware"] {
            let file = format!("devices/platform/{place}/get_throttled");
            let (_directory, machine) = machine(&[(&file, "50004\n")]);
            let status = machine.status();
            assert_eq!(status.under_voltage, Some(false), "{place}");
            assert_eq!(status.under_voltage_before, Some(true));
            assert_eq!((status.throttled, status.throttled_before), (Some(true), Some(true)));
        }
    }

    #[test]
    fn a_sensor_tells_of_the_supply_where_the_firmware_does_not() {
        let alarm = [("class/hwmon/hwmon1/name", "rpi_volt\n")];
        let (_directory, machine) =
            machine(&[alarm[0], ("class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")]);
        let status = machine.status();
        assert_eq!(status.under_voltage, Some(true));
        let codes: Vec<_> = status.faults(ClockQuality::Synced, Duration::ZERO);
        assert_eq!(codes, [Standing::new(Fault::UnderVoltage)]);
    }

    #[test]
    fn a_machine_that_tells_nothing_has_no_faults() {
        let (_directory, machine) = machine(&[]);
        let status = machine.status();
        assert_eq!((status.under_voltage, status.throttled), (None, None));
        assert!(status.disk_free_bytes <= status.disk_bytes && status.disk_bytes > Some(0));
    }

    #[test]
    fn a_clock_is_given_time_and_a_disk_some_room() {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let disk = |free, size| MachineStatus {
            disk_free_bytes: Some(free),
            disk_bytes: Some(size),
            ..MachineStatus::default()
        };
        let unset = ClockQuality::Unsynced;
        let roomy = disk(1_000_000_000, 32_000_000_000);
        assert_eq!(roomy.faults(ClockQuality::Synced, minutes(60)), []);
        assert_eq!(roomy.faults(unset, minutes(9)), []);
        assert_eq!(roomy.faults(unset, minutes(10)), [Standing::new(Fault::ClockUnset)]);
        let full = [Standing::new(Fault::DiskNearlyFull)];
        assert_eq!(disk(90_000_000, 32_000_000_000).faults(ClockQuality::Synced, minutes(1)), full);
        assert_eq!(
            disk(500_000_000, 32_000_000_000).faults(ClockQuality::Synced, minutes(1)),
            full
        );
    }
}
