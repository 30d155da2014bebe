//! The types of single settings: how each is read, and what is said when it cannot be.

use super::key::KeyPath;
use super::read::{Read, Reader, kind, known};
use super::schema::Shape;
use super::settings::{BrokerUrl, Chip, Megahertz, MetricsAt, Protocol, SpiPort, TenantKind};
use crate::units::{
    AesKey, DevAddr, DevEui, GatewayEui, GatewayId, Hertz, JoinEui, TenantId, duration,
};
use figment::value::Value;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

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

impl<K: FromStr<Err: Display> + Ord, T: Read> Read for BTreeMap<K, T> {
    const SHAPE: Shape = match T::SHAPE {
        Shape::Table(table) => Shape::Named(table),
        shape => shape,
    };

    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        let Some(tables) = value.as_dict() else {
            let what = format!("expected tables by name, found {}", kind(value));
            reader.wrong(path, what, format!("write [{path}.NAME]"));
            return None;
        };
        let mut all = Self::new();
        for (name, value) in tables {
            let at = path.key(name);
            let key = name.parse().map_err(|error: K::Err| {
                let help = format!("choose another name, such as [{path}.north-1]");
                reader.wrong_key(&at, error.to_string(), help);
            });
            // what can be read goes on, so that what is wrong in the other tables is told too
            let read = T::read(reader, &at, value);
            if let (Ok(key), Some(read)) = (key, read) {
                all.insert(key, read);
            }
        }
        Some(all)
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
                Shape::Bare => "write a list: […, …]".to_owned(),
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
    JoinEui: "copy the JoinEUI (AppEUI) from the vendor's key list: 16 hexadecimal digits", Shape::Value;
    MetricsAt: "write \"127.0.0.1:9185\", or the whole path of a socket; a reverse proxy may let others in", Shape::Value;
    SpiPort: "write BUS.SELECT: \"0.0\" is /dev/spidev0.0", Shape::Value;
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

impl Read for Chip {
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        let parse = |text: &str| match text {
            "sx1262" => Ok(Self::Sx1262),
            "sx1276" => Ok(Self::Sx1276),
            _ => Err(()),
        };
        reader.parsed(path, value, parse, |_, ()| {
            let help = "chips: sx1262, sx1276 (an RFM95 is an sx1276)";
            ("lykta does not drive this chip".to_owned(), help.to_owned())
        })
    }
}

impl Read for IpNet {
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        let parse = |text: &str| {
            text.parse()
                .or_else(|e| text.parse::<std::net::IpAddr>().map(Self::from).map_err(|_| e))
        };
        reader.parsed(path, value, parse, |_, _| {
            let help = "write an address or a network, such as \"192.168.7.0/24\"";
            ("this is no network".to_owned(), help.to_owned())
        })
    }
}

impl Read for bool {
    const SHAPE: Shape = Shape::Bare;

    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        let found = value.to_bool();
        if found.is_none() {
            let what = format!("expected true or false, found {}", kind(value));
            reader.wrong(path, what, "write true or false, without quotes");
        }
        found
    }
}

macro_rules! whole {
    ($($type:ty)*) => {$(
        impl Read for $type {
            const SHAPE: Shape = Shape::Bare;

            fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
                let number = number(reader, path, value)?;
                let found = value.to_i128().and_then(|number| Self::try_from(number).ok());
                if found.is_none() {
                    let what = format!("{number} cannot be meant here");
                    let help = format!("write a whole number from 0 to {}", Self::MAX);
                    reader.wrong(path, what, help);
                }
                found
            }
        }
    )*};
}
whole!(u8 u32 u64);

macro_rules! decimal {
    ($($type:ty)*) => {$(
        impl Read for $type {
            const SHAPE: Shape = Shape::Bare;

            fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
                let found = Some(number(reader, path, value)? as Self).filter(|n| n.is_finite());
                if found.is_none() {
                    let help = "write a number such as 1.8";
                    reader.wrong(path, "this is not a finite number", help);
                }
                found
            }
        }
    )*};
}
decimal!(f32 f64);

impl Read for Megahertz {
    const SHAPE: Shape = Shape::Bare;

    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        // what chips can be tuned to; which of it is allowed is checked later
        const RANGE: std::ops::Range<f64> = 100.0..3000.0;
        let number = number(reader, path, value)?;
        if RANGE.contains(&number) {
            return Some(Self(Hertz((number * 1e6).round() as u32)));
        }
        let units = [("Hz", 1e6), ("kHz", 1e3), ("GHz", 1e-3)];
        let meant = units.iter().find(|(_, in_mhz)| RANGE.contains(&(number / in_mhz)));
        let help = match meant {
            Some((unit, in_mhz)) => {
                format!("this looks like {unit}: in MHz it is {}", number / in_mhz)
            }
            None => "write the frequency in MHz, such as 868.1".to_owned(),
        };
        reader.wrong(path, format!("{number} MHz is no frequency of a radio channel"), help);
        None
    }
}

/// A number, written with a decimal point or without.
fn number(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<f64> {
    let found = match value {
        Value::Num(_, number) => number.to_f64().or_else(|| number.to_i128().map(|n| n as f64)),
        _ => None,
    };
    if found.is_none() {
        let help = match value.as_str().map(str::parse::<f64>) {
            Some(Ok(_)) => "write it without quotes",
            _ => "write a number, without quotes",
        };
        reader.wrong(path, format!("expected a number, found {}", kind(value)), help);
    }
    found
}

impl Read for Protocol {
    const SHAPE: Shape = Shape::Bare;

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
