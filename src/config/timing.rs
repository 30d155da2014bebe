//! Times of day, days and time zones in settings.

use super::key::KeyPath;
use super::read::{Read, Reader, known};
use crate::route::file::json::value::Span;
use figment::value::Value;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use std::fmt;

/// A time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayTime(pub Time);

impl Read for DayTime {
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        let parse = |text: &str| {
            let (hour, minute) = text.split_once(':').filter(|(_, m)| m.len() == 2).ok_or(())?;
            let (hour, minute) = (hour.parse().map_err(drop)?, minute.parse().map_err(drop)?);
            Time::new(hour, minute, 0, 0).map(Self).map_err(drop)
        };
        reader.parsed(path, value, parse, |_, ()| {
            ("this is no time of day".to_owned(), "write hours and minutes: \"04:30\"".to_owned())
        })
    }
}

/// From one time of day to another, in seconds after midnight; past 24 h on the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// Its begin.
    pub from: u32,
    /// Its end.
    pub to: u32,
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |second: u32| (second / 3600 % 24, second / 60 % 60);
        let ((from, from_minute), (to, to_minute)) = (clock(self.from), clock(self.to));
        write!(f, "{from:02}:{from_minute:02}-{to:02}:{to_minute:02}")
    }
}

impl Read for Hours {
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        let parse = |text: &str| {
            let text: StrDeserializer<'_, Error> = text.into_deserializer();
            let span = Span::deserialize(text).map_err(drop)?;
            let (from, to) = span.from_midnight(0).ok_or(())?;
            Ok(Self { from, to })
        };
        reader.parsed(path, value, parse, |_, ()| {
            ("these are no hours".to_owned(), "write begin and end: \"06:00-14:30\"".to_owned())
        })
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day(pub Weekday);

impl Read for Day {
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let parse = |text: &str| {
            let day = DAYS.iter().position(|day| *day == text).ok_or(())?;
            Weekday::from_monday_zero_offset(day as i8).map(Self).map_err(drop)
        };
        reader.parsed(path, value, parse, |text, ()| {
            ("this is no day of the week".to_owned(), known(text, &DAYS, "days"))
        })
    }
}

/// A time zone by its name in the IANA database.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone(pub TimeZone);

impl Read for Zone {
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        reader.parsed(
            path,
            value,
            |text| TimeZone::get(text).map(Self),
            |_, _| {
                let help = "write a name such as \"Europe/Stockholm\"; if it is right, install the \
                            package tzdata";
                ("there is no such time zone on this machine".to_owned(), help.to_owned())
            },
        )
    }
}
