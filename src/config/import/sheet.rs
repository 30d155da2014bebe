//! Which columns mean what, and from rows to devices.

use super::cells::Cells;
use super::{Activation, BadRow, Hidden, Import, ImportError, Imported, Row};
use crate::config::mask;
use crate::config::read::known;
use crate::units::{AesKey, DevEui};
use std::collections::HashMap;
use std::fmt;

/// Names of a column, without case and separators, the preferred one first.
mod columns {
    pub(super) const DEV_EUI: &[&str] = &["deveui", "deviceeui", "idsdeveui", "eui"];
    pub(super) const DEV_ADDR: &[&str] = &["devaddr", "deviceaddress", "sessiondevaddr"];
    /// LoRaWAN 1.0 has one network session key. ChirpStack 4 stores it three times under the
    /// names of LoRaWAN 1.1, The Things Stack as FNwkSIntKey.
    pub(super) const NWK_S_KEY: &[&str] = &[
        "nwkskey",
        "networksessionkey",
        "fnwksintkey",
        "sessionkeysfnwksintkeykey",
        "nwksenckey",
        "snwksintkey",
    ];
    pub(super) const APP_S_KEY: &[&str] =
        &["appskey", "applicationsessionkey", "sessionkeysappskeykey"];
    pub(super) const JOIN_EUI: &[&str] = &["joineui", "appeui", "applicationeui", "idsjoineui"];
    /// LoRaWAN 1.0 has one root key, the AppKey. The Things Stack calls it so; ChirpStack 4
    /// keeps it as NwkKey and leaves its AppKey empty.
    pub(super) const ROOT_KEY: &[&str] =
        &["appkey", "applicationkey", "rootkeysappkeykey", "nwkkey", "rootkeysnwkkeykey"];
    pub(super) const SUPPORTS_JOIN: &[&str] = &["supportsjoin"];
    pub(super) const NAME: &[&str] = &["name", "devicename", "id", "deviceid", "idsdeviceid"];
    pub(super) const PROFILE: &[&str] =
        &["profile", "deviceprofilename", "deviceprofile", "modelid", "versionidsmodelid", "model"];
    pub(super) const BIN: &[&str] = &["bin"];
    pub(super) const RESIDENT: &[&str] = &["resident"];
    pub(super) const SENSOR: &[&str] = &["sensor"];
}

/// Reads a CSV or JSON file. `profile` is for rows that name none of the `profiles`.
///
/// # Errors
/// When the file as a whole is no device list; a bad row is noted in the result.
pub fn read(bytes: &[u8], profile: Option<&str>, profiles: &[&str]) -> Result<Import, ImportError> {
    let Cells { head, rows } = Cells::read(bytes)?;
    let columns = head.iter().map(|name| column(name)).collect();
    let sheet = Sheet { columns, head, profile, profiles };
    if sheet.column(columns::DEV_EUI).is_none() {
        let names = sheet.head.join(", ");
        return Err(ImportError::NoDevEui(mask::line(&names).chars().take(200).collect()));
    }
    let mut import = Import::default();
    let mut seen: HashMap<DevEui, Row> = HashMap::new();
    for (row, cells) in rows {
        let outcome = sheet.device(row, &cells).and_then(|device| {
            let dev_eui = device.dev_eui;
            match seen.insert(dev_eui, row) {
                Some(first) => Err(sheet.bad(
                    row,
                    columns::DEV_EUI,
                    format!("device {dev_eui} is already in {first}: remove one of the two"),
                )),
                None => Ok(device),
            }
        });
        match outcome {
            Ok(device) => import.devices.push(device),
            Err(bad) => import.bad.push(bad),
        }
    }
    Ok(import)
}

