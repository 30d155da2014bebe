//! Residents as this gateway cares for them: their sensors are its devices.

use super::care::{
    EscalationSettings, NO_SOCIAL_ALARM, ResidentSettings, SensorSettings, is_social_alarm,
};
use super::check::Checks;
use super::key::KeyPath;
use super::profile::Profiles;
use super::read::known;
use super::settings::{DeviceSettings, Settings, TenantKind};
use crate::care::{Resident, Sensor, SensorKind};
use crate::device::Profile;
use crate::units::{DevEui, TenantId};
use std::time::Duration;

/// Nobody is waited for longer than this: somebody may lie on the floor.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A resident, and where what is known of them comes from.
#[derive(Debug, Clone)]
pub struct Household {
    /// Whose resident it is.
    pub tenant: TenantId,
    /// All that was agreed.
    pub resident: Resident,
    /// The device that each sensor is, in their order.
    pub devices: Vec<DevEui>,
}

impl Checks<'_> {
    /// The residents that are sound, with their sensors.
    pub(super) fn households(
        &mut self,
        settings: &Settings,
        profiles: &Profiles,
    ) -> Vec<Household> {
        let root = KeyPath::default().key("resident");
        self.unique(&root, &settings.resident.iter().map(|r| &r.id).collect::<Vec<_>>());
        let devices: Vec<KeyPath> =
            self.reader.elements("device").take(settings.device.len()).collect();
        let of_residents = settings.device.iter().zip(&devices);
        let of_residents: Vec<_> = of_residents.filter(|(d, _)| d.resident.is_some()).collect();
        if self.reader.is_whole(&root) {
            let ids: Vec<&str> = settings.resident.iter().map(|r| r.id.as_str()).collect();
            for (device, path) in &of_residents {
                let Some(id) = device.resident.as_deref().filter(|id| !ids.contains(id)) else {
                    continue;
                };
                // what is wrong with it is told where devices are looked at
                let tenant = settings.tenant.iter().find(|tenant| tenant.id == device.tenant);
                let is_care = tenant.is_some_and(|tenant| tenant.kind == TenantKind::Care);
                if !is_care || device.sensor.is_none() || device.bin.is_some() {
                    continue;
                }
                let help = match ids.is_empty() {
                    true => format!("add [[resident]] with id = \"{id}\" and consent"),
                    false => known(id, &ids, "residents"),
                };
                self.error(&path.key("resident"), format!("there is no resident \"{id}\""), help);
            }
        }
        let paths: Vec<KeyPath> =
            self.reader.elements_of(root).take(settings.resident.len()).collect();
        let mut households = Vec::new();
        for (resident, path) in settings.resident.iter().zip(&paths) {
            let theirs: Vec<_> = of_residents
                .iter()
                .filter(|(device, _)| device.resident.as_ref() == Some(&resident.id))
                .copied()
                .collect();
            households.extend(self.household(path, resident, &theirs, settings, profiles));
        }
        households
    }

    fn household(
        &mut self,
        path: &KeyPath,
        resident: &ResidentSettings,
        theirs: &[(&DeviceSettings, &KeyPath)],
        settings: &Settings,
        profiles: &Profiles,
    ) -> Option<Household> {
        let is_odd = |id: &str| {
            id.is_empty()
                || id.chars().count() > 64
                || id.contains(['+', '#', '/'])
                || id.contains(char::is_control)
        };
        if is_odd(&resident.id) {
            let help = "write a pseudonym of up to 64 characters without +, # and /";
            self.error(&path.key("id"), "this cannot be part of a topic", help);
        }
        let list = path.key("sensor");
        self.unique(&list, &resident.sensor.iter().map(|s| &s.id).collect::<Vec<_>>());
        let at: Vec<KeyPath> = self.reader.elements_of(list).take(resident.sensor.len()).collect();
        for (sensor, at) in resident.sensor.iter().zip(at) {
            if !theirs.iter().any(|(device, _)| device.sensor.as_ref() == Some(&sensor.id)) {
                let what = format!("no device is the sensor \"{}\" of this home", sensor.id);
                let help = format!(
                    "give its [[device]] resident = \"{}\" and sensor = \"{}\"",
                    resident.id, sensor.id
                );
                self.error(&at.key("id"), what, help);
            }
        }
        let Some((first, _)) = theirs.first() else {
            let what = format!("no device is in the home of \"{}\"", resident.id);
            let help = "give its devices `resident` and `sensor`, or remove the resident";
            self.error(&path.key("id"), what, help);
            return None;
        };
        let (mut sensors, mut devices) = (Vec::<Sensor>::new(), Vec::new());
        let mut is_whole = true;
        for (device, at) in theirs {
            if device.tenant != first.tenant {
                let help = "who is cared for belongs to one tenant: give all their devices to it";
                let what = "the home of a resident is divided between tenants";
                self.error(&at.key("tenant"), what, help);
            }
            let Some(name) = &device.sensor else { continue };
            if sensors.iter().any(|sensor| sensor.id == *name) {
                let what = format!("\"{name}\" is another device of this home already");
                let help = "give each a name of its own, and [[resident.sensor]] with its kind";
                self.error(&at.key("sensor"), what, help);
                continue;
            }
            let own = resident.sensor.iter().find(|sensor| sensor.id == *name);
            match profiles.by_name.get(&device.profile) {
                Some(profile) => match self.sensor_of(at, name, own, profile) {
                    Some(sensor) => {
                        sensors.push(sensor);
                        devices.push(device.dev_eui);
                    }
                    None => is_whole = false,
                },
                // told where devices are looked at
                None => is_whole = false,
            }
        }
        if !is_whole {
            // what is missing would be missed in rules that are right
            return None;
        }
        let tenant = settings.tenant.iter().find(|tenant| tenant.id == first.tenant)?;
        if tenant.kind != TenantKind::Care {
            return None;
        }
        let resident = self.resident(path, resident, &tenant.timezone.0, sensors)?;
        Some(Household { tenant: tenant.id.clone(), resident, devices })
    }

    /// What a device is in a home: by its own table, or by the name of its kind.
    fn sensor_of(
        &mut self,
        device: &KeyPath,
        name: &str,
        own: Option<&SensorSettings>,
        profile: &Profile,
    ) -> Option<Sensor> {
        let at = device.key("sensor");
        if own.is_none() && is_social_alarm(name) {
            let (what, help) = NO_SOCIAL_ALARM;
            self.error(&at, what, help);
            return None;
        }
        let by_name = SensorKind::ALL.iter().find(|(_, word)| *word == name).map(|(kind, _)| *kind);
        let Some(kind) = own.map(|own| own.kind).or(by_name) else {
            let what = format!("nobody says what kind of sensor \"{name}\" is");
            let help = "add [[resident.sensor]] with this id and its kind to the resident, or name \
                        it \"bed\", \"chair\", \"motion\", \"door\", \"toilet\" or \"button\"";
            self.error(&at, what, help);
            return None;
        };
        let says = |quantity| profile.readings.iter().any(|reading| reading.quantity == quantity);
        if !kind.quantities().iter().any(|quantity| says(*quantity)) {
            let word = kind.word();
            let what =
                format!("a {} says nothing that a sensor of kind \"{word}\" says", profile.model);
            let wanted: Vec<&str> = kind.quantities().iter().map(|q| q.as_str()).collect();
            let help = format!("a profile with {} is needed", wanted.join(" or "));
            self.error(&device.key("profile"), what, help);
            return None;
        }
        let supervised = own.and_then(|own| own.supervised) != Some(false);
        let heartbeat = own.and_then(|own| own.heartbeat).unwrap_or(profile.heartbeat);
        Some(Sensor {
            id: name.to_owned(),
            kind,
            hold: own.and_then(|own| own.hold).or(profile.hold).unwrap_or_default(),
            heartbeat: supervised.then_some(heartbeat),
            loss: own.and_then(|own| own.loss),
            sees_bed: own.is_some_and(|own| own.sees_bed),
        })
    }

    /// When who is told.
    pub(super) fn escalation(&mut self, path: &KeyPath, escalation: &EscalationSettings) {
        let EscalationSettings { primary, secondary, repeat, arrival } = *escalation;
        for (key, wait, longest) in [
            ("primary", primary, LONGEST_WAIT),
            ("secondary", secondary, LONGEST_WAIT),
            ("repeat", repeat, LONGEST_WAIT),
            ("arrival", arrival, 4 * LONGEST_WAIT),
        ] {
            if wait < Duration::from_secs(1) || wait > longest {
                let help = "write a time such as \"2min\", of an hour at most (`arrival`: 4h)";
                self.error(&path.key(key), "nobody is waited for so long, or so short", help);
            }
        }
        if repeat < primary.max(secondary) {
            let help = "write as much as the longer of `primary` and `secondary`, or more";
            let what = "the patrol's lead would be told more often than the others are waited for";
            self.error(&path.key("repeat"), what, help);
        }
    }
}
