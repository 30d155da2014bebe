//! From merged layers to typed settings, noting everything that is wrong on the way.

use super::file::plain;
use super::key::KeyPath;
use super::layer::Part;
use super::schema::{Key, Read, Shape, Table};
use super::settings::{BrokerUrl, Protocol, TenantKind};
use crate::units::{AesKey, DevAddr, DevEui, GatewayEui, GatewayId, TenantId, duration};
use figment::value::{Dict, Value};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A fault before its place is looked up.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) path: KeyPath,
    pub(super) part: Part,
    pub(super) what: String,
    pub(super) help: String,
    /// A setting that belongs to it, and why.
    pub(super) see: Option<(KeyPath, String)>,
    /// See [`super::problem::Problem::of_machine`].
    pub(super) of_machine: bool,
}

/// A setting that holds, for the list that `lykta check` prints.
pub(super) struct Leaf {
    pub(super) path: KeyPath,
    /// As TOML; a secret is masked.
    pub(super) value: String,
    pub(super) is_default: bool,
    pub(super) is_secret: bool,
}

/// Collects what is wrong and what holds.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) faults: Vec<Fault>,
    pub(super) leaves: Vec<Leaf>,
    /// Elements of lists that could not be read and are left out.
    unread: HashSet<KeyPath>,
    /// Keys of which a mistyped form was found: that they are missing adds nothing.
    mistyped: HashSet<KeyPath>,
}

/// Keys that later versions know, with what to do in this one.
const LATER: &[(&str, &str, &str)] = &[
    (
        "radio",
        "this version hears concentrators over Semtech UDP only, not a radio HAT",
        "remove [[radio]], connect a concentrator and set [concentrator] listen",
    ),
    (
        "otaa",
        "this version knows ABP only: joins over the air (OTAA) come with the radio",
        "give the device a fixed session: activation = { abp = { dev_addr, nwk_s_key, app_s_key } }",
    ),
    (
        "bin",
        "this version keeps no details of bins",
        "remove [bin.…]; `bin = \"…\"` in a device stays",
    ),
    (
        "resident",
        "this version keeps no details of residents",
        "remove [[resident]]; `resident` and `sensor` in a device stay",
    ),
];

impl Reader {
    /// The paths of the elements that were read of a list of the root table, in order.
    pub(super) fn elements(&self, list: &str) -> impl Iterator<Item = KeyPath> {
        let list = KeyPath::default().key(list);
        (0..).map(move |i| list.element(i)).filter(|path| !self.unread.contains(path))
    }

    /// Whether all elements of a list could be read.
    pub(super) fn is_whole(&self, list: &KeyPath) -> bool {
        !self.unread.iter().any(|path| path.is_element_of(list))
    }

    /// Notes what is wrong with a value.
    pub(super) fn wrong(
        &mut self,
        path: &KeyPath,
        what: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.fault(path, Part::Value, what, help);
    }

    /// Notes what is wrong with a key.
    pub(super) fn wrong_key(
        &mut self,
        path: &KeyPath,
        what: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.fault(path, Part::Key, what, help);
    }

    fn fault(
        &mut self,
        path: &KeyPath,
        part: Part,
        what: impl Into<String>,
        help: impl Into<String>,
    ) {
        let (what, help) = (what.into(), help.into());
        self.faults.push(Fault {
            path: path.clone(),
            part,
            what,
            help,
            see: None,
            of_machine: false,
        });
    }