/// A name without case and separators. ChirpStack's interface puts all of a device into
/// `device`, and its keys into `deviceKeys` and `deviceActivation`.
fn column(name: &str) -> String {
    let wrappers = ["deviceKeys.", "deviceActivation.", "device."];
    let inner = wrappers.iter().find_map(|wrapper| name.strip_prefix(wrapper));
    plain(inner.unwrap_or(name))
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

struct Sheet<'a> {
    /// As the file has them.
    head: Vec<String>,
    /// Without case and separators.
    columns: Vec<String>,
    profile: Option<&'a str>,
    profiles: &'a [&'a str],
}

impl Sheet<'_> {
    fn column(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.columns.iter().position(|column| column == name))
    }

    /// The first filled cell of the columns that mean the same.
    fn cell<'r>(&self, row: &'r [String], names: &[&str]) -> Option<(usize, &'r str)> {
        let with = |name| (0..).zip(&self.columns).filter(move |(_, column)| column == name);
        names
            .iter()
            .flat_map(with)
            .filter_map(|(index, _)| Some((index, row.get(index)?.as_str())))
            .find(|(_, cell)| !cell.is_empty())
    }

    fn bad(&self, at: Row, names: &[&str], why: impl Into<String>) -> BadRow {
        let column = self.column(names).and_then(|index| self.head.get(index));
        BadRow { row: at, column: column.cloned(), why: why.into() }
    }

    fn device(&self, at: Row, row: &[String]) -> Result<Imported, BadRow> {
        if row.len() != self.head.len() {
            let why = format!(
                "{} fields where the first line names {}: is a delimiter missing, or a text unquoted?",
                row.len(),
                self.head.len()
            );
            return Err(BadRow { row: at, column: None, why });
        }
        let dev_eui: DevEui = self.parsed(at, row, columns::DEV_EUI)?;
        let session = [columns::DEV_ADDR, columns::NWK_S_KEY, columns::APP_S_KEY];
        let has_session = session.iter().any(|names| self.key(row, names).is_some());
        let is_abp = self
            .cell(row, columns::SUPPORTS_JOIN)
            .is_some_and(|(_, text)| text.eq_ignore_ascii_case("false") || text == "0");
        let joins = !is_abp && self.key(row, columns::ROOT_KEY).is_some();
        let activation = match (joins, has_session) {
            (true, _) => self.join(at, row)?,
            (false, true) => self.session(at, row)?,
            (false, false) => {
                let why = "no keys: app_key and join_eui are needed, or, for a fixed session, \
                           dev_addr, nwk_s_key and app_s_key";
                return Err(BadRow { row: at, column: None, why: why.to_owned() });
            }
        };
        let text = |names| self.cell(row, names).map(|(_, text)| text.to_owned());
        Ok(Imported {
            row: at,
            dev_eui,
            name: text(columns::NAME),
            profile: self.profile(at, row)?,
            leaves_session: joins && has_session,
            activation,
            bin: text(columns::BIN),
            resident: text(columns::RESIDENT),
            sensor: text(columns::SENSOR),
        })
    }

    fn join(&self, at: Row, row: &[String]) -> Result<Activation, BadRow> {
        let mut keys: Vec<String> = columns::ROOT_KEY
            .iter()
            .filter_map(|name| self.key(row, &[name]))
            .map(|(_, key)| hexadecimal(key))
            .collect();
        keys.dedup();
        if keys.len() > 1 {
            let why = "a LoRaWAN 1.1 device, with two root keys: this version knows 1.0.x";
            return Err(self.bad(at, columns::ROOT_KEY, why));
        }
        Ok(Activation::Otaa {
            join_eui: self.parsed(at, row, columns::JOIN_EUI)?,
            app_key: self.aes_key(at, row, columns::ROOT_KEY)?,
        })
    }

    fn session(&self, at: Row, row: &[String]) -> Result<Activation, BadRow> {
        self.lorawan_1_0(at, row)?;
        Ok(Activation::Abp {
            nwk_s_key: self.aes_key(at, row, columns::NWK_S_KEY)?,
            app_s_key: self.aes_key(at, row, columns::APP_S_KEY)?,
            dev_addr: self.parsed(at, row, columns::DEV_ADDR)?,
        })
    }

    /// As [`Sheet::cell`]; some exports fill in zeros where there is no key.
    fn key<'r>(&self, row: &'r [String], names: &[&str]) -> Option<(usize, &'r str)> {
        let mut filled = names.iter().filter_map(|name| self.cell(row, &[name]));
        filled.find(|(_, text)| text.chars().any(|c| c != '0'))
    }

    /// The text of a key that is one.
    fn aes_key(&self, at: Row, row: &[String], names: &[&str]) -> Result<Hidden, BadRow> {
        let found = names.iter().find(|name| self.key(row, &[name]).is_some());
        let names = found.map_or(names, std::slice::from_ref);
        let _: AesKey = self.parsed(at, row, names)?;
        Ok(Hidden(self.cell(row, names).map(|(_, text)| hexadecimal(text)).unwrap_or_default()))
    }

    /// LoRaWAN 1.1 has three network session keys that differ; this version knows 1.0.x.
    fn lorawan_1_0(&self, at: Row, row: &[String]) -> Result<(), BadRow> {
        let names = ["fnwksintkey", "snwksintkey", "nwksenckey"];
        let mut keys: Vec<String> = names
            .iter()
            .filter_map(|name| self.cell(row, &[name]))
            .map(|(_, key)| hexadecimal(key))
            .collect();
        keys.dedup();
        match keys.len() {
            0 | 1 => Ok(()),
            _ => Err(self.bad(
                at,
                &names,
                "a LoRaWAN 1.1 session, with three network session keys: this version knows 1.0.x",
            )),
        }
    }

    fn parsed<T>(&self, at: Row, row: &[String], names: &[&str]) -> Result<T, BadRow>
    where
        T: std::str::FromStr,
        T::Err: fmt::Display,
    {
        let Some((index, text)) = self.cell(row, names) else {
            let why = match self.column(names) {
                Some(_) => "the field is empty".to_owned(),
                None => {
                    format!("there is no column for it in this file (such as {})", spelled(names))
                }
            };
            return Err(self.bad(at, names, why));
        };
        hexadecimal(text).parse().map_err(|e: T::Err| BadRow {
            row: at,
            column: self.head.get(index).cloned(),
            why: match text.contains(['+', '.', ',']) {
                true => "a spreadsheet has turned this into a number: format the column as text, \
                         enter it again and export again"
                    .to_owned(),
                false => e.to_string(),
            },
        })
    }

    fn profile(&self, at: Row, row: &[String]) -> Result<String, BadRow> {
        let named = self.cell(row, columns::PROFILE);
        let is = |text: &str| {
            self.profiles.iter().find(|profile| plain(profile) == plain(text)).copied()
        };
        match (named.and_then(|(_, text)| is(text)), self.profile, named) {
            (Some(profile), _, _) | (None, Some(profile), _) => Ok(profile.to_owned()),
            (None, None, Some((index, text))) => Err(BadRow {
                row: at,
                column: self.head.get(index).cloned(),
                why: format!(
                    "no profile is called {text:?} ({}); give --profile NAME for such rows",
                    known(text, self.profiles, "profiles")
                ),
            }),
            (None, None, None) => Err(BadRow {
                row: at,
                column: None,
                why: "the profile is not known: give --profile NAME or a column `profile`".into(),
            }),
        }
    }
}

/// How a column is usually spelled.
fn spelled(names: &[&str]) -> &'static str {
    match names.first() {
        Some(&"deveui") => "dev_eui",
        Some(&"devaddr") => "dev_addr",
        Some(&"nwkskey") => "nwk_s_key",
        Some(&"joineui") => "join_eui",
        _ => "app_s_key",
    }
}

/// Hexadecimal digits as they are stored, of any way of writing them.
fn hexadecimal(text: &str) -> String {
    let text = text.trim_start_matches('\'');
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    digits
        .chars()
        .filter(|c| !matches!(c, '-' | ':' | ' '))
        .collect::<String>()
        .to_ascii_lowercase()
}
