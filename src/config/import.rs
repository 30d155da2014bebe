//! Device lists of other network servers: CSV files to `[[device]]` tables.
//!
//! The columns are those of The Things Stack's CSV import (`dev_eui;join_eui;name;…`, with a
//! semicolon; `dev_addr`, `f_nwk_s_int_key` and `app_s_key` for a session) and of the CSV
//! scripts around ChirpStack (`dev_eui,name,…,dev_addr,
//! nwk_s_enc_key,app_s_key`). Names are compared without case and separators.

use super::file::File;
use super::key::KeyPath;
use super::layer::{Environment, Layers};
use super::read::{Read, Reader, known};
use super::settings::DeviceSettings;
use crate::units::{AesKey, DevAddr, DevEui, TenantId};
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::path::Path;

/// A device as a row of the file gives it. Its session is fixed.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// Its line in the CSV file, from 1.
    pub line: u64,
    /// Its DevEUI.
    pub dev_eui: DevEui,
    /// What people call it.
    pub name: Option<String>,
    /// The profile of its model.
    pub profile: String,
    /// Whether the file has keys for joins over the air, too: after its next join the
    /// device has another session.
    pub also_joins: bool,
    dev_addr: DevAddr,
    nwk_s_key: Hidden,
    app_s_key: Hidden,
    bin: Option<String>,
    resident: Option<String>,
    sensor: Option<String>,
}

/// A key as text, for the file to be written. Its `Debug` hides it.
#[derive(Clone, PartialEq)]
struct Hidden(String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Why a row cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Its line, from 1.
    pub line: u64,
    /// The column's name in the file, where it is about one.
    pub column: Option<String>,
    /// What is wrong, and what to do.
    pub why: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "line {}, column {column}: {}", self.line, self.why),
            None => write!(f, "line {}: {}", self.line, self.why),
        }
    }
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Import {
    /// Devices with a session.
    pub devices: Vec<Imported>,
    /// Rows with keys for joins over the air only, with their DevEUI.
    pub joins: Vec<(u64, DevEui)>,
    /// Rows that cannot be understood.
    pub bad: Vec<BadRow>,
}

/// A file that is no device list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Text in another encoding.
    #[error("line {0} is not UTF-8 text: export again as \"CSV UTF-8\"")]
    Encoding(usize),
    /// A spreadsheet's "Unicode text", or the spreadsheet itself.
    #[error("this is {0}, not a CSV file: export again as \"CSV UTF-8\"")]
    Format(&'static str),
    /// Nothing in it.
    #[error("the file is empty: the first line must name the columns")]
    Empty,
    /// A first line without the one column that is needed.
    #[error(
        "the first line names no column dev_eui (it names: {0}): the first line must name the columns"
    )]
    NoDevEui(String),
    /// The CSV itself is broken.
    #[error("line {line}: {why}")]
    Csv {
        /// Its line, from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
}

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
    pub(super) const JOIN: &[&str] = &[
        "appkey",
        "nwkkey",
        "applicationkey",
        "genappkey",
        "rootkeysappkeykey",
        "rootkeysnwkkeykey",
    ];
    pub(super) const SUPPORTS_JOIN: &[&str] = &["supportsjoin"];
    pub(super) const NAME: &[&str] = &["name", "devicename", "id", "deviceid", "idsdeviceid"];
    pub(super) const PROFILE: &[&str] =
        &["profile", "deviceprofilename", "deviceprofile", "modelid", "versionidsmodelid", "model"];
    pub(super) const BIN: &[&str] = &["bin"];
    pub(super) const RESIDENT: &[&str] = &["resident"];
    pub(super) const SENSOR: &[&str] = &["sensor"];
}