    /// The table behind a value; its unknown keys are noted.
    pub(super) fn table<'v>(
        &mut self,
        path: &KeyPath,
        value: &'v Value,
        schema: &Table,
    ) -> Option<&'v Dict> {
        let Some(table) = value.as_dict() else {
            let names: Vec<&str> = schema.keys.iter().map(|k| k.name).collect();
            let help = format!("write a table with {}", names.join(", "));
            self.wrong(path, format!("expected a table, found {}", kind(value)), help);
            return None;
        };
        for name in table.keys().filter(|name| !schema.keys.iter().any(|key| key.name == **name)) {
            let at = path.key(name);
            match LATER.iter().find(|(later, ..)| later == name) {
                Some((_, what, help)) => self.wrong_key(&at, *what, *help),
                None => {
                    let names: Vec<&str> = schema.keys.iter().map(|key| key.name).collect();
                    self.mistyped.extend(nearest(name, &names).map(|meant| path.key(meant)));
                    let help = known(name, &names, "known keys here");
                    self.wrong_key(&at, format!("unknown key `{name}`"), help);
                }
            }
        }
        Some(table)
    }

    /// The value of one key, its default, or a noted fault.
    pub(super) fn key<T: Read>(&mut self, path: &KeyPath, table: &Dict, key: &Key) -> Option<T> {
        let at = path.key(key.name);
        let default;
        let (value, is_default) = match (table.get(key.name), key.default) {
            (Some(value), _) => (value, false),
            (None, Some(text)) => {
                default = text.parse().map(|value| plain(&value)).unwrap_or_else(|_| text.into());
                (&default, true)
            }
            (None, None) if key.optional => return T::absent(),
            (None, None) if self.mistyped.contains(&at) => return None,
            (None, None) => {
                self.wrong(&at, format!("`{}` is missing", key.name), addition(key));
                return None;
            }
        };
        let read = T::read(self, &at, value)?;
        let (shown, is_secret) = match T::SHAPE {
            Shape::Value => (toml(value), false),
            Shape::Secret => ("…".to_owned(), true),
            Shape::Table(_) | Shape::Tables(_) => return Some(read),
        };
        self.leaves.push(Leaf { path: at, value: shown, is_default, is_secret });
        Some(read)
    }

    fn text<'v>(&mut self, path: &KeyPath, value: &'v Value) -> Option<&'v str> {
        let text = value.as_str();
        if text.is_none() {
            let help = "put the value in double quotes";
            self.wrong(path, format!("expected text, found {}", kind(value)), help);
        }
        text
    }

    fn parsed<T, E>(
        &mut self,
        path: &KeyPath,
        value: &Value,
        parse: impl FnOnce(&str) -> Result<T, E>,
        fault: impl FnOnce(&str, E) -> (String, String),
    ) -> Option<T> {
        let text = self.text(path, value)?;
        parse(text)
            .map_err(|error| {
                let (what, help) = fault(text, error);
                self.wrong(path, what, help);
            })
            .ok()
    }
}

/// How to add a missing key.
fn addition(key: &Key) -> String {
    let name = key.name;
    match (key.shape, key.example) {
        (Shape::Table(table) | Shape::Tables(table), _) => {
            let needed = table.keys.iter().filter(|k| k.default.is_none() && !k.optional);
            let names: Vec<&str> = needed.map(|key| key.name).collect();
            format!("add the table `{name}` with {}", names.join(", "))
        }
        (_, Some(example)) => format!("add it, such as {name} = {example}"),
        (_, None) => "add it".to_owned(),
    }
}

/// What to do about a name that is not among the known ones.
pub(super) fn known(name: &str, names: &[&str], all: &str) -> String {
    match nearest(name, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => format!("{all}: none"),
        None => format!("{all}: {}", names.join(", ")),
    }
}

/// The name that a mistyped one was probably meant to be.
fn nearest<'n>(name: &str, names: &[&'n str]) -> Option<&'n str> {
    let lower = name.to_ascii_lowercase().replace('-', "_");
    names
        .iter()
        .map(|&known| {
            (strsim::jaro_winkler(&lower, &known.to_ascii_lowercase().replace('-', "_")), known)
        })
        // below this, suggestions amuse more than they help
        .filter(|(likeness, _)| *likeness > 0.84)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(..) | Value::Char(..) => "text",
        Value::Bool(..) => "true or false",
        Value::Num(..) => "a number",
        Value::Empty(..) => "nothing",
        Value::Dict(..) => "a table",
        Value::Array(..) => "a list",
    }
}

/// A value as TOML in one line.
fn toml(value: &Value) -> String {
    match value {
        Value::String(_, text) => toml_edit::Value::from(text.as_str()).to_string(),
        Value::Array(_, list) => {
            format!("[{}]", list.iter().map(toml).collect::<Vec<_>>().join(", "))
        }
        Value::Num(_, number) => number
            .to_i128()
            .map(|n| n.to_string())
            .or_else(|| number.to_f64().map(|n| n.to_string()))
            .unwrap_or_default(),
        Value::Bool(_, yes) => yes.to_string(),
        Value::Dict(..) => "{ … }".to_owned(),
        Value::Char(..) | Value::Empty(..) => String::new(),
    }
}

