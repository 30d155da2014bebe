//! From device settings to the registry: references, sessions, keys.

use super::check::Checks;
use super::key::KeyPath;
use super::profile::Profiles;
use super::read::known;
use super::secret::{read_key, well_known};
use super::settings::{
    AbpSettings, Activation, DeviceSettings, OtaaSettings, Settings, TenantKind,
};
use crate::device::{self, Abp, Device, Otaa};
use crate::units::{AesKey, DevAddr, DevEui, TenantId};
use std::collections::HashMap;
use std::path::PathBuf;

impl Checks<'_> {
    /// The devices that are sound.
    pub(super) fn devices(&mut self, settings: &Settings, profiles: &Profiles) -> Vec<Device> {
        let paths: Vec<KeyPath> =
            self.reader.elements("device").take(settings.device.len()).collect();
        let all = settings.device.iter().zip(&paths);
        self.unique_eui(all.clone());
        let devices: Vec<(Device, &KeyPath)> = all
            .filter_map(|(device, path)| {
                Some((self.device(path, device, settings, profiles)?, path))
            })
            .collect();
        self.unique_session(&devices);
        self.unique_bin(settings.device.iter().zip(&paths));
        devices.into_iter().map(|(device, _)| device).collect()
    }

    fn unique_eui<'a>(&mut self, all: impl Iterator<Item = (&'a DeviceSettings, &'a KeyPath)>) {
        let mut seen: HashMap<DevEui, &KeyPath> = HashMap::new();
        for (device, path) in all {
            if let Some(earlier) = seen.get(&device.dev_eui) {
                let what = format!("device {} is there twice", device.dev_eui);
                let help = "remove one of the two, or mend its DevEUI";
                self.twice(&path.key("dev_eui"), &earlier.key("dev_eui"), what, help);
            } else {
                seen.insert(device.dev_eui, path);
            }
        }
    }

    /// Two sensors in one bin would be taken for one that sees something else each time: emptyings
    /// that nobody made, fires from the sun on one of them, and no word when one is silent.
    fn unique_bin<'a>(&mut self, all: impl Iterator<Item = (&'a DeviceSettings, &'a KeyPath)>) {
        let mut seen: HashMap<(&TenantId, &str), (DevEui, &KeyPath)> = HashMap::new();
        for (device, path) in all {
            let Some(bin) = &device.bin else { continue };
            let (earlier, at) =
                *seen.entry((&device.tenant, bin)).or_insert((device.dev_eui, path));
            if earlier == device.dev_eui {
                continue; // the same one, or already told as the same device twice
            }
            let what = format!("bin \"{bin}\" has two sensors, {earlier} and {}", device.dev_eui);
            let help = "a bin is understood by one: remove `bin` from the one that was replaced or \
                        says less, or name a second compartment \"…-b\"";
            self.twice(&path.key("bin"), &at.key("bin"), what, help);
        }
    }

    /// Devices may share a DevAddr: the keys tell them apart. Without that, each would
    /// answer for the other.
    fn unique_session(&mut self, devices: &[(Device, &KeyPath)]) {
        let mut seen: HashMap<(DevAddr, [u8; 16]), (&Device, &KeyPath)> = HashMap::new();
        for (device, path) in devices {
            let device::Activation::Abp(session) = &device.activation else { continue };
            let Some((earlier, at)) =
                seen.insert((session.dev_addr, session.nwk_s_key.0), (device, path))
            else {
                continue;
            };
            if earlier.dev_eui == device.dev_eui {
                continue; // already told as the same device twice
            }
            let what = format!(
                "devices {} and {} have the same DevAddr and the same network session key: \
                 their frames cannot be told apart",
                earlier.dev_eui, device.dev_eui
            );
            let dev_addr = |path: &KeyPath| path.key("activation").key("abp").key("dev_addr");
            let help = "look up both sessions in the vendor's key list";
            self.twice(&dev_addr(path), &dev_addr(at), what, help);
        }
    }

    fn device(
        &mut self,
        path: &KeyPath,
        device: &DeviceSettings,
        settings: &Settings,
        profiles: &Profiles,
    ) -> Option<Device> {
        let tenant = settings.tenant.iter().find(|tenant| tenant.id == device.tenant);
        match tenant {
            Some(tenant) => self.purpose(path, device, tenant.kind),
            // a tenant that could not be read has been told of already
            None if self.reader.is_whole(&KeyPath::default().key("tenant")) => {
                let ids: Vec<&str> = settings.tenant.iter().map(|t| t.id.as_str()).collect();
                let what = format!("there is no tenant \"{}\"", device.tenant);
                let help = known(device.tenant.as_str(), &ids, "tenants");
                self.error(&path.key("tenant"), what, help);
            }
            None => {}
        }
        let profile = profiles.by_name.get(&device.profile);
        if profile.is_none() {
            let help = known(&device.profile, &profiles.names(), "profiles");
            self.error(&path.key("profile"), "there is no such profile", help);
        }
        let at = path.key("activation");
        let activation = match &device.activation {
            Activation::Abp(abp) => self.session(&at.key("abp"), abp).map(device::Activation::Abp),
            Activation::Otaa(otaa) => {
                self.join(&at.key("otaa"), otaa).map(device::Activation::Otaa)
            }
        };
        tenant?;
        Some(Device {
            dev_eui: device.dev_eui,
            name: device.name.clone().unwrap_or_else(|| device.dev_eui.to_string()),
            tenant: device.tenant.clone(),
            profile: profile?.clone(),
            activation: activation?,
            bin: device.bin.clone(),
            resident: device.resident.clone(),
            sensor: device.sensor.clone(),
        })
    }

    /// A sensor hangs in a bin or in a home, and its tenant says which is possible.
    fn purpose(&mut self, path: &KeyPath, device: &DeviceSettings, kind: TenantKind) {
        if device.bin.is_some() && device.resident.is_some() {
            let help = "remove one of the two: a sensor sits in a bin or in a home";
            self.error(&path.key("resident"), "both `bin` and `resident` are given", help);
        }
        match (&device.resident, &device.sensor) {
            (Some(_), None) => {
                let help = "add sensor = \"bed\" (or door, chair …): its name in that home";
                self.error(&path.key("resident"), "`resident` is given without `sensor`", help);
            }
            (None, Some(_)) => {
                let help = "add resident = \"…\": the pseudonym of who lives there";
                self.error(&path.key("sensor"), "`sensor` is given without `resident`", help);
            }
            _ => {}
        }
        if device.bin.is_some() && kind == TenantKind::Care {
            let help = "give the device to a tenant of kind \"waste\", or remove `bin`";
            self.error(&path.key("bin"), "a bin cannot belong to a care tenant", help);
        }
        if device.resident.is_some() && kind != TenantKind::Care {
            let help = "give the device to a tenant of kind \"care\": others publish raw data";
            self.error(&path.key("resident"), "a resident needs a care tenant", help);
        }
        // it is part of every message
        if device.name.as_ref().is_some_and(|name| name.chars().count() > 128) {
            let help = "shorten it: it is sent along with every message";
            self.error(&path.key("name"), "`name` has more than 128 characters", help);
        }
        for (name, value) in
            [("bin", &device.bin), ("resident", &device.resident), ("sensor", &device.sensor)]
        {
            let odd = |text: &String| {
                text.is_empty() || text.contains(['+', '#', '/']) || text.contains(char::is_control)
            };
            if value.as_ref().is_some_and(odd) {
                let help = "it becomes part of topics: leave out +, # and /";
                self.error(&path.key(name), format!("`{name}` cannot be part of a topic"), help);
            }
        }
    }

    fn session(&mut self, path: &KeyPath, abp: &AbpSettings) -> Option<Abp> {
        let nwk_s_key =
            self.key(path, "nwk_s_key", abp.nwk_s_key.as_ref(), abp.nwk_s_key_file.as_ref());
        let app_s_key =
            self.key(path, "app_s_key", abp.app_s_key.as_ref(), abp.app_s_key_file.as_ref());
        Some(Abp { dev_addr: abp.dev_addr, nwk_s_key: nwk_s_key?, app_s_key: app_s_key? })
    }

    fn join(&mut self, path: &KeyPath, otaa: &OtaaSettings) -> Option<Otaa> {
        let app_key = self.key(path, "app_key", otaa.app_key.as_ref(), otaa.app_key_file.as_ref());
        Some(Otaa { join_eui: otaa.join_eui, app_key: app_key? })
    }

    /// Exactly one of a key and its file.
    fn key(
        &mut self,
        path: &KeyPath,
        name: &str,
        key: Option<&AesKey>,
        file: Option<&PathBuf>,
    ) -> Option<AesKey> {
        let file_name = format!("{name}_file");
        let (at, key) = match (key, file) {
            (Some(key), None) => (path.key(name), key.clone()),
            (None, Some(file)) => {
                let at = path.key(&file_name);
                let (_, key) = self.secret(&at, file, read_key)?;
                (at, key?)
            }
            (Some(_), Some(_)) => {
                let what = format!("both `{name}` and `{file_name}` are given");
                self.error(&path.key(&file_name), what, "keep one of the two");
                return None;
            }
            (None, None) => {
                let what = format!("neither `{name}` nor `{file_name}` is given");
                let help =
                    format!("add {name} with 32 hexadecimal digits from the vendor's key list");
                self.error(&path.key(name), what, help);
                return None;
            }
        };
        if let Some(why) = well_known(&key.0) {
            self.warning(
                &at,
                why,
                "everybody can read and forge this sensor's data: set a key of its own",
            );
        }
        Some(key)
    }
}