/// Reads a CSV file. `profile` is for rows that name none of the `profiles`.
///
/// # Errors
/// When the file as a whole is no device list; a bad row is noted in the result.
pub fn read_csv(
    bytes: &[u8],
    profile: Option<&str>,
    profiles: &[&str],
) -> Result<Import, ImportError> {
    let text = text(bytes)?;
    let header = text.lines().find(|line| !line.trim().is_empty()).ok_or(ImportError::Empty)?;
    let mut csv = csv::ReaderBuilder::new()
        .delimiter(delimiter(header))
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let head = csv.headers().map_err(|e| broken(&e))?.clone();
    let sheet = Sheet { columns: head.iter().map(plain).collect(), head, profile, profiles };
    if sheet.column(columns::DEV_EUI).is_none() {
        let names = sheet.head.iter().collect::<Vec<_>>().join(", ");
        return Err(ImportError::NoDevEui(super::mask::line(&names).chars().take(200).collect()));
    }
    let mut import = Import::default();
    let mut seen: HashMap<DevEui, u64> = HashMap::new();
    let mut lines = Lines { text, line: 1, at: 0 };
    for row in csv.records() {
        let row = row.map_err(|e| broken(&e))?;
        let line = lines.of(&row);
        if row.iter().all(str::is_empty) {
            continue;
        }
        let outcome = sheet.row(line, &row).and_then(|found| {
            let dev_eui = match &found {
                Row::Session(device) => device.dev_eui,
                Row::Join(dev_eui) => *dev_eui,
            };
            match seen.insert(dev_eui, line) {
                Some(first) => Err(sheet.bad(
                    line,
                    columns::DEV_EUI,
                    format!("device {dev_eui} is already in line {first}: remove one of the two"),
                )),
                None => Ok(found),
            }
        });
        match outcome {
            Ok(Row::Session(device)) => import.devices.push(*device),
            Ok(Row::Join(dev_eui)) => import.joins.push((line, dev_eui)),
            Err(bad) => import.bad.push(bad),
        }
    }
    Ok(import)
}

fn text(bytes: &[u8]) -> Result<&str, ImportError> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(ImportError::Format("UTF-16 text"));
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(ImportError::Format("a spreadsheet"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|e| {
        let before = &bytes[..e.valid_up_to()];
        ImportError::Encoding(before.iter().filter(|b| **b == b'\n').count() + 1)
    })
}

fn delimiter(header: &str) -> u8 {
    let count = |d: u8| header.bytes().filter(|b| *b == d).count();
    // of equals the last wins: a comma is what the name says
    [b'\t', b';', b','].into_iter().max_by_key(|d| count(*d)).unwrap_or(b',')
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

fn broken(error: &csv::Error) -> ImportError {
    let line = error.position().map_or(1, csv::Position::line);
    ImportError::Csv { line, why: "this row is not CSV".to_owned() }
}

/// Counts lines. The reader's own count is one short for rows that end in CR LF.
struct Lines<'t> {
    text: &'t str,
    line: u64,
    at: usize,
}

impl Lines<'_> {
    /// The line of a row, from 1; rows must come in order.
    fn of(&mut self, row: &csv::StringRecord) -> u64 {
        let byte = row.position().and_then(|p| usize::try_from(p.byte()).ok());
        let rest = byte.and_then(|byte| self.text.get(byte..)).unwrap_or_default();
        // a row begins, for the reader, where the one before it ended
        let start = self.text.len() - rest.trim_start_matches(['\r', '\n']).len();
        let passed = self.text.get(self.at..start).unwrap_or_default();
        self.line += passed.bytes().filter(|b| *b == b'\n').count() as u64;
        self.at = self.at.max(start);
        self.line
    }
}

enum Row {
    Session(Box<Imported>),
    Join(DevEui),
}