impl<T: Read> Read for Option<T> {
    const SHAPE: Shape = T::SHAPE;
    const OPTIONAL: bool = true;

    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        T::read(reader, path, value).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Read> Read for Vec<T> {
    const SHAPE: Shape = match T::SHAPE {
        Shape::Table(table) => Shape::Tables(table),
        shape => shape,
    };

    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        let Some(list) = value.as_array() else {
            let key = path.to_string();
            let help = match Self::SHAPE {
                Shape::Tables(_) => format!("write [[{key}]] with two pairs of brackets"),
                _ => "write a list: [\"…\", \"…\"]".to_owned(),
            };
            reader.wrong(path, format!("expected a list, found {}", kind(value)), help);
            return None;
        };
        let mut all = Vec::with_capacity(list.len());
        for (i, value) in list.iter().enumerate() {
            let at = path.element(i);
            match T::read(reader, &at, value) {
                Some(element) => all.push(element),
                None => {
                    reader.unread.insert(at);
                }
            }
        }
        // what can be read goes on, so that what is wrong between the elements is told too
        Some(all)
    }
}

/// Types that are text, with what to do when the text is wrong.
macro_rules! text {
    ($($type:ty: $help:literal, $shape:expr;)*) => {$(
        impl Read for $type {
            const SHAPE: Shape = $shape;

            fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
                reader.parsed(path, value, str::parse::<$type>, |_, e| (e.to_string(), $help.to_owned()))
            }
        }
    )*};
}

text! {
    GatewayId: "it becomes part of topics: use small letters, digits and '-'", Shape::Value;
    TenantId: "it becomes part of topics and file names: use small letters, digits and '-'", Shape::Value;
    DevEui: "copy the DevEUI from the sensor's label: 16 hexadecimal digits", Shape::Value;
    DevAddr: "copy the DevAddr from the vendor's key list: 8 hexadecimal digits", Shape::Value;
    GatewayEui: "copy the EUI from the concentrator's label: 16 hexadecimal digits", Shape::Value;
    AesKey: "copy the key from the vendor's key list: 32 hexadecimal digits", Shape::Secret;
}

impl Read for String {
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        reader.text(path, value).map(str::to_owned)
    }
}

impl Read for PathBuf {
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        let text = reader.text(path, value)?;
        let trouble = match text {
            "" => "the path is empty",
            _ if text.contains(['\n', '\r', '\0']) => "this is not the name of a file",
            _ => return Some(text.into()),
        };
        reader.wrong(path, trouble, "write the name of a file, not what is in it");
        None
    }
}

impl Read for Duration {
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        if matches!(value, Value::Num(..)) {
            let help = "say of what: \"20s\", \"15min\", \"2h\"";
            reader.wrong(path, "expected a duration, found a number without unit", help);
            return None;
        }
        let text = reader.text(path, value)?;
        let duration = duration::parse(text).ok();
        if duration.is_none() {
            let help = "write a number with its unit: \"90s\", \"15min\", \"2h\"";
            reader.wrong(path, "this is not a duration", help);
        }
        duration
    }
}

impl Read for SocketAddr {
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        reader.parsed(path, value, str::parse, |text, _| {
            let what = match text.parse::<std::net::IpAddr>() {
                Ok(_) => "the port is missing",
                Err(_) => "this is not an address with a port",
            };
            let help = "write ADDRESS:PORT with the address in digits, such as \"127.0.0.1:1700\"";
            (what.to_owned(), help.to_owned())
        })
    }
}

impl Read for BrokerUrl {
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        reader.parsed(
            path,
            value,
            |text| Self::try_from(text.to_owned()),
            |_, what| match what.split_once("; ") {
                Some((what, help)) => (what.to_owned(), help.to_owned()),
                None => (what, String::new()),
            },
        )
    }
}

impl Read for TenantKind {
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        let parse = |text: &str| match text {
            "waste" => Ok(Self::Waste),
            "care" => Ok(Self::Care),
            "generic" => Ok(Self::Generic),
            _ => Err(()),
        };
        reader.parsed(path, value, parse, |text, ()| {
            let kinds = ["waste", "care", "generic"];
            ("there is no such kind of tenant".to_owned(), known(text, &kinds, "kinds"))
        })
    }
}

impl Read for Protocol {
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        let level = value.to_i128().and_then(|level| u8::try_from(level).ok());
        let protocol = level.and_then(|level| Self::try_from(level).ok());
        if protocol.is_none() {
            let help = "write protocol = 5 (MQTT 5) or protocol = 4 (MQTT 3.1.1), without quotes";
            reader.wrong(path, "this is not an MQTT version that lykta speaks", help);
        }
        protocol
    }
}
