//! `[[device]]` tables as text: writing them, and reading them back.

use super::{Activation, Imported};
use crate::config::file::File;
use crate::config::key::KeyPath;
use crate::config::layer::{Environment, Layers};
use crate::config::read::{Read, Reader};
use crate::config::settings::DeviceSettings;
use crate::units::TenantId;
use std::fmt::Write;
use std::path::Path;

/// The devices as the text of a file for `devices.d`.
pub fn to_toml(devices: &[Imported], tenant: &TenantId) -> String {
    let quoted = |text: &str| toml_edit::Value::from(text).to_string();
    let mut text = String::from("# Contains keys: keep it readable for the service's user only.\n");
    for device in devices {
        let tenant = tenant.as_str();
        let _ =
            write!(text, "\n[[device]]\ntenant = \"{tenant}\"\ndev_eui = \"{}\"\n", device.dev_eui);
        let profile = Some(&device.profile);
        for (key, value) in [
            ("name", device.name.as_ref()),
            ("profile", profile),
            ("bin", device.bin.as_ref()),
            ("resident", device.resident.as_ref()),
            ("sensor", device.sensor.as_ref()),
        ] {
            if let Some(value) = value {
                let _ = writeln!(text, "{key} = {}", quoted(value));
            }
        }
        let _ = match &device.activation {
            Activation::Abp { dev_addr, nwk_s_key, app_s_key } => writeln!(
                text,
                "activation = {{ abp = {{ dev_addr = \"{dev_addr}\", nwk_s_key = \"{}\", app_s_key = \"{}\" }} }}",
                nwk_s_key.0, app_s_key.0
            ),
            Activation::Otaa { join_eui, app_key } => writeln!(
                text,
                "activation = {{ otaa = {{ join_eui = \"{join_eui}\", app_key = \"{}\" }} }}",
                app_key.0
            ),
        };
    }
    text
}

/// The devices of the text of a `devices.d` file, or nothing when something in it is wrong.
/// For a look at what [`to_toml`] wrote, before it is trusted.
pub fn read_back(text: &str) -> Option<Vec<DeviceSettings>> {
    let file = File::parse(Path::new("devices.d"), text.to_owned()).ok()?;
    let layers = Layers::new(vec![file], Environment::new([]));
    let list = layers.merged().as_dict()?.get("device")?;
    let mut reader = Reader::default();
    let devices = Vec::<DeviceSettings>::read(&mut reader, &KeyPath::default().key("device"), list);
    devices.filter(|_| reader.faults.is_empty())
}