struct Sheet<'a> {
    /// As the file has them.
    head: csv::StringRecord,
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
    fn cell<'r>(&self, row: &'r csv::StringRecord, names: &[&str]) -> Option<(usize, &'r str)> {
        names
            .iter()
            .filter_map(|name| self.columns.iter().position(|column| column == name))
            .filter_map(|index| Some((index, row.get(index)?)))
            .find(|(_, cell)| !cell.is_empty())
    }

    fn bad(&self, line: u64, names: &[&str], why: impl Into<String>) -> BadRow {
        let column = self.column(names).and_then(|index| self.head.get(index));
        BadRow { line, column: column.map(str::to_owned), why: why.into() }
    }

    fn row(&self, line: u64, row: &csv::StringRecord) -> Result<Row, BadRow> {
        if row.len() != self.head.len() {
            let why = format!(
                "{} fields where the first line names {}: is a delimiter missing, or a text unquoted?",
                row.len(),
                self.head.len()
            );
            return Err(BadRow { line, column: None, why });
        }
        let dev_eui: DevEui = self.parsed(line, row, columns::DEV_EUI)?;
        let session = [columns::DEV_ADDR, columns::NWK_S_KEY, columns::APP_S_KEY];
        let is_abp = self
            .cell(row, columns::SUPPORTS_JOIN)
            .is_some_and(|(_, text)| text.eq_ignore_ascii_case("false") || text == "0");
        let joins = !is_abp && self.cell(row, columns::JOIN).is_some();
        if session.iter().all(|names| self.cell(row, names).is_none()) {
            return match joins {
                true => Ok(Row::Join(dev_eui)),
                false => Err(self.bad(
                    line,
                    columns::DEV_ADDR,
                    "no session: dev_addr, nwk_s_key and app_s_key are needed",
                )),
            };
        }
        self.lorawan_1_0(line, row)?;
        let text = |names| self.cell(row, names).map(|(_, text)| text.to_owned());
        let _: AesKey = self.parsed(line, row, columns::NWK_S_KEY)?;
        let _: AesKey = self.parsed(line, row, columns::APP_S_KEY)?;
        Ok(Row::Session(Box::new(Imported {
            line,
            dev_eui,
            name: text(columns::NAME),
            profile: self.profile(line, row)?,
            also_joins: joins,
            dev_addr: self.parsed(line, row, columns::DEV_ADDR)?,
            nwk_s_key: Hidden(text(columns::NWK_S_KEY).map(hexadecimal).unwrap_or_default()),
            app_s_key: Hidden(text(columns::APP_S_KEY).map(hexadecimal).unwrap_or_default()),
            bin: text(columns::BIN),
            resident: text(columns::RESIDENT),
            sensor: text(columns::SENSOR),
        })))
    }

    /// LoRaWAN 1.1 has three network session keys that differ; this version knows 1.0.x.
    fn lorawan_1_0(&self, line: u64, row: &csv::StringRecord) -> Result<(), BadRow> {
        let names = ["fnwksintkey", "snwksintkey", "nwksenckey"];
        let mut keys: Vec<String> = names
            .iter()
            .filter_map(|name| self.cell(row, &[name]))
            .map(|(_, key)| hexadecimal(key.to_owned()))
            .collect();
        keys.dedup();
        match keys.len() {
            0 | 1 => Ok(()),
            _ => Err(self.bad(
                line,
                &names,
                "a LoRaWAN 1.1 session, with three network session keys: this version knows 1.0.x",
            )),
        }
    }

    fn parsed<T>(&self, line: u64, row: &csv::StringRecord, names: &[&str]) -> Result<T, BadRow>
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
            return Err(self.bad(line, names, why));
        };
        hexadecimal(text.to_owned()).parse().map_err(|e: T::Err| BadRow {
            line,
            column: self.head.get(index).map(str::to_owned),
            why: match text.contains(['+', '.', ',']) {
                true => "a spreadsheet has turned this into a number: format the column as text, \
                         enter it again and export again"
                    .to_owned(),
                false => e.to_string(),
            },
        })
    }

    fn profile(&self, line: u64, row: &csv::StringRecord) -> Result<String, BadRow> {
        let named = self.cell(row, columns::PROFILE);
        let is = |text: &str| {
            self.profiles.iter().find(|profile| plain(profile) == plain(text)).copied()
        };
        match (named.and_then(|(_, text)| is(text)), self.profile, named) {
            (Some(profile), _, _) | (None, Some(profile), _) => Ok(profile.to_owned()),
            (None, None, Some((index, text))) => Err(BadRow {
                line,
                column: self.head.get(index).map(str::to_owned),
                why: format!(
                    "no profile is called {text:?} ({}); give --profile NAME for such rows",
                    known(text, self.profiles, "profiles")
                ),
            }),
            (None, None, None) => Err(BadRow {
                line,
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
        _ => "app_s_key",
    }
}

/// Hexadecimal digits as they are stored, of any way of writing them.
fn hexadecimal(text: String) -> String {
    let text = text.trim_start_matches('\'');
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    digits
        .chars()
        .filter(|c| !matches!(c, '-' | ':' | ' '))
        .collect::<String>()
        .to_ascii_lowercase()
}

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
        let _ = writeln!(
            text,
            "activation = {{ abp = {{ dev_addr = \"{}\", nwk_s_key = \"{}\", app_s_key = \"{}\" }} }}",
            device.dev_addr, device.nwk_s_key.0, device.app_s_key.0
        );
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
